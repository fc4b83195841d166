"""Exporting the mask or the image of the open case: written, read back, compared."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import cast

import numpy as np

from segdesk.core.counting import value_counts
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.labels import LabelArray, LabelMap, LabelTable
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.resample import resample_labels, resample_volume
from segdesk.core.straighten import right_angled
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.io import write_labels, write_volume
from segdesk.io.limits import allow_large
from segdesk.session.export_formats import ExportFormat, FormatOffer, image_offers, mask_offers
from segdesk.session.saving import Saving
from segdesk.session.state import SessionState


class ExportContent(StrEnum):
    """What of the open case is exported."""

    MASK = "mask"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What shall be written where.

    Parameters
    ----------
    content : ExportContent
        Mask or image.
    format : ExportFormat
        Must be possible, see `Export.offers`.
    path : Path
        The file; its name must end in the format's extension.
    values : collection of int, optional
        Labels of the mask to include; all by default. They keep their numbers.
    straightened : bool
        Resample a tilted grid onto a right-angled one first: labels by nearest neighbour,
        intensities linearly.
    overwrite : bool
        Whether an existing file may be replaced.
    """

    content: ExportContent
    format: ExportFormat
    path: Path
    values: Collection[int] | None = None
    straightened: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class ExportedLabel:
    """One label of the file that was written."""

    value: int
    name: str
    voxels: int


@dataclass(frozen=True, slots=True)
class ExportReceipt:
    """What was written; it was read back and found identical, else there would be an error.

    Parameters
    ----------
    order : ExportOrder
        As it was carried out.
    shape_kji : tuple of int
        Grid of the file.
    size_bytes : int
        Of the file.
    labels : tuple of ExportedLabel
        Of a mask: each label of its table with the number of voxels; empty for an image.
    geometry_source : str
        Where the place in the patient came from, in words.
    """

    order: ExportOrder
    shape_kji: tuple[int, int, int]
    size_bytes: int
    labels: tuple[ExportedLabel, ...]
    geometry_source: str


class Export:
    """Exports of the open case.

    Parameters
    ----------
    state : SessionState
        Holds the open case.
    saving : Saving
        Takes snapshots of the mask.
    """

    def __init__(self, state: SessionState, saving: Saving) -> None:
        self._state = state
        self._saving = saving

    @property
    def can_straighten(self) -> bool:
        """Whether the open case lies on a tilted grid that can be resampled at right angles."""
        grid = self._state.require_case().volume.geometry
        return isinstance(grid, Geometry) and grid.is_sheared

    def offers(self, content: ExportContent, *, straightened: bool = False) -> tuple[FormatOffer, ...]:
        """Return every format with the reason why it is not possible, if it is not.

        Raises
        ------
        UsageError
            If no case is open.
        """
        case = self._state.require_case()
        volume, grid = case.volume, _target_grid(case.volume.geometry, straightened=straightened)
        if content is ExportContent.MASK:
            is_on_dicom = bool(volume.series_uid) and not straightened
            return mask_offers(grid, len(case.labels.layers), is_on_dicom=is_on_dicom)
        offers = image_offers(volume, grid)
        if straightened and (volume.time_points > 1 or volume.is_rgb):
            return tuple(FormatOffer(offer.format, offer.refusal or _GREY_ONLY) for offer in offers)
        return offers

    def write(self, order: ExportOrder) -> Task[ExportReceipt]:
        """Return the task that writes a file from the case as it is now.

        The stroke in progress is left out. The file appears whole and verified or not at all.

        Raises
        ------
        UsageError
            If no case is open, the format is not possible here, or the name has another extension.
        WriteError
            From the task: code ``exists`` when the file is there and may not be replaced,
            ``verify_failed`` when it reads back differently, ``write_failed`` otherwise.
        """
        case, rater = self._state.require_case(), self._state.require_rater()
        self._require_possible(order)
        title = f"Exporting {order.path.name}"
        if order.content is ExportContent.IMAGE:
            return Task(title, Lane.DISK, lambda report: _write_image(case.volume, order, report))
        labels, image = self._saving.snapshot(rater), case.record.channels[0].path
        return Task(title, Lane.DISK, lambda report: _write_mask(labels, image, order, report))

    def _require_possible(self, order: ExportOrder) -> None:
        offers = self.offers(order.content, straightened=order.straightened)
        offer = next(each for each in offers if each.format is order.format)
        if not offer.is_possible:
            raise UsageError(f"{order.path.name}: {offer.refusal}", code="no_shear_in_format", path=order.path)
        if not order.path.name.lower().endswith(order.format.suffix):
            raise UsageError(f"{order.path.name} must end in {order.format.suffix}.", path=order.path)


_GREY_ONLY = "Only a single grey image can be straightened; export this one as it is."


def _write_mask(labels: LabelMap, image: Path, order: ExportOrder, report: Progress) -> ExportReceipt:
    report(0, 2, "Collecting the labels")
    chosen = labels if order.values is None else only_values(labels, order.values)
    target = _target_grid(chosen.geometry, straightened=order.straightened)
    if target is not chosen.geometry and isinstance(target, Geometry):
        chosen = resample_labels(chosen, target)
    report(1, 2, "Writing and reading back")
    # What is compared is in memory already: its size needs no consent again.
    with allow_large():
        _write_labels(chosen, image, order, report)
    counts = np.sum([value_counts(layer) for layer in chosen.layers], axis=0)
    found = tuple(
        ExportedLabel(label.value, label.name, int(counts[label.value]) if label.value < counts.size else 0)
        for label in chosen.table
    )
    return _receipt(order, chosen.geometry.shape_kji, found, chosen.geometry.source)


def _write_labels(labels: LabelMap, image: Path, order: ExportOrder, report: Progress) -> None:
    """Write and compare; DICOM objects refer to the `image` they were drawn on."""
    if order.format is ExportFormat.RTSTRUCT:
        from segdesk.io.rtstruct.writing import write_rtstruct

        write_rtstruct(labels, order.path, image, overwrite=order.overwrite, report=report)
        return
    write_labels(
        labels,
        order.path,
        overwrite=order.overwrite,
        reference=image if order.format.is_dicom else None,
        seg_type="labelmap" if order.format is ExportFormat.DICOM_LABELMAP else "binary",
        report=report,
    )


def _write_image(volume: Volume, order: ExportOrder, report: Progress) -> ExportReceipt:
    report(0, 1, "Writing and reading back")
    shown = volume
    target = _target_grid(volume.geometry, straightened=order.straightened)
    if target is not volume.geometry and isinstance(target, Geometry):
        shown = resample_volume(volume, target, fill=float(volume.array.min()))
    with allow_large():
        write_volume(shown, order.path, overwrite=order.overwrite)
    return _receipt(order, shown.geometry.shape_kji, (), shown.geometry.source)


def only_values(labels: LabelMap, values: Collection[int]) -> LabelMap:
    """Return the map with these labels alone, under the numbers they have; names follow."""
    kept = sorted(set(values))
    layers = tuple(
        cast(LabelArray, np.where(np.isin(layer, kept), layer, layer.dtype.type(0))) for layer in labels.layers
    )
    return replace(labels, layers=layers, table=LabelTable(label for label in labels.table if label.value in kept))


def _receipt(
    order: ExportOrder, shape_kji: tuple[int, int, int], labels: tuple[ExportedLabel, ...], source: str
) -> ExportReceipt:
    return ExportReceipt(order, shape_kji, order.path.stat().st_size, labels, source)


def _target_grid(grid: Grid, *, straightened: bool) -> Grid:
    return right_angled(grid) if straightened and isinstance(grid, Geometry) else grid
