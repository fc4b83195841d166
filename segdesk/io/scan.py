"""Looking through a file or folder: what can be opened, what was skipped, what was refused."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from segdesk.core.progress import Progress, silent
from segdesk.errors import InconsistentSeries, NeedsConsent, ReadError, UnsupportedFormat
from segdesk.io.formats import Format, sniff
from segdesk.io.image_files import entry_of_file
from segdesk.io.limits import CONSENT_CODES
from segdesk.io.series import Refusal, ScanResult, SeriesEntry

_DATA_SUFFIXES = (".img", ".img.gz", ".raw", ".zraw", ".raw.gz")
"""Files that belong to a header beside them."""


def scan(path: Path | str, report: Progress = silent) -> ScanResult:
    """Read the headers of a file, or of everything below a folder.

    Parameters
    ----------
    path : path-like
        A file means that file alone, not its neighbours; a DICOMDIR the files it names.
    report : Progress

    Returns
    -------
    ScanResult
        Sorted by path; no pixels are read (pictures excepted).

    Raises
    ------
    ReadError
        For a lone file: its own error. For a folder: ``not_found``, or ``empty`` when it
        holds no file at all.
    """
    path = Path(path)
    return _scan_folder(path, report) if path.is_dir() else _scan_file(header_file_of(path), report)


def header_file_of(path: Path) -> Path:
    """Return the .hdr that belongs to an .img, any other path unchanged."""
    name = path.name.lower()
    for image, header in ((".img", ".hdr"), (".img.gz", ".hdr.gz")):
        if name.endswith(image):
            for candidate in (path.with_name(path.name[: -len(image)] + ending) for ending in (header, ".hdr")):
                if candidate.is_file():
                    return candidate
    return path


def _scan_file(path: Path, report: Progress) -> ScanResult:
    kind = sniff(path)
    if kind is Format.RTSTRUCT:
        from segdesk.io.rtstruct.structure_set import read_structure_set

        return ScanResult(path, (), 0, (), (read_structure_set(path).summary(),))
    if kind is Format.DICOMDIR:
        return _scan_directory(path, report)
    if kind is not Format.DICOM:
        return ScanResult(path, (entry_of_file(path, kind, path.name),), 0, ())
    from segdesk.io.dicom.series import find_series

    found = find_series([path], report)
    if not found.series and found.refused:
        kind_of_error = NeedsConsent if found.refused[0].code in CONSENT_CODES else InconsistentSeries
        raise kind_of_error(found.refused[0].message, code=found.refused[0].code, path=path)
    if not found.series:
        raise ReadError(f"{path.name} is a DICOM object without an image.", code="not_an_image", path=path)
    return ScanResult(path, found.series, found.skipped, found.refused)


def _scan_directory(path: Path, report: Progress) -> ScanResult:
    """Scan the files that a DICOMDIR names, as if they were a folder."""
    from segdesk.io.dicom.dicomdir import list_directory

    listing = list_directory(path)
    found = _scan_files(path, path.absolute().parent, listing.files, report)
    if not found.series and not found.structure_sets and listing.refused:
        raise ReadError(listing.refused[0].message, code=listing.refused[0].code, path=path)
    return replace(found, refused=(*listing.refused, *found.refused))


def _scan_folder(folder: Path, report: Progress) -> ScanResult:
    closed: list[Refusal] = []
    files = list(_files_below(folder, closed))
    if not files and closed:
        raise ReadError(closed[0].message, code=closed[0].code, path=folder)
    if not files:
        raise ReadError(f"{folder.name} holds no files.", code="empty", path=folder)
    found = _scan_files(folder, folder, files, report)
    return replace(found, refused=(*closed, *found.refused))


def _scan_files(path: Path, folder: Path, files: Sequence[Path], report: Progress) -> ScanResult:
    """Scan files below a folder; `path` is what the user named."""
    dicom: list[Path] = []
    entries: list[SeriesEntry] = []
    refused: list[Refusal] = []
    skipped = 0
    for number, file in enumerate(files):
        report(number, len(files), file.name)
        try:
            kind = sniff(file)
            if kind is Format.DICOM:
                dicom.append(file)
            elif kind in (Format.RTSTRUCT, Format.DICOMDIR):
                skipped += 1
            else:
                entries.append(entry_of_file(file, kind, str(file.relative_to(folder))))
        except UnsupportedFormat:
            skipped += 1
        except ReadError as error:
            refused.append(Refusal(error.code, error.message, 1))
    if dicom:
        from segdesk.io.dicom.series import find_series

        found = find_series(dicom, report)
        entries = [*found.series, *entries]
        refused = [*found.refused, *refused]
        skipped += found.skipped
    return ScanResult(path, tuple(_with_distinct_uids(entries)), skipped, tuple(refused))


def _files_below(folder: Path, closed: list[Refusal]) -> Iterator[Path]:
    """Yield regular files in a stable order; links to folders are not followed.

    Folders that may not be read are added to `closed`: what is in them may be a part of a series.
    """

    def refuse(error: OSError) -> None:
        closed.append(Refusal("unreadable", f"{Path(error.filename).name} cannot be read: {error.strerror}.", 0))

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file() and not (name.lower().endswith(_DATA_SUFFIXES) and _has_header(path)):
                yield path


def _has_header(path: Path) -> bool:
    stem = path.name.split(".")[0].lower()
    return any(
        other.name.lower() in (f"{stem}.hdr", f"{stem}.hdr.gz", f"{stem}.mhd", f"{stem}.nhdr")
        for other in path.parent.iterdir()
    )


def _with_distinct_uids(entries: list[SeriesEntry]) -> Iterator[SeriesEntry]:
    """Yield the entries, numbered where they share a name (a split series, one UID in two patients)."""
    seen: dict[str, int] = {}
    for entry in entries:
        count = seen[entry.uid] = seen.get(entry.uid, 0) + 1
        yield entry if count == 1 else replace(entry, uid=f"{entry.uid}/{count}")
