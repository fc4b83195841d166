"""What is exported, how and where to: the export dialog without its widgets."""

from __future__ import annotations

from pathlib import Path

from segdesk.core.events import Signal
from segdesk.core.labels import Label
from segdesk.session import Session
from segdesk.session.export import ExportContent, ExportOrder, ExportReceipt
from segdesk.session.export_formats import ExportFormat, FormatOffer
from segdesk.ui.models.number_text import count

_PICTURES = (ExportFormat.PNG, ExportFormat.TIFF)


class ExportModel:
    """The choices of one export.

    Parameters
    ----------
    session : Session
        With an open case.
    folder : Path
        Where the file is proposed.

    Signals
    -------
    changed
        Any choice, or what follows from it, is another.
    """

    changed = Signal()

    def __init__(self, session: Session, folder: Path) -> None:
        self._export = session.export
        self._case_name = "" if session.case is None else session.case.record.name
        self._rater_name = "" if session.rater.value is None else session.rater.value.name
        self.labels: tuple[Label, ...] = () if session.case is None else tuple(session.case.labels.table)
        self._values = frozenset(label.value for label in self.labels)
        self._folder = folder
        self._content = ExportContent.MASK
        self._straightened = False
        self._overwrite = False
        self._name = ""
        self._format = ExportFormat.NIFTI
        self._settle()

    @property
    def content(self) -> ExportContent:
        """Mask or image."""
        return self._content

    @property
    def format(self) -> ExportFormat:
        """The chosen format."""
        return self._format

    @property
    def values(self) -> frozenset[int]:
        """Labels of the mask that are included."""
        return self._values

    @property
    def straightened(self) -> bool:
        """Whether a tilted grid is resampled at right angles."""
        return self._straightened

    @property
    def can_straighten(self) -> bool:
        """Whether there is a tilt to take out."""
        return self._export.can_straighten

    @property
    def offers(self) -> tuple[FormatOffer, ...]:
        """Every format, with the reason where it is not possible."""
        return self._export.offers(self._content, straightened=self._straightened)

    @property
    def offer(self) -> FormatOffer:
        """The chosen format with its remarks."""
        return next(each for each in self.offers if each.format is self._format)

    @property
    def path(self) -> Path:
        """The file that will be written."""
        name = self._name or self.suggested_name
        return self._folder / name

    @property
    def suggested_name(self) -> str:
        """The name of the file unless another one is given: the case, whose mask, the format."""
        what = self._rater_name if self._content is ExportContent.MASK else "image"
        stem = "_".join(part for part in (self._case_name, what, "straight" if self._straightened else "") if part)
        return "".join("-" if c in '<>:"/\\|?* ' or ord(c) < 32 else c for c in stem) + self._format.suffix

    @property
    def exists(self) -> bool:
        """Whether there is a file of this name already."""
        return self.path.exists()

    @property
    def problem(self) -> str:
        """Why nothing can be written now, "" when it can."""
        if not self.offer.is_possible:
            return "No format can hold this; see the reasons above."
        if self._content is ExportContent.MASK and self.labels and not self._values:
            return "Tick at least one label."
        if not self.path.name.lower().endswith(self._format.suffix):
            return f"The name must end in {self._format.suffix}."
        if self.path.is_dir() or not self.path.parent.is_dir():
            return f"The folder {self.path.parent} does not exist; choose another one."
        return "The file exists; tick that it may be replaced, or change the name." if self._must_ask else ""

    @property
    def overwrite(self) -> bool:
        """Whether the file may be replaced."""
        return self._overwrite

    @property
    def order(self) -> ExportOrder:
        """What shall be written, as chosen."""
        everything = len(self._values) == len(self.labels)
        is_mask = self._content is ExportContent.MASK
        values = self._values if is_mask and not everything else None
        return ExportOrder(self._content, self._format, self.path, values, self._straightened, self._overwrite)

    def choose_content(self, content: ExportContent) -> None:
        """Export the mask, or the image."""
        self._content = content
        self._settle()

    def choose_format(self, chosen: ExportFormat) -> None:
        """Write this format; a name that was typed keeps its stem."""
        if self._name.lower().endswith(self._format.suffix):
            self._name = self._name[: -len(self._format.suffix)] + chosen.suffix
        self._format = chosen
        self._overwrite = False
        self.changed.emit()

    def choose_values(self, values: frozenset[int]) -> None:
        """Include these labels."""
        self._values = values
        self.changed.emit()

    def straighten(self, straightened: bool) -> None:
        """Take the tilt out, or leave it in."""
        self._straightened = straightened
        self._settle()

    def choose_path(self, text: str) -> None:
        """Write to this file; an empty name means the suggested one."""
        path = Path(text).expanduser()
        self._folder, self._name = path.parent, path.name
        self._overwrite = False
        self.changed.emit()

    def allow_overwrite(self, allowed: bool) -> None:
        """Let the existing file be replaced, or not."""
        self._overwrite = allowed
        self.changed.emit()

    def note_written(self) -> None:
        """Take back that the file may be replaced: it is there now, and writing it again is another decision."""
        self._overwrite = False
        self.changed.emit()

    @property
    def _must_ask(self) -> bool:
        return self.exists and not self._overwrite

    def _settle(self) -> None:
        """Choose a format that is possible, keep the present one if it is."""
        possible = [each.format for each in self.offers if each.is_possible]
        if possible and self._format not in possible:
            self.choose_format(possible[0])
        else:
            self._overwrite = False
            self.changed.emit()


def receipt_text(receipt: ExportReceipt) -> str:
    """Return what was written, and that it was compared."""
    k, j, i = receipt.shape_kji
    held = "Voxels" if receipt.order.format in _PICTURES else "Voxels, place and names"
    if receipt.order.content is ExportContent.IMAGE or receipt.order.format is ExportFormat.META:
        held = "Voxels" if receipt.order.format in _PICTURES else "Voxels and place"
    drawn = [label for label in receipt.labels if label.voxels]
    parts = [f"{i} × {j} × {k} voxels"]
    if receipt.order.content is ExportContent.MASK:
        parts.append(count(len(drawn), "label") if drawn else "an empty mask")
    parts.append(
        f"{receipt.size_bytes / 1024:.3g} KiB"
        if receipt.size_bytes < 1 << 20
        else f"{receipt.size_bytes / (1 << 20):.3g} MiB"
    )
    return f"{receipt.order.path.name} was written and read back. {held} are identical: {', '.join(parts)}."
