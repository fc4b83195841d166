"""`segdesk convert`: images and masks from one format to another, with the geometry kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page, Refused
from segdesk.cli.convert_table import convert_table
from segdesk.cli.files import require_exists, require_free
from segdesk.cli.options import AllowLargeOption, JsonOption, OverwriteOption, QuietOption
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.labels import LabelMap, LabelTable, present_values
from segdesk.core.progress import Progress
from segdesk.core.resample import resample_volume
from segdesk.core.straighten import right_angled
from segdesk.core.volume import Volume
from segdesk.errors import UsageError, Warn
from segdesk.io import ScanResult, SeriesEntry, read_labels, scan, write_labels, write_volume
from segdesk.io.atomic import name_suffix
from segdesk.io.formats import Format, sniff
from segdesk.io.kept import not_kept
from segdesk.io.label_tables import TABLE_SUFFIXES, read_label_table, with_table
from segdesk.io.reading import choose_series

SourceArgument = Annotated[Path, typer.Argument(help="An image, a mask, or a DICOM folder.", show_default=False)]
TargetArgument = Annotated[
    Path,
    typer.Argument(
        help=".nii.gz, .nii, .nrrd, .seg.nrrd, .mha, .png, .tif, or .dcm for a mask; "
        ".ctbl, .csv, .label, .lut... for its table of labels.",
        show_default=False,
    ),
]
MaskOption = Annotated[bool, typer.Option("--mask", help="The source is a mask: whole numbers, names kept.")]
ReferenceOption = Annotated[
    Path | None,
    typer.Option(
        help="The image a mask belongs to: the mask is brought onto its whole grid. Needed to write .dcm.",
        show_default=False,
    ),
]
SegTypeOption = Annotated[
    str,
    typer.Option(help="What a mask in .dcm becomes: binary or labelmap (DICOM Segmentation), rtstruct (contours)."),
]
TableOption = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Names and colours for a mask: a table of Slicer, ITK-SNAP or FreeSurfer, or another mask.",
        show_default=False,
    ),
]
LayersOption = Annotated[
    bool, typer.Option("--split-layers", help="Overlapping segments: one numbered file a layer (out_1.nii.gz).")
]
StraightenOption = Annotated[
    bool,
    typer.Option(
        "--straighten", help="Resample a tilted image (gantry tilt) at right angles, for programs without shear."
    ),
]

MOST_UNNAMED_LABELS = 255
"""A file without names and with more values than these is an image, unless the user says it is a mask."""


def convert(
    src: SourceArgument,
    dst: TargetArgument,
    series: Annotated[str, typer.Option(help="Which series, where there are several (see segdesk info).")] = "",
    mask: MaskOption = False,
    reference: ReferenceOption = None,
    seg_type: SegTypeOption = "binary",
    labels: TableOption = None,
    split_layers: LayersOption = False,
    straighten: StraightenOption = False,
    overwrite: OverwriteOption = False,
    allow_large: AllowLargeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Convert an image or a mask; what is written is read back and compared first."""
    inputs = [path for path in (src, labels) if path is not None]
    require_exists(*inputs)
    require_free((dst,), overwrite=overwrite, inputs=inputs)
    console = Console(json=json, quiet=quiet)
    if dst.name.lower().endswith(TABLE_SUFFIXES):
        convert_table(src, dst, console, overwrite=overwrite)
        return
    warnings: tuple[Warn, ...] = ()
    with console.progress(f"Converting {src.name}") as report:
        is_mask = mask or reference is not None or labels is not None or _is_mask(src, dst)
        image = None if is_mask else _chosen(scan(src, report), series)
        if image is None or image.is_mask:
            if straighten:
                raise UsageError(
                    "--straighten is for images; a mask is brought onto its image's grid with --reference."
                )
            job = MaskJob(src, series, dst, reference, labels, seg_type, split_layers, mask, overwrite)
            payload, warnings = job.run(report)
        else:
            volume = image.require_volume().read(report)
            volume = _straightened(volume) if straighten else volume
            write_volume(volume, dst, overwrite=overwrite)
            payload = _image_json(dst, volume)
            warnings = (*volume.warnings, *not_kept(dst, volume.geometry))
    console.warn(warnings)
    console.show({**payload, "warnings": [w.to_json() for w in warnings]}, lambda page: _page(page, payload))


