"""Every failure segdesk reports, as one tree and one table of codes.

The tree::

    SegdeskError
    ├── ReadError
    │   ├── UnsupportedFormat
    │   ├── InconsistentSeries
    │   ├── NeedsConsent
    │   ├── DecoderDied
    │   └── MissingExtra
    ├── WriteError
    ├── GeometryMismatch (ValueError)
    ├── ShapeMismatch (ValueError)
    ├── InvalidMask (ValueError)
    ├── UsageError (ValueError)
    ├── ConsensusError (ValueError)
    ├── EditError
    ├── StoreError
    │   ├── SchemaTooNew
    │   ├── SaveFailed
    │   └── NotFound (LookupError)
    ├── WorkerError
    └── ModelError
        ├── BadModelFolder
        ├── ImportRefused
        └── OutOfMemory

A message says what went wrong, where, and what to do. `code` is stable and
meant for scripts; the table below is the source of ``docs/codes.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class CodeKind(StrEnum):
    """How a code reaches the user."""

    ERROR = "error"
    REFUSAL = "refusal"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table of codes."""

    name: str
    kind: CodeKind
    meaning: str
    what_to_do: str


def _rows(kind: CodeKind, *rows: tuple[str, str, str]) -> tuple[Code, ...]:
    return tuple(Code(name, kind, meaning, todo) for name, meaning, todo in rows)


