from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Code, Concept, Label, LabelMap, LabelTable
from segdesk.errors import UsageError
from segdesk.io.label_tables import with_table

_LIVER = Concept(Code("10200004", "SCT", "Liver"))


def _map(*values: int, table: LabelTable | None = None) -> LabelMap:
    array = np.zeros((1, 3, 4), np.uint8)
    array.flat[: len(values)] = values
    return LabelMap((array,), Geometry.from_spacing((1, 3, 4)), table or LabelTable())


def test_labels_take_names_and_colours_of_the_table_and_nothing_else() -> None:
    table = LabelTable(Label(value, f"region {value}", (value, 0, 0)) for value in range(1, 1000))
    named = with_table(_map(3, 200), table)
    assert list(named.table) == [Label(3, "region 3", (3, 0, 0)), Label(200, "region 200", (200, 0, 0))]
    assert named.warnings == ()


def test_an_empty_label_of_the_mask_is_named_too() -> None:
    own = LabelTable([Label(1, "a", (1, 1, 1)), Label(9, "b", (2, 2, 2))])
    assert with_table(_map(1, table=own), LabelTable([Label(9, "nine", (9, 9, 9))])).table[9].name == "nine"


def test_codes_stay_where_the_table_has_none() -> None:
    own = LabelTable([Label(1, "a", (1, 1, 1), _LIVER)])
    assert with_table(_map(1, table=own), LabelTable([Label(1, "x", (9, 9, 9))])).table[1].concept == _LIVER


def test_labels_that_the_table_lacks_are_said() -> None:
    named = with_table(_map(*range(1, 12)), LabelTable([Label(1, "x", (9, 9, 9))]))
    assert [warning.code for warning in named.warnings] == ["labels_unnamed"]
    assert "2, 3, 4, 5, 6, 7, 8, 9 and 2 more" in named.warnings[0].message
    assert named.table[2].name == "Label 2"


def test_a_table_of_another_mask_is_refused() -> None:
    with pytest.raises(UsageError, match="names none"):
        with_table(_map(5), LabelTable([Label(1, "x", (9, 9, 9))]))


def test_an_empty_mask_takes_any_table() -> None:
    assert len(with_table(_map(), LabelTable([Label(1, "x", (9, 9, 9))])).table) == 0
