"""The elements the header pass reads; all others are jumped over."""

from __future__ import annotations

from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag, Tag

_KEYWORDS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "AcquisitionDateTime", "AcquisitionTime",
    "Modality", "SeriesDescription", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate",
    "SliceThickness", "EchoTime", "SpacingBetweenSlices", "TriggerTime", "ImagerPixelSpacing",
    "PatientPosition", "EstimatedRadiographicMagnificationFactor", "NominalScannedPixelSpacing", "DiffusionBValue",
    "SeriesInstanceUID", "AcquisitionNumber", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "TemporalPositionIdentifier",
    "ImagesInAcquisition", "StackID",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing",
    "PixelSpacingCalibrationType", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "LossyImageCompression", "ModalityLUTSequence",
    "SequenceOfUltrasoundRegions", "GridFrameOffsetVector", "DoseGridScaling", "PresentationLUTShape",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip

SIEMENS_TILES = Tag(0x0019, 0x100A)
SIEMENS_B_VALUE = Tag(0x0019, 0x100C)
SIEMENS_CSA_IMAGE = Tag(0x0029, 0x1010)
UIH_B_VALUE = Tag(0x0065, 0x1009)
UIH_TILES = Tag(0x0065, 0x1050)
UIH_FRAMES = Tag(0x0065, 0x1051)

HEADER_TAGS: list[BaseTag] = [
    *(Tag(tag_for_keyword(keyword) or 0) for keyword in _KEYWORDS),
    SIEMENS_TILES,
    SIEMENS_B_VALUE,
    SIEMENS_CSA_IMAGE,
    UIH_B_VALUE,
    UIH_TILES,
    UIH_FRAMES,
]
