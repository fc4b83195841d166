"""The examples in docs/examples have the fields that the commands print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.examples import EXAMPLES, FOLDER, all_examples

_FREE = {"labels", "software", "model_json", "metrics", "summary", "sensitivity", "specificity"}
"""Objects whose keys are data (label values, package names), not fields."""


@pytest.fixture(scope="module")
def printed() -> dict[str, dict[str, Any]]:
    return dict(all_examples())


def _fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: None if key in _FREE else _fields(each) for key, each in value.items()}
    return _fields(value[0]) if isinstance(value, list) and value else None


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_up_to_date(name: str, printed: dict[str, dict[str, Any]]) -> None:
    written = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert written["command"] == printed[name]["command"]
    assert _fields(written["prints"]) == _fields(printed[name]["prints"]), "run: python -m tests.cli.examples"


def test_no_example_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EXAMPLES) | {"demo"}
