"""docs/geometry.md names a test for every check, and every test of a check belongs to its row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from segdesk.errors import CODES

_HERE = Path(__file__).parent
_PAGE = Path(__file__).parents[3] / "docs" / "geometry.md"
_TEST_NAME = re.compile(r"`(test_\w+)`")


def _tests() -> set[str]:
    """Names of the test functions in this folder."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in _HERE.glob("test_*.py")]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def _rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading, without its head."""
    text = _PAGE.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_check_has_a_row_and_a_test() -> None:
    rows = _rows("Checks")
    assert [int(row[0]) for row in rows] == list(range(1, 53))
    tests = _tests()
    for number, _, _, cell in rows:
        names = _TEST_NAME.findall(cell)
        assert names, f"check {number}"
        for name in names:
            assert name.startswith(f"test_check_{int(number):02d}_"), name
            assert name in tests, name


def test_every_test_of_a_check_has_a_number_of_the_guarantee() -> None:
    numbers = {int(match[1]) for name in _tests() if (match := re.match(r"test_check_(\d\d)_", name))}
    assert numbers == set(range(1, 53))


@pytest.mark.parametrize(
    ("heading", "prefix"), [("Bad series", "bad_series"), ("Known defects of other programs", "known_defect")]
)
def test_every_row_names_a_test_that_exists(heading: str, prefix: str) -> None:
    tests = _tests()
    rows = _rows(heading)
    assert len(rows) >= 7
    for row in rows:
        (name,) = _TEST_NAME.findall(row[-1])
        assert name.startswith(f"test_{prefix}_"), name
        assert name in tests, name


def test_the_codes_of_the_page_exist() -> None:
    known = {code.name for code in CODES}
    named = {name for row in _rows("Checks") for name in re.findall(r"`(\w+)`", row[2])}
    assert named
    assert named <= known
