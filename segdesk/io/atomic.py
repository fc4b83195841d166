"""The one way any file of ours appears on disk: whole, verified, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from segdesk.errors import WriteError

Write = Callable[[Path], None]
"""Writes the whole content to the path it is given."""

Verify = Callable[[Path], bool]
"""Reads the path back and says whether it holds what was meant."""

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would exceed the size limit",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "writing there is not permitted",
    errno.EPERM: "writing there is not permitted",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "its parent is not a folder",
    errno.ENAMETOOLONG: "the name is too long",
}


def replace_file(path: Path, write: Write, verify: Verify | None = None, *, overwrite: bool = False) -> None:
    """Write a file through a temporary neighbour, so that it appears whole or not at all.

    Temporary file in the same folder, write, flush, fsync, read back and compare,
    rename over the target, fsync the folder. The temporary name ends in the same
    extension, so writers that choose a format by name work.

    Parameters
    ----------
    path : Path
        Where the file shall appear; its folder must exist.
    write : callable
        Gets the temporary path and writes everything to it.
    verify : callable, optional
        Gets the temporary path, reads it back and returns whether it is right.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    WriteError
        Code ``exists`` when the file is there and `overwrite` is False,
        ``verify_failed`` when it reads back differently, ``write_failed`` otherwise
        (disk full, read-only folder). The old file is untouched in every case.
    """
    path = Path(path)
    if not overwrite and os.path.lexists(path):
        raise _exists(path)
    temporary = path.with_name(f".tmp-{secrets.token_hex(6)}{name_suffix(path)}")
    try:
        write(temporary)
        _sync(temporary)
        if verify is not None and not verify(temporary):
            raise WriteError(
                f"{path.name} read back differently from what was written; nothing was replaced.",
                code="verify_failed",
                path=path,
            )
        _put_in_place(temporary, path, overwrite)
        _sync_folder(path.parent)
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or type(error).__name__)
        raise WriteError(f"{path.name} was not written: {reason}. Nothing old was changed.", path=path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def name_suffix(path: Path) -> str:
    """Return the extension that names the format: ".nii.gz", ".seg.nrrd", ".png", "" for none."""
    name = path.name
    for double in (".nii.gz", ".img.gz", ".hdr.gz", ".seg.nrrd"):
        if name.lower().endswith(double):
            return name[-len(double) :]
    return path.suffix if len(path.suffix) <= 12 else ""


def _exists(path: Path) -> WriteError:
    return WriteError(
        f"{path.name} exists already; allow overwriting or choose another name.", code="exists", path=path
    )


def _put_in_place(temporary: Path, path: Path, overwrite: bool) -> None:
    """Rename; without `overwrite` a hard link, which fails if somebody was faster."""
    if not overwrite:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise _exists(path) from None
        except OSError:
            # FAT and some network shares have no hard links.
            if os.path.lexists(path):
                raise _exists(path) from None
        else:
            return
    os.replace(temporary, path)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename durable; Windows cannot open folders and does not need it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
