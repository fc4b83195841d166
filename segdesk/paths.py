"""The only module that knows where segdesk's own folders are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from platformdirs import PlatformDirs

_DIRS = PlatformDirs("segdesk", appauthor=False)
_PACKAGE = Path(str(files("segdesk")))


def _shipped(name: str) -> Path:
    """Return a shipped folder: inside the wheel, else beside the package in a checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def resources() -> Path:
    """Return the folder of icons, styles, fonts and label tables."""
    return _shipped("resources")


def shipped_models() -> Path:
    """Return the folder of the models that come with segdesk."""
    return _shipped("models")


def user_models() -> Path:
    """Return the folder of the user's own models (it may not exist yet)."""
    return Path(_DIRS.user_data_dir) / "models"


def user_projects() -> Path:
    """Return the folder of the projects that segdesk makes on its own (it may not exist yet)."""
    return Path(_DIRS.user_data_dir) / "projects"


def user_settings_file() -> Path:
    """Return the file that holds the user's settings (it may not exist yet)."""
    return Path(_DIRS.user_config_dir) / "settings.json"


def user_log_folder() -> Path:
    """Return the folder of log files (it may not exist yet)."""
    return Path(_DIRS.user_log_dir)


def user_cache_folder() -> Path:
    """Return the folder of files that can be made again (it may not exist yet)."""
    return Path(_DIRS.user_cache_dir)
