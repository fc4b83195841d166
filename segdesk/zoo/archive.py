"""Zip archives of models: unpacked without leaving a folder, packed the same every time."""

from __future__ import annotations

import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from segdesk.errors import ImportRefused
from segdesk.zoo.weights_header import MAX_WEIGHT_BYTES

MAX_ENTRIES = 4096
MAX_DEPTH = 16
MAX_NAME_BYTES = 255
"""Of one part of a path, as file systems have it."""

MAX_RATIO = 200
"""Above it an entry is taken for a bomb; weights shrink by less than 2, text by about 10."""

SMALL_BYTES = 1 << 20
"""Entries up to this size may shrink by any ratio."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip entry can have."""

_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive below an existing, empty folder.

    Raises
    ------
    ImportRefused
        If an entry would leave the folder, is a link or device, is encrypted, has the name of
        another (also by case or Unicode form), if entries are too many, too large, or shrink too
        well, or if the archive is damaged. What was unpacked until then stays in the folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check(entries, archive)
            left = MAX_WEIGHT_BYTES
            for entry in entries:
                left -= _extract(opened, entry, folder, left)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RuntimeError) as exc:
        raise _refused(archive, f"it is damaged or of a kind that is not read ({str(exc)[:80]})") from exc
    except OSError as exc:
        raise _refused(archive, f"it cannot be unpacked ({exc.strerror})") from exc


def pack(files: Iterable[tuple[str, Path]], archive: Path) -> None:
    """Write an archive whose bytes depend on names and contents only.

    Parameters
    ----------
    files : iterable of (str, Path)
        Name in the archive and file. Nothing is compressed: weights do not shrink, and the
        bytes do not depend on the version of a compressor.
    archive : Path
        Replaced if it exists.
    """
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        for name, path in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, opened.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _check(entries: list[zipfile.ZipInfo], archive: Path) -> None:
    """Check all names and sizes before the first entry is written."""
    if len(entries) > MAX_ENTRIES:
        raise _refused(archive, f"it has more than {MAX_ENTRIES} entries")
    if sum(entry.file_size for entry in entries) > MAX_WEIGHT_BYTES:
        raise _refused(archive, f"it would unpack to more than {MAX_WEIGHT_BYTES >> 30} GiB")
    places: dict[str, bool] = {}
    for entry in entries:
        _check_entry(entry, archive)
        place = _folded(entry.filename)
        if place in places:
            raise _refused(archive, f"two entries have the name {entry.filename[:60]!r}")
        places[place] = entry.is_dir()
    for place in places:
        if any(places.get(str(parent)) is False for parent in PurePosixPath(place).parents):
            raise _refused(archive, f"{place[:60]!r} lies in a file")


def _check_entry(entry: zipfile.ZipInfo, archive: Path) -> None:
    name = entry.filename
    mode = stat.S_IFMT(entry.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(archive, f"{name[:60]!r} is a link or device")
    if entry.flag_bits & 1:
        raise _refused(archive, f"{name[:60]!r} is encrypted")
    if not _stays_inside(name):
        raise _refused(archive, f"{name[:60]!r} is no plain path inside it")
    if entry.file_size > SMALL_BYTES and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        raise _refused(archive, f"{name[:60]!r} shrinks by more than {MAX_RATIO}:1")


def _stays_inside(name: str) -> bool:
    """Whether a name is a relative path on every system, and one that can be shown."""
    parts = name.removesuffix("/").split("/")
    is_plain = name.isprintable() and not set(name) & set('\\:*?"<>|') and 0 < len(parts) <= MAX_DEPTH
    return is_plain and all(_is_plain_part(part) for part in parts)


def _is_plain_part(part: str) -> bool:
    is_named = part not in ("", ".", "..") and part[-1] not in " ."
    return is_named and len(part.encode()) <= MAX_NAME_BYTES and part.split(".")[0].casefold() not in _RESERVED


def _folded(name: str) -> str:
    """Return what a file system that ignores case and Unicode form takes a name for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).rstrip("/")


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, allowed: int) -> int:
    """Write one entry, counting what really comes out; return the number of bytes."""
    target = folder.joinpath(*entry.filename.rstrip("/").split("/"))
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, target.open("xb") as file:
        while block := source.read(1 << 20):
            written += len(block)
            if written > min(entry.file_size, allowed):
                raise zipfile.BadZipFile("an entry is larger than it says")
            file.write(block)
    if written != entry.file_size:
        raise zipfile.BadZipFile("an entry is smaller than it says")
    return written


def _refused(archive: Path, why: str) -> ImportRefused:
    return ImportRefused(f"The archive {archive.name[:80]!r} is refused: {why}.", path=archive)
