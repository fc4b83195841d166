"""A DICOM Segmentation as a dataset: modules of PS3.3 A.51 (Segmentation) and A.51.4 (Label Map)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from segdesk.core.labels import Label
from segdesk.core.provenance import Origin, OriginKind
from segdesk.io.dicom.derived import (
    SourceSeries,
    add_patient_and_study,
    add_series_and_equipment,
    date_text,
    new_object,
    time_text,
)
from segdesk.io.dicom_seg.codes import BACKGROUND, add_concept, code_item
from segdesk.io.dicom_seg.colours import lab_of_rgb
from segdesk.io.dicom_seg.model import SegmentationType
from segdesk.io.dicom_seg.segments import (
    LABEL_VALUE_ELEMENT,
    PRIVATE_CREATOR,
    PRIVATE_GROUP,
    short_name,
    written_name,
)

_CLASSES = {
    SegmentationType.BINARY: "1.2.840.10008.5.1.4.1.1.66.4",
    SegmentationType.LABELMAP: "1.2.840.10008.5.1.4.1.1.66.7",
}
_SHORT = 64
"""Characters of an LO value (PS3.5 6.2)."""

_ALGORITHM = {OriginKind.HUMAN: "MANUAL", OriginKind.MODEL: "AUTOMATIC"}
"""SegmentAlgorithmType; SEMIAUTOMATIC for everything that is not known to be one of these."""

_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def seg_dataset(kind: SegmentationType, source: SourceSeries, now: datetime) -> FileDataset:
    """Return the object without segments, frames and pixels."""
    dataset = new_object(_CLASSES[kind], ExplicitVRLittleEndian)
    add_patient_and_study(dataset, source.header)
    add_series_and_equipment(dataset, "SEG", now)
    dataset.SeriesNumber = 1
    # Enhanced General Equipment wants a serial number; a program has none but its version.
    dataset.DeviceSerialNumber = version("segdesk")
    if source.frame_of_reference_uid:
        dataset.FrameOfReferenceUID = source.frame_of_reference_uid
        dataset.PositionReferenceIndicator = source.header.get("PositionReferenceIndicator", "")
    dataset.ReferencedSeriesSequence = [_referenced(source)]
    if source.slices[0].frame.place is None:
        dataset.PatientOrientation = source.header.get("PatientOrientation", "")
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentDate, dataset.ContentTime = date_text(now), time_text(now)
    dataset.ContentLabel, dataset.ContentDescription, dataset.ContentCreatorName = "SEGMENTATION", "", ""
    dataset.SegmentationType = kind.value
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    for keyword in _LOSSY:
        if source.header.get("LossyImageCompression") == "01" and keyword in source.header:
            setattr(dataset, keyword, source.header[keyword].value)
    return dataset


def add_pixels(dataset: Dataset, bits: int, shape_ji: tuple[int, int], pixels: bytes) -> None:
    """Add the pixel element and what describes it."""
    dataset.Rows, dataset.Columns = shape_ji
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.add_new(0x7FE00010, "OW" if bits == 16 else "OB", pixels)


def binary_segments(labels: Sequence[Label], origin: Origin) -> list[Dataset]:
    """Return items numbered from 1; the labels' own numbers are noted where they differ.

    Without any label there is one item all the same, since the standard demands it; it is
    noted as label 0, which reading leaves out.
    """
    if not labels:
        return [_noted(_segment(1, Label(1, "Nothing segmented", (128, 128, 128)), origin), 0)]
    items = [_segment(number, label, origin) for number, label in enumerate(labels, 1)]
    if any(label.value != number for number, label in enumerate(labels, 1)):
        return [_noted(item, label.value) for item, label in zip(items, labels, strict=True)]
    return items


def label_map_segments(labels: Sequence[Label], origin: Origin) -> list[Dataset]:
    """Return items numbered as the labels are, the background first."""
    background = _segment(0, Label(1, "Background", (0, 0, 0)), origin)
    background.SegmentedPropertyCategoryCodeSequence = [code_item(BACKGROUND)]
    background.SegmentedPropertyTypeCodeSequence = [code_item(BACKGROUND)]
    return [background, *(_segment(label.value, label, origin) for label in labels)]


def _segment(number: int, label: Label, origin: Origin) -> Dataset:
    item = Dataset()
    item.SegmentNumber = number
    name = written_name(label)
    item.SegmentLabel = short_name(name)
    if item.SegmentLabel != name:
        item.SegmentDescription = name
    item.SegmentAlgorithmType = _ALGORITHM.get(origin.kind, "SEMIAUTOMATIC")
    if item.SegmentAlgorithmType != "MANUAL":
        author = re.sub(r"[\\\x00-\x1f\x7f]+", " ", origin.author).strip()[:_SHORT]
        item.SegmentAlgorithmName = author or f"segdesk, {origin.kind.value}"
    item.RecommendedDisplayCIELabValue = list(lab_of_rgb(label.colour_rgb))
    add_concept(item, label.concept)
    return item


def _noted(item: Dataset, value: int) -> Dataset:
    block = item.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(LABEL_VALUE_ELEMENT, "US", value)
    return item


def _referenced(source: SourceSeries) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = source.series_uid
    unique = {each.sop_instance_uid: each for each in source.images}
    items = []
    for each in unique.values():
        item = each.item()
        item.pop("ReferencedFrameNumber", None)
        items.append(item)
    series.ReferencedInstanceSequence = items
    return series
