"""DICOMDIR: which files a medium says it holds, confined to the folder it lies in.

A directory file is a list of names written by somebody else (DICOM PS3.10 8.5: up to eight
components of a path below the DICOMDIR). A name never leads outside: not by an absolute
path, not by "..", not through a link.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom

from segdesk.errors import ReadError
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.values import DAMAGED_FILE, items_of, texts_of, whole_of
from segdesk.io.series import Refusal

MAX_FILES = 200_000
"""Files of one directory; a whole-body study with all its series has some ten thousand."""

MAX_DEPTH = 16
"""Components of a name; the standard allows eight."""

_NAMED = 5
"""Names quoted in a message."""


@dataclass(frozen=True, slots=True)
class DirectoryListing:
    """What a DICOMDIR names.

    Parameters
    ----------
    files : tuple of Path
        Those that are there, each once, in the order of the directory.
    refused : tuple of Refusal
        ``not_found`` for missing ones, ``outside_root`` for names that lead elsewhere,
        ``ambiguous_name`` for those that fit two files.
    """

    files: tuple[Path, ...]
    refused: tuple[Refusal, ...]


def list_directory(path: Path) -> DirectoryListing:
    """Read a DICOMDIR and find the files it names below its folder.

    Upper and lower case may differ: media are mounted with either.

    Raises
    ------
    ReadError
        ``unreadable`` when it is damaged, ``too_large`` above `MAX_FILES`, ``empty`` when it
        names nothing.
    """
    names = list(dict.fromkeys(_names_in(path)))
    if len(names) > MAX_FILES:
        raise ReadError(f"{path.name} names {len(names)} files; at most {MAX_FILES}.", code="too_large", path=path)
    if not names:
        raise ReadError(f"{path.name} names no files.", code="empty", path=path)
    finder = _Finder(path.absolute().parent)
    found: dict[Path, None] = {}
    problems: dict[str, list[str]] = {}
    for name in names:
        try:
            found[finder.find(name)] = None
        except _NoSuchFile as problem:
            problems.setdefault(problem.code, []).append("/".join(name))
    return DirectoryListing(tuple(found), tuple(_refusal(path, code, bad) for code, bad in problems.items()))


_WORDS = {
    "not_found": "that are missing",
    "outside_root": "outside its own folder, which are not opened",
    "ambiguous_name": "that fit several files by upper and lower case",
}


def _refusal(path: Path, code: str, names: list[str]) -> Refusal:
    # repr: the names are somebody else's text.
    quoted = ", ".join(repr(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return Refusal(code, f"{path.name} names {len(names)} files {_WORDS[code]}: {quoted}{more}.", len(names))


def _names_in(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the ReferencedFileID of every record in use."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True)
            for record in items_of(dataset, "DirectoryRecordSequence"):
                name = texts_of(record, "ReferencedFileID")
                if name and _is_in_use(record):
                    yield name
    except DAMAGED_FILE as error:
        raise ReadError(f"{path.name} is a damaged DICOMDIR; open its folder instead.", path=path) from error


def _is_in_use(record: Header) -> bool:
    """Whether a record is active (PS3.3 F.3.2.2: 0 says that it is not)."""
    return whole_of(record, "RecordInUseFlag") != 0


class _NoSuchFile(Exception):
    """A name that leads to no file; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Finder:
    """Finds files below one folder by components of a path, and nothing else."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real_root = root.resolve()
        self._entries: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: tuple[str, ...]) -> Path:
        """Return the file of a name; raises `_NoSuchFile`."""
        if not 1 <= len(name) <= MAX_DEPTH or not all(map(_is_plain, name)):
            raise _NoSuchFile("outside_root")
        place = self._root
        for part in name:
            place = place / self._spelled(place, part)
        if not place.resolve().is_relative_to(self._real_root):
            raise _NoSuchFile("outside_root")
        if not stat.S_ISREG(place.stat().st_mode):
            raise _NoSuchFile("not_found")
        return place

    def _spelled(self, folder: Path, part: str) -> str:
        """Return a name as it stands in the folder."""
        there = self._listing(folder).get(part.casefold(), [])
        if part in there:
            return part
        if len(there) > 1:
            raise _NoSuchFile("ambiguous_name")
        if not there:
            raise _NoSuchFile("not_found")
        return there[0]

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        """Return the names in a folder by their form without case; nothing for what is no folder inside the root."""
        if folder not in self._entries:
            names: dict[str, list[str]] = {}
            if folder.is_dir() and folder.resolve().is_relative_to(self._real_root):
                for name in sorted(os.listdir(folder)):
                    names.setdefault(name.casefold(), []).append(name)
            self._entries[folder] = names
        return self._entries[folder]


def _is_plain(part: str) -> bool:
    """Whether a component is a name and no path: "..", drives and separators of any system are not."""
    return part not in ("", ".", "..") and not any(mark in part for mark in "/\\:\0")
