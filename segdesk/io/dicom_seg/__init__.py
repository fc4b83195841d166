"""DICOM Segmentation objects: masks with codes and colours, read on their own or on their image's grid, and written."""