CODES: tuple[Code, ...] = (
    *_rows(
        CodeKind.ERROR,
        ("internal", "Something failed that should not.", "Run again with SEGDESK_DEBUG=1 and report it."),
        ("usage", "The command or call was not used as documented.", "See --help."),
        ("not_found", "The named file, case, rater or model does not exist.", "Check the name."),
        ("exists", "The output exists already.", "Give --overwrite, or choose another name."),
        ("unreadable", "The file cannot be read, or is damaged or truncated.", "Copy it again from its source."),
        (
            "unsupported_format",
            "The file is in no format segdesk reads.",
            "Convert it to NIfTI, DICOM, NRRD, MHA, PNG.",
        ),
        ("missing_extra", "An optional package is needed for this file.", "Install the named extra."),
        ("write_failed", "The output could not be written; nothing old was damaged.", "Check space and permissions."),
        ("verify_failed", "The file read back differs from what was written.", "Report it; nothing was replaced."),
        ("geometry_mismatch", "Two objects lie on different grids.", "Resample one of them (--resample)."),
        ("shape_mismatch", "Two arrays have different shapes.", "Use masks of the same image."),
        ("invalid_mask", "The file does not hold integer labels.", "Threshold probabilities first."),
        ("bad_label_table", "A line of the label table cannot be read.", "Mend the line the message names."),
        ("bad_structure_set", "The RT Structure Set contradicts itself.", "Export it again from its source."),
        ("no_reference", "The mask must refer to the DICOM image it was drawn on.", "Name it with --reference."),
        (
            "frame_of_reference",
            "Contours and image lie in different frames of reference.",
            "Name the image they belong to.",
        ),
        ("bad_weight", "A rater's weight is negative or not a number.", "Use 0 (recorded, not counted) or more."),
        ("bad_quorum", "The quorum is not a fraction in (0, 1] or a count.", "Use for example 2/3."),
        ("edit", "The edit is not possible here.", "Read the message."),
        ("store", "The project database refused the operation.", "Read the message; nothing was changed."),
        ("schema_too_new", "The project was written by a newer segdesk.", "Update segdesk."),
        ("save_failed", "Saving failed; the work is kept in memory.", "Free space, then it is written again."),
        ("image_changed", "The image differs from the one the project recorded.", "Restore the original image."),
        ("worker", "A background process failed or died.", "Try again; read the log named in the message."),
        (
            "bad_model",
            "The model folder is damaged, incomplete or not allowed.",
            "Get the folder again; run models verify.",
        ),
        (
            "import_refused",
            "The foreign model is damaged, not allowed, or none segdesk can build; nothing in it was run.",
            "Get its weights as a state dict (.pt or .safetensors), and declare the rest.",
        ),
        (
            "contract_incomplete",
            "Something that a model must say is in none of its files.",
            "Declare it in a contract file (--contract) or in the dialog.",
        ),
        ("wrong_channels", "The image's channels are not those the model expects.", "Name them with --channel."),
        ("out_of_memory", "Not enough memory, also on the CPU.", "Give a smaller --roi."),
        ("device_unavailable", "The requested device is not there.", "Use --device auto or cpu."),
        (
            "engine_differs",
            "With this model the engine draws another mask than torch does.",
            "Use --engine torch or auto.",
        ),
        ("bad_dataset", "The training data are incomplete or inconsistent.", "Read the message; fix the named case."),
        ("diverged", "The training loss is no number; the state before it is kept.", "Use a smaller learning rate."),
        ("missing_library", "A system library is missing.", "Install the named packages."),
    ),
    *_rows(
        CodeKind.REFUSAL,
        ("missing_slice", "An interior slice is missing.", "Find the missing file, or open as a per-slice stack."),
        ("irregular_spacing", "The slices are not evenly spaced.", "Open as a per-slice stack."),
        ("mixed_orientation", "One series holds several orientations.", "Open its stacks one by one."),
        ("mixed_spacing", "One series holds several pixel spacings.", "Open its stacks one by one."),
        ("mixed_size", "One series holds images of several sizes.", "Open its stacks one by one."),
        ("duplicate_position", "Different images at the same position.", "Open the volumes one by one."),
        ("no_position", "The slices carry no position.", "Shown as 2D images without mm."),
        ("bad_geometry", "Orientation, spacing or position is invalid.", "Get the series from its source again."),
        ("several_series", "The folder holds several series.", "Name one with --series."),
        ("truncated", "Pixel data end early.", "Copy the file again."),
        ("bad_pixels", "Pixel data disagree with the header, or cannot be decoded.", "Copy the file again."),
        ("not_an_image", "The object is no image (report, structure set, vector field).", "Open the image itself."),
        ("too_large", "The image is larger than the configured limit.", "Allow it (--allow-large) if you expect it."),
        ("suspicious_size", "The image is far larger than its file.", "Allow it (--allow-large) if you trust it."),
        ("decoder_crashed", "A decoder crashed on the file.", "Convert the file with another program."),
        ("decoder_hung", "A decoder did not come to an end on the file.", "Convert the file with another program."),
        ("decoder_memory", "A decoder took far more memory than the image needs.", "Convert it with another program."),
        ("outside_root", "A directory file names files outside its own folder.", "Open the folder with the images."),
        ("ambiguous_name", "A name fits several files by upper and lower case.", "Rename one of the files."),
        ("empty", "There is nothing to open here.", "Choose a folder with images."),
    ),
    *_rows(
        CodeKind.WARNING,
        ("gantry_tilt", "The slices are sheared (gantry tilt).", "Kept exactly; exports carry the shear."),
        ("spacing_disagrees", "Slice thickness or spacing tag disagrees with positions.", "Positions are used."),
        ("first_or_last_missing", "The number of slices disagrees with the header.", "Check the first and last slice."),
        ("duplicates_dropped", "The same image was there twice.", "One copy is used."),
        ("orientation_unknown", "Left and right are not known.", "Do not use for side decisions."),
        ("spacing_unknown", "Pixel size is not known.", "Lengths and volumes are off."),
        ("detector_spacing", "Pixel size is at the detector, not in the patient.", "Lengths are magnified."),
        ("region_spacing", "Pixel size is that of the ultrasound region.", "Measure inside the region only."),
        ("sform_qform_differ", "sform and qform disagree.", "The sform is used."),
        ("sform_pixdim_differ", "The sform's scale disagrees with pixdim.", "The sform is used."),
        ("sheared", "The affine holds a shear.", "Kept exactly; some programs cannot read it."),
        ("lossy", "The pixels were compressed with loss.", "Know it when you measure."),
        ("nan_values", "The image holds NaN or infinite values.", "Shown as the minimum; left out of statistics."),
        ("axis_dropped", "Axes of length one were dropped.", "Nothing to do."),
        ("no_shear_in_format", "The format cannot hold the geometry exactly.", "Use NIfTI or DICOM SEG."),
        ("not_kept", "The format cannot hold everything.", "Use NIfTI, .seg.nrrd or DICOM SEG to keep it."),
        ("resampled", "The candidate was resampled to the reference's grid.", "Nearest neighbour was used."),
        ("contours_skipped", "Points and open lines enclose nothing.", "They are left out; the regions are listed."),
        ("contours_outside", "Contours lie outside the image.", "They are left out; check the image."),
        ("contours_off_slices", "Contours lie between the slices.", "Read the message; give the image they belong to."),
        (
            "contours_cross",
            "Contours of one region cross or repeat each other.",
            "Check the region on the slices named.",
        ),
        (
            "contour_gaps",
            "A region has slices without a contour between others.",
            "Nothing is filled in; draw them if they lack.",
        ),
        ("other_series", "The contours were drawn on another image.", "Check that they fit this one."),
        (
            "labels_unnamed",
            "The table of labels does not name every label.",
            "Their own names are kept; check the table.",
        ),
        ("renumbered", "Numbers that a mask cannot hold were replaced.", "Names are kept; read the message."),
        ("thresholded", "Fractions were cut at one half.", "Know it when you measure the border."),
        ("simulated", "A reader is simulated.", "Not a person's reading."),
        ("no_pictures", "The window cannot be drawn here.", "Install the system libraries named in the README."),
        ("no_consensus", "The raters do not overlap, or STAPLE distrusts one.", "Send the case to an adjudicator."),
        ("one_rater", "Only one rater.", "This is no consensus."),
        ("rater_counted_once", "One rater was given twice.", "One vote per person is counted."),
        ("patients_unknown", "Patients are not known; the split is by case name.", "Give patients.csv."),
        ("case_excluded", "A case was left out.", "Read the reason."),
    ),
)
"""All codes; names are unique and never change their meaning."""

