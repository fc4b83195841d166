"""Write a model folder: whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from segdesk.errors import BadModelFolder, WriteError
from segdesk.zoo.model_folder import CARD_NAME, SPEC_NAME, WEIGHTS_NAME, ModelFolder, sha256_of_file
from segdesk.zoo.spec import ModelSpec

Content = Path | bytes | str
"""What a file is made of: a copy of a file, bytes, or text written as UTF-8."""


def write_model_folder(
    folder: Path,
    spec: ModelSpec,
    weights: Path | bytes,
    card: str,
    extras: Mapping[str, Content] | None = None,
    *,
    overwrite: bool = False,
) -> ModelFolder:
    """Write a model folder; it appears complete and checked, or not at all.

    Parameters
    ----------
    folder : Path
        Where; its parents are created.
    spec : ModelSpec
        Its `weights_sha256` is replaced by the hash of the weights that were written.
    weights : Path or bytes
        A safetensors file.
    card : str
        The model card, Markdown.
    extras : mapping of str to Path, bytes or str, optional
        Further files by plain name: log, recipe, learning curve.
    overwrite : bool
        Replace an existing model folder (never anything else).

    Raises
    ------
    WriteError
        If `folder` exists (code ``exists``), a name is not allowed, or the disk refuses.
    BadModelFolder
        If the weights are no safetensors file or the spec does not validate.
    """
    files: dict[str, Content] = {WEIGHTS_NAME: weights, CARD_NAME: card}
    for name, content in (extras or {}).items():
        files[_plain_name(name, files)] = content
    _check_target(folder, overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name[:80]}.", suffix=".partial", dir=folder.parent))
        try:
            _fill(partial, spec, files)
            _publish(partial, folder, overwrite)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as exc:
        raise WriteError(f"The model folder could not be written ({exc.strerror}).", path=folder) from exc
    return ModelFolder.load(folder)


def _plain_name(name: str, taken: Mapping[str, Content]) -> str:
    """Refuse names that leave the folder, hide, or replace a part of the model."""
    is_plain = name == Path(name).name and "\\" not in name and name.isprintable() and not name.startswith(".")
    if not is_plain or not 0 < len(name) <= 120 or name.lower() in {SPEC_NAME, *(t.lower() for t in taken)}:
        raise WriteError(f"{name[:60]!r} cannot be a file of a model folder; use a plain, unused name.")
    return name


def _check_target(folder: Path, overwrite: bool) -> None:
    if not (folder.exists() or folder.is_symlink()):
        return
    if not overwrite:
        raise WriteError(f"{folder.name!r} exists already; choose another name.", code="exists", path=folder)
    if folder.is_symlink() or not (folder / SPEC_NAME).is_file():
        raise WriteError(f"{folder.name!r} exists and is no model folder; it is not replaced.", path=folder)


def _fill(partial: Path, spec: ModelSpec, files: Mapping[str, Content]) -> None:
    """Write, flush and check every file of the folder."""
    for name, content in files.items():
        _write(partial / name, content)
    final = spec.model_copy(update={"weights_sha256": sha256_of_file(partial / WEIGHTS_NAME)})
    _write(partial / SPEC_NAME, final.model_dump_json(indent=1) + "\n")
    partial.chmod(0o755)
    try:
        ModelFolder.load(partial).verify()
    except BadModelFolder as exc:
        raise BadModelFolder(f"The model was not written: {exc.message}", path=exc.path) from exc
    _sync_folder(partial)


def _write(path: Path, content: Content) -> None:
    with path.open("xb") as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
        else:
            file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


def _publish(partial: Path, folder: Path, overwrite: bool) -> None:
    """Move the complete folder to its place; an old one is put aside first and comes back on failure."""
    _check_target(folder, overwrite)
    if not folder.exists():
        partial.rename(folder)
    else:
        aside = partial.with_suffix(".old")
        folder.rename(aside)
        try:
            partial.rename(folder)
        except OSError:
            aside.rename(folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; Windows has no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