@dataclass(frozen=True, slots=True)
class MaskJob:
    """Converting one mask: what the options say."""

    src: Path
    series: str
    dst: Path
    reference: Path | None
    table: Path | None
    seg_type: str
    split_layers: bool
    is_sure: bool
    overwrite: bool

    def run(self, report: Progress) -> tuple[Json, tuple[Warn, ...]]:
        """Read, write one file or several, and say what was written."""
        labels = read_labels(self.src, series_uid=self.series or None, reference=self.reference, report=report)
        if self.table is not None:
            labels = with_table(labels, read_label_table(self.table))
        self._require_labels(labels)
        targets = self._targets(labels)
        for path, part in targets:
            write_labels(
                part,
                path,
                overwrite=self.overwrite,
                reference=self.reference,
                seg_type=self.seg_type,
                report=report,
            )
        names = {str(label.value): label.name for label in labels.table}
        grid = _grid_json(targets[0][0], labels.geometry)
        paths = [str(path) for path, _ in targets]
        return {**grid, "dtype": str(labels.array.dtype), "labels": names, "files": paths}, (
            *labels.warnings,
            *not_kept(self.dst, labels.geometry, labels.table),
        )

    def _require_labels(self, labels: LabelMap) -> None:
        """Refuse to make hundreds of segments of an image's grey values by mistake."""
        if not self.is_sure and _is_dicom(self.dst) and len(labels.table) > MOST_UNNAMED_LABELS:
            raise UsageError(
                f"{self.src.name} holds {len(labels.table)} values and looks like an image, and segdesk writes DICOM "
                "for masks only; give --mask if it is one.",
                path=self.src,
            )

    def _targets(self, labels: LabelMap) -> list[tuple[Path, LabelMap]]:
        if not self.split_layers or len(labels.layers) == 1:
            return [(self.dst, labels)]
        suffix = name_suffix(self.dst)
        stem = self.dst.name.removesuffix(suffix)
        paths = [self.dst.with_name(f"{stem}_{n}{suffix}") for n in range(1, len(labels.layers) + 1)]
        require_free(paths, overwrite=self.overwrite, inputs=[self.src])
        return [(path, _layer(labels, n)) for n, path in enumerate(paths)]


def _layer(labels: LabelMap, number: int) -> LabelMap:
    """Return one layer with the labels that are on it."""
    array = labels.layers[number]
    table = LabelTable(label for label in labels.table if label.value in present_values(array))
    return LabelMap((array,), labels.geometry, table, labels.origin)


def _is_dicom(path: Path) -> bool:
    return path.suffix.lower() == ".dcm"


def _is_mask(src: Path, dst: Path) -> bool:
    """Whether names say so (.seg.nrrd, .dcm), the file is a mask by its kind, or carries a table of labels."""
    if any(path.name.lower().endswith(".seg.nrrd") for path in (src, dst)):
        return True
    kind = None if src.is_dir() else sniff(src)
    if _is_dicom(dst) and kind not in (None, Format.DICOM):
        return True
    if kind is not Format.NIFTI:
        return kind in (Format.DICOM_SEG, Format.RTSTRUCT)
    from segdesk.io.nifti import open_nifti

    return open_nifti(src).table is not None


def _chosen(found: ScanResult, series: str) -> SeriesEntry:
    """Return the series meant: the one named, the one image, or else the one mask; several are refused with a list."""
    if not series and not found.images and len(found.masks) == 1:
        return found.masks[0]
    try:
        return choose_series(found, series or None)
    except UsageError as error:
        if error.code != "several_series":
            raise
        raise Refused(error, {"series": [entry.to_json() for entry in found.series]}) from error


def _straightened(volume: Volume) -> Volume:
    """Return the image on the right-angled grid around its own, linear; outside it has its least value."""
    if not isinstance(volume.geometry, Geometry) or volume.time_points > 1 or volume.is_rgb:
        raise UsageError("Only a single grey volume can be straightened.")
    if not volume.geometry.is_sheared:
        return volume
    told = tuple(warning for warning in volume.warnings if warning.code not in ("gantry_tilt", "sheared"))
    tilt = Warn("gantry_tilt", "The slices were tilted; they were resampled at right angles, linear, as asked.")
    straight = resample_volume(volume, right_angled(volume.geometry), fill=float(volume.array.min()))
    return replace(straight, warnings=(*told, tilt))


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
        "geometry_source": grid.source,
    }


def _page(page: Page, payload: Json) -> None:
    shape = "x".join(str(n) for n in payload["shape_kji"])
    page.line(f"{payload['path']}: {shape} {payload['dtype']}, axes {payload['orientation']}")
