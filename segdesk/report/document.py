"""What a report says, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Share:
    """A number in [0, 1] that is drawn with a bar; None is undefined."""

    value: float | None


Cell = str | int | float | Share | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names.

    Parameters
    ----------
    columns : tuple of str
        With the unit: "HD95 (mm)".
    rows : tuple of tuple
        None is shown as a dash: undefined, not zero.
    caption : str
        What the table shows, and of how many cases.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG, embedded in the page.

    Parameters
    ----------
    png : bytes
        The file's content.
    caption : str
        What it shows; also read out to those who cannot see it.
    """

    png: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG made by `segdesk.report.histogram`, put into the page as it is."""

    svg: str
    caption: str


class Tone(StrEnum):
    """How a notice is meant."""

    CAUTION = "caution"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that must not be overlooked."""

    text: str
    tone: Tone = Tone.NOTE


Item = str | Table | Picture | Drawing | Notice
"""A str is a paragraph."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, in order."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One headline number: "0.89", "mean Dice", "of 31 cases"."""

    value: str
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A report.

    Parameters
    ----------
    title, lead : str
        Headline, and one paragraph that says what was done.
    notices : tuple of Notice
        At the top of the page.
    figures : tuple of Figure
        Headline numbers, three to five.
    sections : tuple of Section
        The body.
    colophon : tuple of (str, str)
        Software, versions, hashes: at the foot.
    """

    title: str
    lead: str
    notices: tuple[Notice, ...]
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    colophon: tuple[tuple[str, str], ...] = ()
