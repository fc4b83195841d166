"""What a folder holds, as the series browser and `segdesk info` show it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.labels import Colour, Label, LabelMap
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import Volume
from segdesk.errors import InconsistentSeries, UsageError, Warn, code_named
from segdesk.io.label_json import concept_to_json

Json = dict[str, object]
Reader = Callable[[Progress], Volume]
"""Reads the voxels of one entry; raises `ReadError`; lets `Cancelled` pass."""

SliceReader = Callable[[int, int, Progress], Volume]
"""Reads one slice of one time point (k, point, report) without the others."""

MaskReader = Callable[[Progress], LabelMap]
"""Reads the labels of one entry, on the entry's own grid."""


class SeriesKind(StrEnum):
    """What an entry becomes when it is opened."""

    VOLUME = "volume"
    STACK = "stack"
    IMAGE2D = "image2d"
    CINE = "cine"
    SERIES4D = "4d"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not opened: a code of `segdesk.errors.CODES`, words, number of files."""

    code: str
    message: str
    files: int

    def __post_init__(self) -> None:
        """Refuse a code that is not in the table."""
        code_named(self.code)

    def to_json(self) -> Json:
        """Return the JSON form of CONTRACT."""
        return {"code": self.code, "message": self.message, "files": self.files}


@dataclass(frozen=True, slots=True)
class MaskSummary:
    """What a mask object holds, as its header says.

    Parameters
    ----------
    kind : str
        "BINARY", "FRACTIONAL", "LABELMAP"...
    labels : tuple of Label
        Ascending by value.
    referenced_series_uid : str
        Series of the image it was drawn on, "" when it is not said.
    """

    kind: str
    labels: tuple[Label, ...]
    referenced_series_uid: str = ""

    def to_json(self) -> Json:
        """Return the JSON form: type, image, and one row a segment."""
        return {
            "type": self.kind,
            "referenced_series_uid": self.referenced_series_uid or None,
            "segments": [
                {
                    "number": label.value,
                    "name": label.name,
                    "colour_rgb": list(label.colour_rgb),
                    **concept_to_json(label.concept),
                }
                for label in self.labels
            ],
        }


@dataclass(frozen=True, slots=True)
class RegionSummary:
    """A region of an RT Structure Set: number, name, colour, and how many contours draw it."""

    number: int
    name: str
    colour_rgb: Colour
    contours: int

    def to_json(self) -> Json:
        """Return the JSON form, one row of ``rois``."""
        return {
            "number": self.number,
            "name": self.name,
            "colour_rgb": list(self.colour_rgb),
            "contours": self.contours,
        }


@dataclass(frozen=True, slots=True)
class StructureSetSummary:
    """What an RT Structure Set holds: a mask without a grid of its own.

    Parameters
    ----------
    label : str
        As its author called it.
    referenced_series_uids : tuple of str
        Series of the images it was drawn on.
    regions : tuple of RegionSummary
        In the order of the file.
    """

    label: str
    referenced_series_uids: tuple[str, ...]
    regions: tuple[RegionSummary, ...]

    def to_json(self) -> Json:
        """Return the JSON form: kind, image, and one row a region."""
        return {
            "kind": "rtstruct",
            "label": self.label,
            "referenced_series_uid": next(iter(self.referenced_series_uids), None),
            "rois": [region.to_json() for region in self.regions],
        }


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """One thing that can be opened.

    Parameters
    ----------
    uid : str
        DICOM series UID (with "/2"... where a series was split), or the file's name
        relative to what was scanned. Unique within a scan.
    kind : SeriesKind
        STACK is never a volume: its slices are irregular or have no place.
    modality : str
        "CT", "MR"..., "" when unknown.
    geometry : Geometry or SliceStackGeometry
        From the headers.
    dtype : str
        NumPy name of the array that `read` returns, as the headers promise it.
    files : int
        Number of files it is made of.
    warnings : tuple of Warn
        What the user must be shown.
    description : str
        Series description or file name; never a patient's name.
    time_points : int
        Length of the time axis, 1 for none.
    refusal : Refusal, optional
        For stacks: why this is no volume.
    paths : tuple of Path
        Its files, in slice order.
    reader : callable
        Reads the voxels.
    patient_position : str
        PatientPosition as DICOM spells it ("HFS", "FFDR"...): text only, the geometry is
        that of the slices' own orientation.
    patient_key : str
        Tells patients apart without naming them; "" when unknown.
    worst_deviation_mm : float, optional
        Of a slice from its place on the fitted line; None where positions were not judged.
    mask : MaskSummary, optional
        What is in it, for objects that are masks by their kind (DICOM SEG); None for images.
    mask_reader : callable, optional
        Reads the labels of such an object.
    slice_reader : callable, optional
        Reads one slice; None where that takes as long as reading everything.
    """

    uid: str
    kind: SeriesKind
    modality: str
    geometry: Grid
    dtype: str
    files: int
    reader: Reader = field(repr=False, compare=False)
    warnings: tuple[Warn, ...] = ()
    description: str = ""
    time_points: int = 1
    refusal: Refusal | None = None
    paths: tuple[Path, ...] = field(default=(), repr=False)
    patient_position: str = ""
    patient_key: str = field(default="", repr=False)
    worst_deviation_mm: float | None = None

    mask: MaskSummary | None = None
    mask_reader: MaskReader | None = field(default=None, repr=False, compare=False)
    slice_reader: SliceReader | None = field(default=None, repr=False, compare=False)

    @property
    def is_mask(self) -> bool:
        """Whether it is a mask by its kind and never "the series of the folder"."""
        return self.mask is not None

    @property
    def shape_kji(self) -> Index3:
        """Number of slices, rows, columns."""
        return self.geometry.shape_kji

    @property
    def decoded_bytes(self) -> int:
        """What the voxels take in memory, from the header."""
        return math.prod(self.shape_kji) * self.time_points * np.dtype(self.dtype).itemsize

    @property
    def spacing_kji_mm(self) -> tuple[float, float, float] | None:
        """Voxel size in mm; None where it is not known or differs between slices."""
        geometry = self.geometry
        return geometry.spacing_kji_mm if isinstance(geometry, Geometry) and geometry.spacing_known else None

    @property
    def orientation(self) -> str:
        """Three letters in (i, j, k) order as nibabel prints them, or "unknown"."""
        return self.geometry.orientation if isinstance(self.geometry, Geometry) else "unknown"

    def read(self, report: Progress = silent) -> Volume:
        """Read the voxels.

        Returns
        -------
        Volume
            On `geometry`; a stack comes with its `SliceStackGeometry`.

        Raises
        ------
        ReadError
            If the pixels are truncated or cannot be decoded.
        """
        return self.reader(report)

    @property
    def has_single_slices(self) -> bool:
        """Whether one slice can be read without the others."""
        return self.slice_reader is not None

    def read_slice(self, k: int, report: Progress = silent, *, point: int = 0) -> Volume:
        """Read one slice, without the others.

        Parameters
        ----------
        k : int
            Which slice.
        report : Progress
        point : int
            Of a series over time.

        Returns
        -------
        Volume
            Shape (1, J, I) or (1, J, I, 3): the values, type, windows and place that this
            slice has in what `read` returns.

        Raises
        ------
        ReadError
            As `read`.
        UsageError
            If there is no such slice, or it cannot be had alone (`has_single_slices`).
        """
        if self.slice_reader is None:
            raise UsageError(f"{self.description or self.uid} can only be read as a whole.")
        if not (0 <= k < self.shape_kji[0] and 0 <= point < self.time_points):
            raise UsageError(f"{self.description or self.uid} has no slice {k} at point {point}.")
        return self.slice_reader(k, point, report)

    def read_labels(self, report: Progress = silent) -> LabelMap:
        """Read the labels of a mask object, on `geometry`.

        Raises
        ------
        ReadError
            As `read`.
        UsageError
            If the entry is an image.
        """
        if self.mask_reader is None:
            raise UsageError(f"{self.description or self.uid} is an image; read it as one.")
        return self.mask_reader(report)

    def require_volume(self) -> SeriesEntry:
        """Return itself; InconsistentSeries with the gate's reason when it is only a stack."""
        if self.refusal is not None:
            path = self.paths[0].parent if self.paths else None
            raise InconsistentSeries(self.refusal.message, code=self.refusal.code, path=path)
        return self

    def to_json(self) -> Json:
        """Return the JSON form of CONTRACT (`info`)."""
        regular = self.geometry if isinstance(self.geometry, Geometry) else None
        return {
            "uid": self.uid,
            "kind": str(self.kind),
            "modality": self.modality,
            "description": self.description,
            "shape_kji": list(self.shape_kji),
            "time_points": self.time_points,
            "spacing_kji_mm": list(self.spacing_kji_mm) if self.spacing_kji_mm else None,
            "affine_kji_to_lps": regular.affine_kji_to_lps.tolist() if regular else None,
            "geometry_source": self.geometry.source,
            "dtype": self.dtype,
            "orientation": self.orientation,
            "patient_position": self.patient_position or None,
            "worst_deviation_mm": self.worst_deviation_mm,
            "files": self.files,
            "is_mask": self.is_mask,
            **({} if self.mask is None else {"segmentation": self.mask.to_json()}),
            "warnings": [warning.to_json() for warning in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Everything found at a path.

    Parameters
    ----------
    path : Path
        What was scanned.
    series : tuple of SeriesEntry
        What can be opened.
    skipped : int
        Files that are neither images nor masks (text, reports).
    refused : tuple of Refusal
        Images that cannot be opened, or not as a volume, and why.
    structure_sets : tuple of StructureSetSummary
        The RT Structure Set that was named itself; those of a folder are skipped and counted.
    """

    path: Path
    series: tuple[SeriesEntry, ...]
    skipped: int
    refused: tuple[Refusal, ...]
    structure_sets: tuple[StructureSetSummary, ...] = ()

    @property
    def images(self) -> tuple[SeriesEntry, ...]:
        """The entries that are images: what "the one series of the folder" means."""
        return tuple(entry for entry in self.series if not entry.is_mask)

    @property
    def masks(self) -> tuple[SeriesEntry, ...]:
        """The entries that are masks by their kind."""
        return tuple(entry for entry in self.series if entry.is_mask)

    def to_json(self) -> Json:
        """Return the JSON form of CONTRACT (`info`)."""
        return {
            "path": str(self.path),
            "series": [entry.to_json() for entry in self.series],
            "skipped": self.skipped,
            "refused": [refusal.to_json() for refusal in self.refused],
            "structure_sets": [each.to_json() for each in self.structure_sets],
        }
