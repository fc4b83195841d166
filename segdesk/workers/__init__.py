"""Child processes for inference and training, seen from the parent; no torch."""
