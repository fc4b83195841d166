"""Models of other makers: read as plain data, without torch, nothing executed."""
