"""Widgets that paint images."""
