"""Freeze the cases with a reference as a training set in nnU-Net layout.

::

    dataset.json                    channels, labels, number of items
    patients.csv                    case,patient: the split is by patient
    manifest.json                   per item: case, reference mask, region, image hashes, lineage
    imagesTr/ITEM_0000.nii.gz       one file per channel
    labelsTr/ITEM.nii.gz
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap, LabelTable
from segdesk.core.progress import Progress, silent
from segdesk.core.provenance import OriginKind
from segdesk.core.volume import Volume
from segdesk.errors import SegdeskError, UsageError, WriteError
from segdesk.io import write_labels, write_volume
from segdesk.io.atomic import replace_file
from segdesk.session.draft_union import roi_of
from segdesk.session.roi import roi_text
from segdesk.store.records import CaseRecord, MaskRecord, MaskRole

if TYPE_CHECKING:
    from segdesk.store.project import Project


@dataclass(frozen=True, slots=True)
class ExportedDataset:
    """A frozen training set.

    Parameters
    ----------
    folder : Path
        Where it is.
    items : tuple of str
        Names of the training items.
    left_out : tuple of str
        A line for each case that could not be used, with the reason.
    """

    folder: Path
    items: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    """One written item: its name and its row of the manifest."""

    name: str
    patient_key: str
    manifest: Mapping[str, Any]


def export_dataset(project: Project, folder: Path, report: Progress = silent) -> ExportedDataset:
    """Write every case with a reference; crop it to each region a model was asked about.

    The reference is the one imported last, else the consensus recorded last. A case on
    which models were only run inside regions gives one item per region, with the case's
    patient, so that whole-brain scans train a model of crops; other cases go in whole.

    Parameters
    ----------
    project : Project
        Where the cases are.
    folder : Path
        New or empty folder.
    report : Progress
        Told after each case.

    Raises
    ------
    UsageError
        Code ``bad_dataset`` when no case can be used.
    WriteError
        If the folder is not empty or cannot be written to.
    """
    _make_folders(folder)
    items: list[_Item] = []
    left_out: list[str] = []
    table = LabelTable()
    channels: tuple[str, ...] = ()
    cases = project.cases()
    for number, case in enumerate(cases):
        report(number, len(cases), f"Exporting {case.name}")
        reference = _reference_of(project, case)
        if reference is None:
            left_out.append(f"{case.name}: it has no consensus and no reference.")
            continue
        names = tuple(channel.name for channel in case.channels)
        if channels and len(names) != len(channels):
            left_out.append(f"{case.name}: it has other channels than the first case.")
            continue
        try:
            labels = project.masks.load(reference.sha256)
            items += _write_case(project, (case, reference, labels), folder, report)
        except WriteError:
            raise
        except SegdeskError as error:
            left_out.append(f"{case.name}: {error.message}")
            continue
        channels = channels or names
        table = table.merged(labels.table)
    if not items:
        reason = f" ({left_out[0]})" if left_out else ""
        raise UsageError(f"There is nothing to train on yet; record a consensus first{reason}.", code="bad_dataset")
    _write_descriptions(folder, items, channels, table)
    return ExportedDataset(folder, tuple(item.name for item in items), tuple(left_out))


def _make_folders(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise WriteError(
                "The folder for the training set is not empty; choose another.", code="exists", path=folder
            )
        for part in ("imagesTr", "labelsTr"):
            (folder / part).mkdir()
    except OSError as error:
        raise WriteError(f"The training set was not written: {error.strerror}.", path=folder) from error


def _reference_of(project: Project, case: CaseRecord) -> MaskRecord | None:
    imported = project.masks.of_case(case.id, MaskRole.REFERENCE)
    if imported:
        return imported[-1]
    agreed = project.consensuses.of_case(case.id)
    return project.masks.record(agreed[-1].mask_sha256) if agreed else None


def _write_case(
    project: Project, target: tuple[CaseRecord, MaskRecord, LabelMap], folder: Path, report: Progress
) -> list[_Item]:
    """Write the items of one case."""
    case, reference, labels = target
    volumes = project.images.read_channels(case.id, report)
    boxes = _regions(project, case)
    whole = Box.whole(case.shape_kji)
    items = []
    for number, box in enumerate(boxes or [whole], 1):
        name = _item_name(case, number if boxes else None)
        _write_item(folder, name, volumes, labels, box)
        items.append(_Item(name, case.patient_key, _manifest(project, case, reference, box)))
    return items


def _regions(project: Project, case: CaseRecord) -> list[Box]:
    """Return the distinct regions models were asked about; none when one was asked about everything."""
    whole = Box.whole(case.shape_kji)
    boxes: dict[Box, None] = {}
    for record in project.masks.of_case(case.id, MaskRole.CANDIDATE):
        boxes[(roi_of(record) or whole).clip(case.shape_kji)] = None
    return [] if whole in boxes else list(boxes)


def _item_name(case: CaseRecord, region: int | None) -> str:
    """Return a file name: the case's name made safe, its number in the project by id, the region."""
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", case.name).strip(".-")[:60] or "case"
    return f"{safe}-{case.id[:8]}" + ("" if region is None else f"-roi{region}")


def _write_item(folder: Path, name: str, volumes: Mapping[str, Volume], labels: LabelMap, box: Box) -> None:
    for number, volume in enumerate(volumes.values()):
        cropped = volume if box.shape_kji == volume.geometry.shape_kji else volume.crop(box)
        write_volume(cropped, folder / "imagesTr" / f"{name}_{number:04d}.nii.gz")
    write_labels(_crop(labels, box), folder / "labelsTr" / f"{name}.nii.gz")


def _crop(labels: LabelMap, box: Box) -> LabelMap:
    if not isinstance(labels.geometry, Geometry):
        return labels
    layer = labels.array[box.slices].copy()
    return LabelMap((layer,), labels.geometry.crop(box), labels.table, labels.origin)


def _manifest(project: Project, case: CaseRecord, reference: MaskRecord, box: Box) -> dict[str, Any]:
    """Return what an item was made of; models whose draft the reference began as are named."""
    ancestors = project.masks.ancestors(reference.sha256)
    began_as = sorted({r.weights_sha256 for r in ancestors if r.origin_kind is OriginKind.MODEL and r.weights_sha256})
    return {
        "case": case.id,
        "patient": case.patient_key,
        "roi": roi_text(box),
        "reference_sha256": reference.sha256,
        "image_hashes": [channel.image_hash for channel in case.channels],
        "geometry_sha256": case.geometry_sha256,
        "began_as_draft_of": began_as,
    }


def _write_descriptions(folder: Path, items: Sequence[_Item], channels: Sequence[str], table: LabelTable) -> None:
    dataset = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {"background": 0, **{label.name: label.value for label in table}},
        "numTraining": len(items),
        "file_ending": ".nii.gz",
    }
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(("case", "patient"))
    writer.writerows((item.name, item.patient_key) for item in items)
    _write_text(folder / "patients.csv", rows.getvalue())
    _write_text(folder / "manifest.json", json.dumps({item.name: item.manifest for item in items}, indent=1))
    # Last: a set without its dataset.json is no set.
    _write_text(folder / "dataset.json", json.dumps(dataset, indent=1))


def _write_text(path: Path, text: str) -> None:
    replace_file(path, lambda temporary: _save(temporary, text))


def _save(path: Path, text: str) -> None:
    path.write_text(text + ("" if text.endswith("\n") else "\n"), encoding="utf-8")
