"""A model folder as one file, and back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from segdesk.errors import BadModelFolder, ImportRefused
from segdesk.io.atomic import replace_file
from segdesk.zoo.archive import pack, unpack
from segdesk.zoo.model_folder import ModelFolder, sha256_of_file


def export_zip(model: ModelFolder, path: Path, *, overwrite: bool = False) -> None:
    """Write a model folder as a zip archive; the same folder gives the same bytes.

    The archive is unpacked and compared before it appears.

    Parameters
    ----------
    model : ModelFolder
        Its weights are verified first.
    path : Path
        New file; its folder must exist.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    BadModelFolder
        If the weights are not those of ``model.json``.
    WriteError
        If the file exists, cannot be written or reads back differently.
    """
    model.verify()
    files = {f"{model.spec.name}/{each.name}": each for each in model.path.iterdir() if each.is_file()}

    def write(partial: Path) -> None:
        pack(files.items(), partial)

    def verify(partial: Path) -> bool:
        return _holds(partial, files)

    replace_file(path, write, verify, overwrite=overwrite)


def _holds(archive: Path, files: dict[str, Path]) -> bool:
    """Whether an archive unpacks to a model folder with these files, and no others."""
    with tempfile.TemporaryDirectory(prefix="segdesk-export-") as made:
        folder = Path(made)
        try:
            unpack(archive, folder)
            (inner,) = folder.iterdir()
            ModelFolder.load(inner).verify()
        except (ImportRefused, BadModelFolder, ValueError):
            return False
        found = {f"{inner.name}/{each.name}": each for each in inner.iterdir()}
        return found.keys() == files.keys() and all(
            sha256_of_file(found[name]) == sha256_of_file(path) for name, path in files.items()
        )
