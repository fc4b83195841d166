"""Functional groups of the frames we write: place, size, segment, and the image each was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pydicom.valuerep import format_number_as_ds

from segdesk.core.geometry import Geometry, Grid
from segdesk.io.dicom.derived import SourceSeries
from segdesk.io.dicom.geometry_gate import normal_of
from segdesk.io.dicom.model import Place
from segdesk.io.dicom_seg.codes import SEGMENTATION, SOURCE_IMAGE, code_item

_SEGMENT = (0x0062000B, 0x0062000A, "ReferencedSegmentNumber")
_POSITION = (0x00200032, 0x00209113, "ImagePositionPatient")
_LABEL = (0x00209453, 0x00209111, "FrameLabel")


@dataclass(frozen=True, slots=True)
class FramePlan:
    """One frame to be written: slice, and segment number (None in a label map)."""

    k: int
    segment: int | None


def add_frames(dataset: Dataset, plans: Sequence[FramePlan], source: SourceSeries, grid: Grid) -> None:
    """Add shared and per-frame functional groups and the dimension module.

    Every frame gets the position of its slice exactly as the image's header has it, so a
    tilted or irregular series stays what it is.

    Parameters
    ----------
    dataset : Dataset
    plans : sequence of FramePlan
        At least one, in file order.
    source : SourceSeries
    grid : Geometry or SliceStackGeometry
        Of the image: distance and thickness of its slices.
    """
    measures = [_measures(source, grid, k) for k in range(len(source.slices))]
    orientations = [_orientation(each.frame.place) for each in source.slices]
    shared = Dataset()
    has_one_size, has_one_plane = _are_equal(measures), _are_equal(orientations)
    if has_one_size and measures[0]:
        shared.PixelMeasuresSequence = [measures[0]]
    if has_one_plane and orientations[0]:
        shared.PlaneOrientationSequence = [orientations[0]]
    pointers = _pointers(plans, source)
    # Items are shared between the segments of a slice: pydicom is slow at making them.
    positions = [_position(each.frame.place) for each in source.slices]
    derivations = [_derivation(source, k) for k in range(len(source.slices))]
    groups = []
    for plan in plans:
        group = Dataset()
        group.FrameContentSequence = [_content(plan, pointers)]
        if positions[plan.k]:
            group.PlanePositionSequence = [positions[plan.k]]
        if not has_one_plane:
            group.PlaneOrientationSequence = [orientations[plan.k]]
        if not has_one_size:
            group.PixelMeasuresSequence = [measures[plan.k]]
        if plan.segment is not None:
            identification = Dataset()
            identification.ReferencedSegmentNumber = plan.segment
            group.SegmentIdentificationSequence = [identification]
        group.DerivationImageSequence = [derivations[plan.k]]
        groups.append(group)
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.NumberOfFrames = len(groups)
    _add_dimensions(dataset, pointers)


def _pointers(plans: Sequence[FramePlan], source: SourceSeries) -> list[tuple[int, int, str]]:
    where = _POSITION if source.slices[0].frame.place is not None else _LABEL
    return [where] if plans[0].segment is None else [_SEGMENT, where]


def _add_dimensions(dataset: Dataset, pointers: Sequence[tuple[int, int, str]]) -> None:
    organization = Dataset()
    organization.DimensionOrganizationUID = generate_uid(prefix=None)
    dataset.DimensionOrganizationSequence = [organization]
    indices = []
    for pointer, group, label in pointers:
        index = Dataset()
        index.DimensionIndexPointer = pointer
        index.FunctionalGroupPointer = group
        index.DimensionOrganizationUID = organization.DimensionOrganizationUID
        index.DimensionDescriptionLabel = label
        indices.append(index)
    dataset.DimensionIndexSequence = indices


def _content(plan: FramePlan, pointers: Sequence[tuple[int, int, str]]) -> Dataset:
    content = Dataset()
    content.DimensionIndexValues = [plan.k + 1] if plan.segment is None else [plan.segment, plan.k + 1]
    if _LABEL in pointers:
        content.FrameLabel = f"Image {plan.k + 1}"
    return content


def _position(place: Place | None) -> Dataset:
    item = Dataset()
    if place is not None:
        item.ImagePositionPatient = [format_number_as_ds(value) for value in place.position_lps]
    return item


def _orientation(place: Place | None) -> Dataset:
    item = Dataset()
    if place is not None:
        cosines = (*place.along_row_lps, *place.along_column_lps)
        item.ImageOrientationPatient = [format_number_as_ds(value) for value in cosines]
    return item


def _measures(source: SourceSeries, grid: Grid, k: int) -> Dataset:
    """Return size and distance of a slice; nothing for an image of unknown size."""
    item = Dataset()
    frame = source.slices[k].frame
    if frame.place is None:
        if isinstance(grid, Geometry) and grid.spacing_known:
            item.PixelSpacing = [format_number_as_ds(mm) for mm in grid.spacing_kji_mm[1:]]
        return item
    item.PixelSpacing = [format_number_as_ds(mm) for mm in frame.place.spacing_ji_mm]
    if isinstance(grid, Geometry):
        step_mm = abs(float(grid.affine_kji_to_lps[:3, 0] @ normal_of(frame.place)))
        item.SpacingBetweenSlices = format_number_as_ds(step_mm)
        item.SliceThickness = format_number_as_ds(frame.thickness_mm or step_mm)
    else:
        item.SliceThickness = format_number_as_ds(float(grid.thickness_k_mm[k]))
    return item


def _derivation(source: SourceSeries, k: int) -> Dataset:
    image = source.images[k].item()
    image.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    image.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.DerivationCodeSequence = [code_item(SEGMENTATION)]
    derivation.SourceImageSequence = [image]
    return derivation


def _are_equal(items: Sequence[Dataset]) -> bool:
    return all(item == items[0] for item in items[1:])
