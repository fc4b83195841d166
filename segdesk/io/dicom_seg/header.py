"""The header pass of a DICOM Segmentation: no pixel is touched."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from segdesk.errors import InconsistentSeries, ReadError
from segdesk.io.dicom.deflated import require_modest_deflate
from segdesk.io.dicom.frames import place_of
from segdesk.io.dicom.header_scan import scan_header
from segdesk.io.dicom.quick_header import Header, NotPlainError
from segdesk.io.dicom.values import DAMAGED_FILE, is_there, item_of, items_of, number_of, text_of, whole_of
from segdesk.io.dicom_seg.model import SegFrame, SegHeader, SegmentationType, SegPixelLayout
from segdesk.io.dicom_seg.segments import labels_of

_KEYWORDS = (
    "SpecificCharacterSet", "SOPClassUID", "SeriesDescription", "SeriesInstanceUID", "FrameOfReferenceUID",
    "DimensionOrganizationType", "TotalPixelMatrixRows", "SamplesPerPixel", "PhotometricInterpretation",
    "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "PixelRepresentation", "PixelPaddingValue",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentationType", "SegmentationFractionalType", "MaximumFractionalValue", "SegmentSequence",
    "ReferencedSeriesSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
)  # fmt: skip
_WANTED = frozenset(tag_for_keyword(keyword) or 0 for keyword in _KEYWORDS)

_LABEL_MAP_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
_BITS = {SegmentationType.BINARY: (1, 8), SegmentationType.FRACTIONAL: (8,), SegmentationType.LABELMAP: (8, 16)}
"""BitsAllocated by type; some writers store a binary one in whole bytes."""

_FULL_SCALE = 255


def read_seg_header(path: Path) -> SegHeader:
    """Read everything but the pixels.

    Parameters
    ----------
    path : Path
        A file whose SOP class is Segmentation or Label Map Segmentation.

    Raises
    ------
    ReadError
        ``unreadable`` for a damaged file, ``bad_pixels`` when the header contradicts itself,
        ``unsupported_format`` for tiled slides of microscopy.
    InconsistentSeries
        ``bad_geometry`` when a position, orientation or spacing is invalid.
    """
    try:
        with warnings.catch_warnings(), path.open("rb", buffering=0) as file:
            # pydicom warns of every value that bends the standard; those that matter are judged below.
            warnings.simplefilter("ignore")
            try:
                opened = scan_header(file, _WANTED)
            except NotPlainError:
                return _read_by_pydicom(path)
            return _header(opened.header, opened.transfer_syntax, path)
    except DAMAGED_FILE as error:
        raise ReadError(f"{path.name} is a damaged DICOM segmentation; copy it again.", path=path) from error


def _read_by_pydicom(path: Path) -> SegHeader:
    with path.open("rb") as file:
        require_modest_deflate(file, path)
        dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=[*_WANTED])
        return _header(dataset, text_of(dataset.file_meta, "TransferSyntaxUID") or str(ImplicitVRLittleEndian), path)


def _header(dataset: Header, syntax: str, path: Path) -> SegHeader:
    kind = _kind(dataset, path)
    layout = _layout(dataset, kind, syntax, path)
    segments = items_of(dataset, "SegmentSequence")
    labels, ignored = labels_of(segments, dataset, kind, layout.padding, path)
    series = item_of(dataset, "ReferencedSeriesSequence")
    maximum = whole_of(dataset, "MaximumFractionalValue")
    if kind is SegmentationType.FRACTIONAL and maximum is not None and maximum < 1:
        message = f"{path.name} states {maximum} as its largest fraction, which makes every voxel a half or more."
        raise ReadError(message, code="bad_pixels", path=path)
    return SegHeader(
        path,
        kind,
        text_of(dataset, "SegmentationFractionalType").upper(),
        _FULL_SCALE if maximum is None else maximum,
        layout,
        labels,
        ignored,
        _frames(dataset, layout, kind, segments, path),
        text_of(dataset, "SeriesInstanceUID"),
        text_of(dataset, "SeriesDescription"),
        text_of(dataset, "FrameOfReferenceUID") or None,
        text_of(series, "SeriesInstanceUID"),
    )


def _kind(dataset: Header, path: Path) -> SegmentationType:
    named = text_of(dataset, "SegmentationType").upper()
    if not named and text_of(dataset, "SOPClassUID") == _LABEL_MAP_CLASS:
        return SegmentationType.LABELMAP
    try:
        return SegmentationType(named)
    except ValueError:
        message = f"{path.name} is a segmentation of unknown type {named[:16]!r}; export it as BINARY."
        raise ReadError(message, code="bad_pixels", path=path) from None


def _layout(dataset: Header, kind: SegmentationType, syntax: str, path: Path) -> SegPixelLayout:
    if is_there(dataset, "TotalPixelMatrixRows") or text_of(dataset, "DimensionOrganizationType").startswith("TILED"):
        message = f"{path.name} segments a tiled microscopy slide, which segdesk does not open."
        raise ReadError(message, code="unsupported_format", path=path)
    rows, columns = whole_of(dataset, "Rows") or 0, whole_of(dataset, "Columns") or 0
    frames, bits = whole_of(dataset, "NumberOfFrames"), whole_of(dataset, "BitsAllocated") or 0
    frames = 1 if frames is None else frames
    is_plain = (whole_of(dataset, "SamplesPerPixel") or 1) == 1 and not whole_of(dataset, "PixelRepresentation")
    if not (0 < rows <= 65535 and 0 < columns <= 65535 and frames > 0 and is_plain and bits in _BITS[kind]):
        raise ReadError(f"{path.name} has impossible image sizes in its header.", code="bad_pixels", path=path)
    return SegPixelLayout(
        rows,
        columns,
        frames,
        bits,
        syntax,
        text_of(dataset, "PhotometricInterpretation").upper(),
        whole_of(dataset, "PixelPaddingValue") or 0,
    )


def _frames(
    dataset: Header, layout: SegPixelLayout, kind: SegmentationType, segments: Sequence[Header], path: Path
) -> tuple[SegFrame, ...]:
    shared = item_of(dataset, "SharedFunctionalGroupsSequence")
    groups: Sequence[Header] = items_of(dataset, "PerFrameFunctionalGroupsSequence") or (
        [Dataset()] if layout.frames == 1 else []
    )
    if len(groups) != layout.frames:
        message = f"{path.name} describes {len(groups)} frames but holds {layout.frames}."
        raise ReadError(message, code="bad_pixels", path=path)
    only = whole_of(segments[0], "SegmentNumber") if len(segments) == 1 else None
    is_map = kind is SegmentationType.LABELMAP
    return tuple(
        _frame(n, group, shared, dataset, None if is_map else only, is_map, path) for n, group in enumerate(groups)
    )


def _frame(
    number: int, group: Header, shared: Header, dataset: Header, only: int | None, is_map: bool, path: Path
) -> SegFrame:
    def macro(keyword: str) -> Header:
        return item_of(group, keyword) if is_there(group, keyword) else item_of(shared, keyword)

    named = whole_of(macro("SegmentIdentificationSequence"), "ReferencedSegmentNumber")
    segment = None if is_map else only if named is None else named
    if segment is None and not is_map:
        message = f"{path.name}: frame {number + 1} does not say which segment it shows."
        raise ReadError(message, code="bad_pixels", path=path)
    measures = macro("PixelMeasuresSequence")
    position, orientation = macro("PlanePositionSequence"), macro("PlaneOrientationSequence")
    place, problem = place_of(
        position if is_there(position, "ImagePositionPatient") else dataset,
        orientation if is_there(orientation, "ImageOrientationPatient") else dataset,
        measures if is_there(measures, "PixelSpacing") else dataset,
    )
    if problem:
        raise InconsistentSeries(f"{path.name}: {problem} in frame {number + 1}.", path=path)
    return SegFrame(
        number,
        segment,
        place,
        _source(macro("DerivationImageSequence")),
        number_of(measures, "SliceThickness"),
        number_of(measures, "SpacingBetweenSlices"),
    )


def _source(derivation: Header) -> str:
    """Return the name of the image frame a frame was drawn on, "" when it is not said."""
    source = item_of(derivation, "SourceImageSequence")
    uid = text_of(source, "ReferencedSOPInstanceUID")
    return f"{uid}#{whole_of(source, 'ReferencedFrameNumber') or 1}" if uid else ""
