"""Settings survive damaged files and refuse nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdesk.core.settings import SETTINGS, Setting, Settings
from segdesk.errors import UsageError


def test_names_are_unique_and_every_default_is_allowed() -> None:
    names = [row.name for row in SETTINGS]
    assert len(set(names)) == len(names)
    for row in SETTINGS:
        assert row.checked(row.default) == row.default
        assert row.help.endswith(".")


def test_a_saved_value_comes_back(tmp_path: Path) -> None:
    settings = Settings()
    settings.set("brush.radius_mm", 7)
    settings.save(tmp_path / "new" / "settings.json")
    again = Settings()
    assert again.load(tmp_path / "new" / "settings.json") == ()
    assert again.of("brush.radius_mm").value == 7.0
    assert again.changed_values() == {"brush.radius_mm": 7.0}


def test_a_change_is_announced() -> None:
    settings = Settings()
    seen: list[object] = []
    settings.of("window.theme").changed.connect(seen.append)
    settings.set("window.theme", "light")
    assert seen == ["light"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("window.theme", "pink"), ("brush.radius_mm", -1.0), ("brush.radius_mm", "big"), ("view.smooth", 1), ("no", 1)],
)
def test_a_value_that_does_not_fit_is_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError):
        Settings().set(name, value)


def test_a_number_without_limits_takes_any_number() -> None:
    assert Setting("x", 1, "Help.").checked(-5) == -5


@pytest.mark.parametrize("text", ["{", "[1]", '{"window.theme": "pink", "unknown": 1, "view.smooth": false}'])
def test_a_damaged_file_leaves_defaults_and_says_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.json"
    file.write_text(text)
    settings = Settings()
    assert settings.load(file)
    assert settings.of("window.theme").value == "dark"


def test_a_missing_file_is_no_complaint(tmp_path: Path) -> None:
    assert Settings().load(tmp_path / "none.json") == ()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.json"
    file.write_text("{}")

    def refuse(self: Path, target: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        Settings().save(file)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
