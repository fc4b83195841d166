"""DICOM images: headers, the geometry gate, series, stacks and pixels."""
