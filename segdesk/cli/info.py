"""`segdesk info`: what is in a file or folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Page, Refused
from segdesk.cli.files import require_exists
from segdesk.cli.options import AllowLargeOption, JsonOption, QuietOption
from segdesk.core.labels import Label
from segdesk.errors import ReadError
from segdesk.io import ScanResult, SeriesEntry, scan
from segdesk.io.series import MaskSummary, StructureSetSummary

PathArgument = Annotated[Path, typer.Argument(help="An image file or a folder.", show_default=False)]


def info(
    path: PathArgument,
    allow_large: AllowLargeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what is there: series, geometry, warnings. Patients' names are never shown."""
    require_exists(path)
    console = Console(json=json, quiet=quiet)
    with console.progress(f"Looking at {path.name}") as report:
        found = scan(path, report)
        if path.is_file():
            # A header promises; only the pixels tell whether a lone file is whole.
            for entry in found.series:
                entry.read_labels(report) if entry.is_mask else entry.read(report)
    payload = found.to_json()
    if not found.series and not found.structure_sets:
        raise Refused(_nothing_to_open(found), {"refused": payload["refused"], "skipped": found.skipped})
    console.show(payload, lambda page: _info_page(page, found))


def _nothing_to_open(found: ScanResult) -> ReadError:
    if not found.refused:
        return ReadError(f"{found.path} holds no image; choose a folder with images.", code="empty", path=found.path)
    first, rest = found.refused[0], len(found.refused) - 1
    more = f" ({rest} more refused)" if rest else ""
    return ReadError(f"{found.path}: {first.message}{more}", code=first.code, path=found.path)


def _info_page(page: Page, found: ScanResult) -> None:
    rows = [
        (
            entry.uid,
            entry.kind.value,
            entry.modality or "–",
            _shape(entry),
            _spacing(entry),
            entry.orientation,
            entry.dtype,
            entry.files,
        )
        for entry in found.series
    ]
    for structures in found.structure_sets:
        _regions(page, structures)
    if not rows:
        return
    page.table(("Series", "Kind", "Modality", "Shape k,j,i", "Voxel mm", "Axes", "Type", "Files"), rows)
    for entry in found.series:
        place = f"geometry from {entry.geometry.source}"
        page.line(f"{entry.uid}: {place}{f', patient {entry.patient_position}' if entry.patient_position else ''}")
        if entry.mask is not None:
            _segments(page, entry, entry.mask)
        for warning in entry.warnings:
            page.line(f"warning ({warning.code}): {entry.uid}: {warning.message}")
    for refusal in found.refused:
        page.line(f"refused ({refusal.code}), {refusal.files} files: {refusal.message}")
    if found.skipped:
        page.line(f"{found.skipped} files are no images.")


def _regions(page: Page, structures: StructureSetSummary) -> None:
    image = f" of series {', '.join(structures.referenced_series_uids)}" if structures.referenced_series_uids else ""
    label = f" {structures.label!r}" if structures.label else ""
    page.line(f"RT Structure Set{label}{image}, {len(structures.regions)} regions")
    rows = [
        (str(region.number), region.name, "#{:02x}{:02x}{:02x}".format(*region.colour_rgb), str(region.contours))
        for region in structures.regions
    ]
    page.table(("Number", "Region", "Colour", "Contours"), rows)


def _segments(page: Page, entry: SeriesEntry, mask: MaskSummary) -> None:
    image = f" of series {mask.referenced_series_uid}" if mask.referenced_series_uid else ""
    page.line(f"{entry.uid}: {mask.kind} mask{image}, {len(mask.labels)} segments")
    rows = [
        (str(label.value), label.name, "#{:02x}{:02x}{:02x}".format(*label.colour_rgb), _meaning(label))
        for label in mask.labels
    ]
    page.table(("Number", "Segment", "Colour", "Code"), rows)


def _meaning(label: Label) -> str:
    if label.concept is None:
        return "–"
    code = label.concept.type
    side = f", {label.concept.modifier.meaning}" if label.concept.modifier else ""
    return f"{code.meaning}{side} ({code.scheme} {code.value})"


def _shape(entry: SeriesEntry) -> str:
    shape = "x".join(str(n) for n in entry.shape_kji)
    return f"{entry.time_points} x ({shape})" if entry.time_points > 1 else shape


def _spacing(entry: SeriesEntry) -> str:
    return "unknown" if entry.spacing_kji_mm is None else " x ".join(f"{mm:.4g}" for mm in entry.spacing_kji_mm)
