"""Settings as rows of a table: type, default, range, unit and help in one place."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdesk.core.events import Property
from segdesk.errors import UsageError

SettingValue = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Parameters
    ----------
    name : str
        Stable key in the file: "view.scroll_inverted".
    default : bool, int, float or str
        Its type is the setting's type.
    help : str
        One line for the dialog.
    choices : tuple of str
        Allowed texts; empty for any.
    minimum, maximum : float, optional
        Allowed range of a number.
    unit : str
        Shown behind the number.
    """

    name: str
    default: SettingValue
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""

    def checked(self, value: object) -> SettingValue:
        """Return `value` in the setting's type.

        Raises
        ------
        UsageError
            If the type is wrong, the number out of range or the text no choice.
        """
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind or not isinstance(value, (bool, int, float, str)):
            raise UsageError(f"Setting {self.name} must be {kind.__name__}, not {value!r}.")
        if self.choices and value not in self.choices:
            raise UsageError(f"Setting {self.name} must be one of {', '.join(self.choices)}, not {value!r}.")
        if kind in (int, float) and not self._in_range(float(value)):
            raise UsageError(f"Setting {self.name} must lie in {self.minimum}..{self.maximum}, not {value!r}.")
        return value

    def _in_range(self, number: float) -> bool:
        low = number if self.minimum is None else self.minimum
        high = number if self.maximum is None else self.maximum
        return low <= number <= high


SETTINGS: tuple[Setting, ...] = (
    Setting("window.theme", "dark", "Colours of the window.", choices=("dark", "light")),
    Setting("mouse.profile", "PACS", "What the left mouse button does without a tool.",
            choices=("PACS", "Slicer", "ITK-SNAP")),
    Setting("mouse.scroll_inverted", False, "Turn the direction in which the wheel goes through the slices."),
    Setting("view.smooth", True, "Smooth the image between voxels."),
    Setting("view.letters", True, "Show the orientation letters."),
    Setting("view.crosshair", True, "Show the crosshair."),
    Setting("labels.opacity", 0.35, "Opacity of the label overlay.", minimum=0.0, maximum=1.0),
    Setting("labels.outline", True, "Outline the labels."),
    Setting("brush.radius_mm", 5.0, "Radius of the brush.", minimum=0.1, maximum=100.0, unit="mm"),
    Setting("reader.name", "Reader 1", "Name of the reader who works here."),
    Setting("model.device", "auto", "Where models run: auto, cpu or cuda."),
    Setting("hints.seen", False, "The first hints were read."),
)  # fmt: skip
"""All settings; names are stable."""


class Settings:
    """The values of all settings, each a `Property` that announces its changes.

    Parameters
    ----------
    table : iterable of Setting
        Rows; names must be unique.
    """

    def __init__(self, table: Iterable[Setting] = SETTINGS) -> None:
        self._rows = {row.name: row for row in table}
        self._values: dict[str, Property[SettingValue]] = {
            row.name: Property(row.default, unit=row.unit) for row in self._rows.values()
        }

    def of(self, name: str) -> Property[SettingValue]:
        """Return the property of a setting; KeyError when there is none of that name."""
        return self._values[name]

    def set(self, name: str, value: object) -> None:
        """Set a value after checking it; UsageError when it does not fit."""
        row = self._rows.get(name)
        if row is None:
            raise UsageError(f"There is no setting {name!r}.")
        self._values[name].value = row.checked(value)

    def changed_values(self) -> dict[str, SettingValue]:
        """Return the values that differ from their defaults."""
        return {name: p.value for name, p in self._values.items() if p.value != self._rows[name].default}

    def load(self, file: Path) -> tuple[str, ...]:
        """Read values from a file.

        Parameters
        ----------
        file : Path
            JSON object; a missing file leaves the defaults.

        Returns
        -------
        tuple of str
            What was not understood and left at its default: a damaged settings file
            must never keep the program from starting.
        """
        try:
            parsed = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            return (f"The settings in {file} cannot be read ({error}); defaults are used.",)
        if not isinstance(parsed, Mapping):
            return (f"The settings in {file} are no JSON object; defaults are used.",)
        return tuple(filter(None, (self._try_set(str(name), value) for name, value in parsed.items())))

    def save(self, file: Path) -> None:
        """Write the changed values; the file appears whole or not at all.

        Raises
        ------
        OSError
            If the folder cannot be made or written.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(self.changed_values(), stream, indent=2, sort_keys=True)
            Path(draft).replace(file)
        except OSError:
            Path(draft).unlink(missing_ok=True)
            raise

    def _try_set(self, name: str, value: object) -> str:
        try:
            self.set(name, value)
        except UsageError as error:
            return error.message
        return ""
