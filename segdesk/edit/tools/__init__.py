"""Editing tools; each turns pointer positions into regions to paint."""