_BY_NAME = {code.name: code for code in CODES}


def code_named(name: str) -> Code:
    """Return the row of `CODES` called `name`; KeyError when there is none."""
    return _BY_NAME[name]


@dataclass(frozen=True, slots=True)
class Warn:
    """Something the user must be shown, although the work went on."""

    code: str
    message: str

    def __post_init__(self) -> None:
        """Refuse a code that is not in the table."""
        code_named(self.code)

    def to_json(self) -> dict[str, str]:
        """Return the JSON form of CONTRACT: code and message."""
        return {"code": self.code, "message": self.message}


class SegdeskError(Exception):
    """Root of all errors a user can meet.

    Parameters
    ----------
    message : str
        One line: what, where, what to do.
    code : str, optional
        A row of `CODES`; the class's own by default.
    path : path-like, optional
        The file or folder concerned.
    """

    default_code = "internal"

    def __init__(self, message: str, *, code: str | None = None, path: Path | str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code_named(code or self.default_code).name
        self.path = None if path is None else str(path)

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip out of a child process with code and path."""
        return _rebuild, (type(self), self.message, self.code, self.path)

    def to_json(self) -> dict[str, str | None]:
        """Return the JSON form of CONTRACT: code, message, path."""
        return {"code": self.code, "message": self.message, "path": self.path}


def _rebuild(kind: type[SegdeskError], message: str, code: str, path: str | None) -> SegdeskError:
    return kind(message, code=code, path=path)


class ReadError(SegdeskError):
    """A file cannot be read."""

    default_code = "unreadable"


class UnsupportedFormat(ReadError):
    """The file is in no format segdesk knows."""

    default_code = "unsupported_format"


class InconsistentSeries(ReadError):
    """The geometry gate refused a series; `code` says why."""

    default_code = "bad_geometry"


class NeedsConsent(ReadError):
    """The image is very large; the user may allow it (`segdesk.io.limits.allow_large`)."""

    default_code = "too_large"


class DecoderDied(ReadError):
    """A decoder crashed, hung or took too much memory; `code` says which."""

    default_code = "decoder_crashed"


class MissingExtra(ReadError):
    """An optional package is needed; the message names the extra."""

    default_code = "missing_extra"


class WriteError(SegdeskError):
    """An output could not be written; nothing old was damaged."""

    default_code = "write_failed"


class GeometryMismatch(SegdeskError, ValueError):
    """Two objects lie on different grids."""

    default_code = "geometry_mismatch"


class ShapeMismatch(SegdeskError, ValueError):
    """Two arrays have different shapes."""

    default_code = "shape_mismatch"


class InvalidMask(SegdeskError, ValueError):
    """Values are not integer labels."""

    default_code = "invalid_mask"


class UsageError(SegdeskError, ValueError):
    """A command or call was not used as documented."""

    default_code = "usage"


class ConsensusError(SegdeskError, ValueError):
    """Votes cannot be merged as asked."""

    default_code = "usage"


class EditError(SegdeskError):
    """An edit is not possible in the present state."""

    default_code = "edit"


class StoreError(SegdeskError):
    """The project store refused an operation."""

    default_code = "store"


class SchemaTooNew(StoreError):
    """The project was written by a newer segdesk."""

    default_code = "schema_too_new"


class SaveFailed(StoreError):
    """Saving failed; the work is still in memory."""

    default_code = "save_failed"


class NotFound(StoreError, LookupError):
    """A named case, rater, mask or model does not exist."""

    default_code = "not_found"


class WorkerError(SegdeskError):
    """A background process failed or died."""

    default_code = "worker"


class ModelError(SegdeskError):
    """A model cannot be used."""

    default_code = "bad_model"


class BadModelFolder(ModelError):
    """The model folder is damaged, incomplete or not allowed."""

    default_code = "bad_model"


class ImportRefused(ModelError):
    """A foreign model is damaged, not allowed, or none that can be built here; nothing in it was run."""

    default_code = "import_refused"


class OutOfMemory(ModelError):
    """Memory ran out on every device that was tried."""

    default_code = "out_of_memory"
