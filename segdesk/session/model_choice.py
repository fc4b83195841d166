"""Which model folder a name means in a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.errors import BadModelFolder

if TYPE_CHECKING:
    from segdesk.store.project import Project
    from segdesk.zoo.model_folder import ModelFolder


def resolve_model(project: Project, model: str | Path) -> ModelFolder:
    """Return the project's champion of this name, else a known model, else a folder.

    A challenger that was not promoted is only found by its folder or its full
    "name@version": training must not change what a name means.

    Raises
    ------
    BadModelFolder
        If there is no such model or its folder is damaged.
    """
    # Loaded when needed: pydantic takes longer than a window may.
    from segdesk.zoo.catalogue import find_model
    from segdesk.zoo.model_folder import ModelFolder

    champion = project.models.champion(model) if isinstance(model, str) else None
    if champion is not None:
        return ModelFolder.load(champion.folder)
    try:
        return find_model(model)
    except BadModelFolder as error:
        if error.code != "not_found":
            raise
        return find_model(model, extra=(project.models_folder,))
