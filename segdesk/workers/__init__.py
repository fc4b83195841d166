"""Child processes for inference, training and decoding, seen from the parent; no torch.

Nothing is imported here: the decoder must not wait for what the others need.
"""
