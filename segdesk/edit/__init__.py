"""Edits as data: deltas, undo history, and the tools that make them."""
