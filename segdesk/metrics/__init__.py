"""Overlap, surface and volume measures of masks."""
