"""Model folders: what a model is, without torch."""
