"""Checks on what a command reads and where it writes, made before any work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from segdesk.errors import NotFound, UsageError, WriteError

_SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".tiff", ".dcm")


def require_exists(*paths: Path) -> None:
    """Refuse paths that are not there (NotFound)."""
    for path in paths:
        if not path.exists():
            raise NotFound(f"{path} does not exist; check the name.", path=path)


def require_free(targets: Iterable[Path | None], *, overwrite: bool, inputs: Sequence[Path] = ()) -> None:
    """Refuse outputs that exist, have no folder, are named twice, or are one of the inputs.

    Parameters
    ----------
    targets : iterable of Path or None
        None: this output was not asked for.
    overwrite : bool
        Allow files that exist.
    inputs : sequence of Path
        Never overwritten, whatever was said.
    """
    seen = {path.resolve() for path in inputs}
    for target in targets:
        if target is None:
            continue
        if target.resolve() in seen:
            raise UsageError(f"{target} is named twice; give every input and output its own name.", path=target)
        seen.add(target.resolve())
        _require_free(target, overwrite=overwrite)


def _require_free(target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        raise WriteError(f"{target} is a folder; name a file.", code="exists", path=target)
    if target.exists() and not overwrite:
        raise WriteError(f"{target} exists already; give --overwrite to replace it.", code="exists", path=target)
    if not target.absolute().parent.is_dir():
        raise WriteError(f"The folder {target.parent} does not exist; create it first.", path=target)


def stem_of(path: Path) -> str:
    """Return the file name without a known suffix: ``case1.nii.gz`` is case1."""
    lower = path.name.lower()
    suffix = next((s for s in _SUFFIXES if lower.endswith(s)), "")
    return path.name[: len(path.name) - len(suffix)] if suffix else path.name


def reader_names(masks: Sequence[Path], names: str) -> tuple[str, ...]:
    """Return one distinct name per mask: those given, else the files' (with the folder where two are alike).

    Raises
    ------
    UsageError
        If the number of names differs from the number of masks, or two are the same.
    """
    if names:
        given = tuple(name.strip() for name in names.split(","))
        if len(given) != len(masks) or len(set(given)) != len(given) or "" in given:
            raise UsageError(
                f"--names has {len(set(given) - {''})} different names for {len(masks)} masks; give one each."
            )
        return given
    stems = tuple(stem_of(path) for path in masks)
    if len(set(stems)) == len(stems):
        return stems
    longer = tuple(f"{path.absolute().parent.name}/{stem}" for path, stem in zip(masks, stems, strict=True))
    if len(set(longer)) < len(longer):
        raise UsageError("Two masks have the same name; name the readers with --names.")
    return longer
