"""Find models by name: the shipped ones, the user's own, and folders given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from segdesk.errors import BadModelFolder
from segdesk.paths import shipped_models, user_models
from segdesk.zoo.model_folder import SPEC_NAME, ModelFolder


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models found, and for each damaged folder (its `path`) what is wrong with it."""

    models: tuple[ModelFolder, ...]
    damaged: tuple[BadModelFolder, ...]


def scan_models(extra: Iterable[Path | str] = ()) -> Catalogue:
    """Look through `extra`, the user's and the shipped folders, in this order.

    Parameters
    ----------
    extra : iterable of path-like
        Model folders, or folders of model folders (a project's ``models``).

    Returns
    -------
    Catalogue
        Sorted by place, then name, then version (newest first); one entry per folder.
    """
    models: list[ModelFolder] = []
    damaged: list[BadModelFolder] = []
    for folder in dict.fromkeys(_candidates((*map(Path, extra), user_models(), shipped_models()))):
        try:
            models.append(ModelFolder.load(folder))
        except BadModelFolder as exc:
            damaged.append(BadModelFolder(exc.message, code=exc.code, path=folder))
    return Catalogue(tuple(models), tuple(damaged))


def list_models(extra: Iterable[Path | str] = ()) -> list[ModelFolder]:
    """Return the usable models; `scan_models` also tells the damaged ones."""
    return list(scan_models(extra).models)


def find_model(name_or_folder: str | Path, extra: Iterable[Path | str] = ()) -> ModelFolder:
    """Return a model by "name", "name@version" or folder.

    The first place wins (extra, user, shipped), there the highest version.

    Raises
    ------
    BadModelFolder
        If the folder is damaged, or (code ``not_found``) there is no such model.
    """
    text = str(name_or_folder)
    if isinstance(name_or_folder, Path) or _looks_like_path(text):
        return ModelFolder.load(name_or_folder)
    catalogue = scan_models(extra)
    name, _, version = text.partition("@")
    found = [model for model in catalogue.models if model.spec.name == name]
    if version:
        found = [model for model in found if model.spec.version == version]
    if found:
        place = found[0].path.parent
        return max((model for model in found if model.path.parent == place), key=lambda m: _order(m.spec.version))
    for problem in catalogue.damaged:
        if problem.path is not None and Path(problem.path).name == name:
            raise problem
    raise _not_found(text, catalogue)


def _candidates(places: Iterable[Path]) -> Iterable[Path]:
    """Yield what may be a model folder: the place itself, or the folders in it that hold a model.json."""
    for place in places:
        if (place / SPEC_NAME).is_file():
            yield place
        elif place.is_dir():
            yield from sorted(p for p in place.iterdir() if not p.name.startswith(".") and (p / SPEC_NAME).is_file())


def _looks_like_path(text: str) -> bool:
    return "/" in text or "\\" in text or text in (".", "..") or (Path(text) / SPEC_NAME).is_file()


def _order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sort "10" after "9" and after "10-beta"."""
    parts = version.replace("-", ".").split(".")
    keys = [(1, int(part), "") if part.isascii() and part.isdigit() else (0, 0, part) for part in parts]
    return *keys, (1, -1, "")


def _not_found(text: str, catalogue: Catalogue) -> BadModelFolder:
    """Make the error for an unknown name, with the nearest known ones."""
    names = sorted({model.spec.name for model in catalogue.models})
    near = get_close_matches(text.partition("@")[0], names, n=1, cutoff=0.5)
    if near:
        versions = [model.spec.identity for model in catalogue.models if model.spec.name == near[0]]
        hint = f"did you mean {versions[0] if '@' in text else near[0]}?"
    else:
        hint = f"known are {', '.join(names)}." if names else "there are none here; name a folder."
    return BadModelFolder(f"There is no model {text[:80]!r}; {hint}", code="not_found")
