"""The tree of errors and the table of codes."""

from __future__ import annotations

import pickle

import pytest

from segdesk import errors
from segdesk.errors import CODES, SegdeskError, UnsupportedFormat, Warn, code_named


def _classes(root: type[SegdeskError]) -> list[type[SegdeskError]]:
    return [root, *(found for child in root.__subclasses__() for found in _classes(child))]


def test_codes_are_unique() -> None:
    names = [code.name for code in CODES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", _classes(SegdeskError), ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_of_the_table_and_stands_in_the_drawn_tree(kind: type[SegdeskError]) -> None:
    assert code_named(kind.default_code)
    assert kind.__name__ in (errors.__doc__ or "")


def test_an_error_tells_its_code_and_path() -> None:
    error = UnsupportedFormat("a.txt is no image.", path="a.txt")
    assert error.to_json() == {"code": "unsupported_format", "message": "a.txt is no image.", "path": "a.txt"}


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        SegdeskError("x", code="no_such_code")
    with pytest.raises(KeyError):
        Warn("no_such_code", "x")


def test_an_error_survives_the_way_out_of_a_child_process() -> None:
    error = pickle.loads(pickle.dumps(UnsupportedFormat("m", code="truncated", path="p")))
    assert (type(error), error.message, error.code, error.path) == (UnsupportedFormat, "m", "truncated", "p")


def test_a_warning_as_json_has_code_and_message() -> None:
    assert Warn("resampled", "Look.").to_json() == {"code": "resampled", "message": "Look."}
