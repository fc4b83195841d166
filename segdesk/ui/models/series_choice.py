"""What a scanned folder offers, and which of it becomes a case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segdesk.core.events import Signal
from segdesk.errors import code_named
from segdesk.io.series import Refusal, ScanResult, SeriesEntry, SeriesKind
from segdesk.ui.models.number_text import count

KIND_WORDS = {
    SeriesKind.VOLUME: "Volume",
    SeriesKind.STACK: "Separate slices",
    SeriesKind.IMAGE2D: "2D image",
    SeriesKind.CINE: "Cine",
    SeriesKind.SERIES4D: "Volume over time",
}

_FILES, _MASKS = "Files", "Masks"
_GROUPS_WITHOUT_PATIENT = (_FILES, _MASKS)


@dataclass(frozen=True, slots=True)
class Remark:
    """Something one must know before opening a series.

    Parameters
    ----------
    code : str
        A row of `segdesk.errors.CODES`.
    text : str
        What it is here, in words.
    what_to_do : str
        What follows from it.
    is_refusal : bool
        Whether it keeps the series from being a volume.
    """

    code: str
    text: str
    what_to_do: str
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of the folder.

    Parameters
    ----------
    entry : SeriesEntry
        As scanned.
    name : str
        Name the case would get; it tells nothing of the patient.
    path : Path
        What is opened: the file, or the folder together with the series' uid.
    series_uid : str
        Series inside the folder, "" for a file of its own.
    """

    entry: SeriesEntry
    name: str
    path: Path
    series_uid: str

    @property
    def is_stack(self) -> bool:
        """Whether it is no volume and opens as separate slices."""
        return self.entry.refusal is not None

    @property
    def kind_text(self) -> str:
        """What it is: "Volume over time · 20 points"."""
        if self.entry.mask is not None:
            return f"Mask · {count(len(self.entry.mask.labels), 'segment')}"
        words = KIND_WORDS[self.entry.kind]
        points = self.entry.time_points
        return (
            f"{words} · {points} {'frames' if self.entry.kind is SeriesKind.CINE else 'points'}"
            if points > 1
            else words
        )

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """Everything one must know before opening it, the reason why it is no volume first."""
        refusal = self.entry.refusal
        first = () if refusal is None else (_remark(refusal.code, refusal.message, is_refusal=True),)
        said = {each.text for each in first}
        others = (_remark(each.code, each.message) for each in self.entry.warnings)
        return (*first, *(each for each in others if each.text not in said))


@dataclass(frozen=True, slots=True)
class SeriesGroup:
    """Rows that belong together: of one patient, or files of their own."""

    title: str
    rows: tuple[SeriesRow, ...]


