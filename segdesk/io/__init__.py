"""Reading and writing images and masks, behind the geometry gate."""
