"""`segdesk convert`: images and masks from one format to another, with the geometry kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page, Refused
from segdesk.cli.files import require_exists, require_free
from segdesk.cli.options import JsonOption, OverwriteOption, QuietOption
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.errors import UsageError, Warn
from segdesk.io import read_labels, read_volume, scan, write_labels, write_volume
from segdesk.io.formats import Format, sniff

SourceArgument = Annotated[Path, typer.Argument(help="An image, a mask, or a DICOM folder.", show_default=False)]
TargetArgument = Annotated[
    Path, typer.Argument(help=".nii.gz, .nii, .nrrd, .seg.nrrd, .mha, .png or .tif.", show_default=False)
]
MaskOption = Annotated[bool, typer.Option("--mask", help="The source is a mask: whole numbers, names kept.")]


def convert(
    src: SourceArgument,
    dst: TargetArgument,
    series: Annotated[str, typer.Option(help="Which series, where there are several (see segdesk info).")] = "",
    mask: MaskOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Convert an image or a mask; what is written is read back and compared first."""
    require_exists(src)
    require_free((dst,), overwrite=overwrite, inputs=[src])
    console = Console(json=json, quiet=quiet)
    warnings: tuple[Warn, ...] = ()
    with console.progress(f"Converting {src.name}") as report:
        if mask or _is_mask(src, dst):
            payload = _convert_mask(src, dst, overwrite)
        else:
            volume = _read(src, series, report)
            write_volume(volume, dst, overwrite=overwrite)
            payload, warnings = _image_json(dst, volume), volume.warnings
    console.warn(warnings)
    console.show({**payload, "warnings": [w.to_json() for w in warnings]}, lambda page: _page(page, payload))


def _is_mask(src: Path, dst: Path) -> bool:
    """Whether names say so (.seg.nrrd), or the file carries a table of labels."""
    if any(path.name.lower().endswith(".seg.nrrd") for path in (src, dst)):
        return True
    if src.is_dir() or sniff(src) is not Format.NIFTI:
        return False
    from segdesk.io.nifti import open_nifti

    return open_nifti(src).table is not None


def _read(src: Path, series: str, report: Progress) -> Volume:
    """Read the one series, or the one named; several without a name are refused with a list."""
    try:
        return read_volume(src, series_uid=series or None, report=report)
    except UsageError as error:
        if error.code != "several_series":
            raise
        raise Refused(error, {"series": [entry.to_json() for entry in scan(src).series]}) from error


def _convert_mask(src: Path, dst: Path, overwrite: bool) -> Json:
    labels = read_labels(src)
    write_labels(labels, dst, overwrite=overwrite)
    names = {str(label.value): label.name for label in labels.table}
    return {**_grid_json(dst, labels.geometry), "dtype": str(labels.array.dtype), "labels": names}


def _image_json(dst: Path, volume: Volume) -> Json:
    return {**_grid_json(dst, volume.geometry), "dtype": str(volume.array.dtype), "time_points": volume.time_points}


def _grid_json(dst: Path, grid: Grid) -> Json:
    regular = grid if isinstance(grid, Geometry) else None
    return {
        "path": dst,
        "shape_kji": grid.shape_kji,
        "spacing_kji_mm": None if regular is None or not regular.spacing_known else regular.spacing_kji_mm,
        "affine_kji_to_lps": None if regular is None else regular.affine_kji_to_lps,
        "orientation": "unknown" if regular is None else regular.orientation,
    }


def _page(page: Page, payload: Json) -> None:
    shape = "x".join(str(n) for n in payload["shape_kji"])
    page.line(f"{payload['path']}: {shape} {payload['dtype']}, axes {payload['orientation']}")