class SeriesChoice:
    """Rows of a scan, which of them are chosen, and what could not be opened.

    Signals
    -------
    changed
        The choice is another.
    filtered
        Other rows are shown.
    """

    changed = Signal()
    filtered = Signal()

    def __init__(self, result: ScanResult, taken_names: Iterable[str] = ()) -> None:
        self.result = result
        self.rows = _rows(result, set(taken_names))
        # Stacks stay unchosen: someone should have read why they are no volume. Masks belong to an image.
        self._chosen = {row.entry.uid for row in self.rows if not row.is_stack and not row.entry.is_mask}
        self._words = ""

    @property
    def chosen(self) -> tuple[SeriesRow, ...]:
        """The rows that will be added, in the order shown."""
        return tuple(row for row in self.rows if row.entry.uid in self._chosen)

    def is_chosen(self, row: SeriesRow) -> bool:
        """Whether a row will be added."""
        return row.entry.uid in self._chosen

    def choose(self, row: SeriesRow, chosen: bool) -> None:
        """Add a row to the choice or take it out."""
        if chosen != self.is_chosen(row):
            self._chosen ^= {row.entry.uid}
            self.changed.emit()

    def choose_shown(self, chosen: bool) -> None:
        """Add all rows that are shown to the choice, or take them out."""
        shown = {row.entry.uid for group in self.groups for row in group.rows}
        after = self._chosen | shown if chosen else self._chosen - shown
        if after != self._chosen:
            self._chosen = after
            self.changed.emit()

    @property
    def words(self) -> str:
        """Only rows that hold all these words are shown."""
        return self._words

    @words.setter
    def words(self, words: str) -> None:
        if words.casefold().split() != self._words.casefold().split():
            self._words = words
            self.filtered.emit()
        self._words = words

    @property
    def groups(self) -> tuple[SeriesGroup, ...]:
        """The rows that are shown, by patient; patients are numbered, never named."""
        keys = [key for key in dict.fromkeys(map(_group_key, self.rows)) if key not in _GROUPS_WITHOUT_PATIENT]
        titles = {key: f"Patient {number}" if len(keys) > 1 else "DICOM" for number, key in enumerate(keys, 1)}
        shown: dict[str, list[SeriesRow]] = {}
        for key in (*keys, *_GROUPS_WITHOUT_PATIENT):
            rows = [row for row in self.rows if _group_key(row) == key and self._matches(row)]
            if rows:
                shown[key] = rows
        is_only = len(shown) == 1 and len(keys) <= 1
        return tuple(SeriesGroup("" if is_only else titles.get(key, key), tuple(rows)) for key, rows in shown.items())

    @property
    def is_simple(self) -> bool:
        """Whether there is nothing to ask: one series, no remarks, nothing refused."""
        return len(self.rows) == 1 and not self.rows[0].remarks and not self.result.refused

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What cannot be opened at all; stacks are rows instead."""
        as_slices = [row.entry.refusal for row in self.rows if row.entry.refusal is not None]
        left = list(self.result.refused)
        for each in as_slices:
            if each in left:
                left.remove(each)
        return tuple(left)

    def skipped_text(self) -> str:
        """Return what was passed over: "3 files are no images and were skipped."; "" for nothing."""
        if not self.result.skipped:
            return ""
        verb = "is no image and was" if self.result.skipped == 1 else "are no images and were"
        return f"{count(self.result.skipped, 'file')} {verb} skipped."

    def _matches(self, row: SeriesRow) -> bool:
        entry = row.entry
        text = f"{row.name} {entry.description} {entry.modality} {row.kind_text}".casefold()
        return all(word in text for word in self._words.casefold().split())


def refusal_remark(refusal: Refusal) -> Remark:
    """Return why something was refused, how many files it concerns, and what to do."""
    message = refusal.message.rstrip(".")
    return _remark(refusal.code, f"{message} ({count(refusal.files, 'file')}).", is_refusal=True)


def _remark(code: str, text: str, *, is_refusal: bool = False) -> Remark:
    return Remark(code, text, code_named(code).what_to_do, is_refusal)


def _group_key(row: SeriesRow) -> str:
    return row.entry.patient_key or (_MASKS if row.entry.is_mask else _FILES)


def _rows(result: ScanResult, taken: set[str]) -> tuple[SeriesRow, ...]:
    rows = []
    for entry in result.series:
        file = result.path if result.path.is_file() else result.path / entry.uid
        is_file = entry.files == 1 and file.is_file() and entry.uid.split("/")[-1] == file.name
        name = _free_name(
            _stem(file.name) if is_file else entry.description or _name_by_place(entry, result.path), taken
        )
        taken.add(name)
        rows.append(SeriesRow(entry, name, file if is_file else result.path, "" if is_file else entry.uid))
    return tuple(rows)


def _name_by_place(entry: SeriesEntry, root: Path) -> str:
    """Return the name of the one file, or of the folder the files lie in, from what was scanned."""
    if len(entry.paths) == 1:
        return _stem(entry.paths[0].name)
    folders = {path.parent for path in entry.paths}
    folder = folders.pop() if len(folders) == 1 else root
    return " ".join(folder.relative_to(root).parts) if folder != root and folder.is_relative_to(root) else root.name


def _stem(name: str) -> str:
    return name.removesuffix(".gz").rsplit(".", 1)[0] if "." in name else name


def _free_name(wanted: str, taken: set[str]) -> str:
    clean = " ".join(wanted.split()) or "case"
    number, name = 1, clean
    while name in taken:
        number += 1
        name = f"{clean} {number}"
    return name
