"""Allow-listed network architectures."""
