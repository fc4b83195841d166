from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.provenance import Origin, OriginKind
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.errors import Warn, WorkerError
from segdesk.workers.plain_values import INLINE_BYTES, Packer, Unpacker
from tests.builders import oblique_geometry


def there_and_back(value: object) -> Any:
    packer = Packer()
    text = json.dumps(packer.pack(value))
    return Unpacker(lambda n: packer.arrays[n], lambda n: packer.calls[n]).unpack(json.loads(text))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        0.1,
        float("inf"),
        "Ä\n\ud800",
        (1, (2, "x")),
        {"a": 1, 3: (None,)},
        Path("a/b"),
        IntensityUnit.HU,
        Warn("lossy", "x"),
        Window(40.0, 400.0, "soft"),
        datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        LabelTable([Label(2, "left", (1, 2, 3))]),
        Origin(OriginKind.MODEL, "toy@1", ("a",), {"overlap": 0.5}),
    ],
)
def test_values_come_back_as_they_were(value: object) -> None:
    assert there_and_back(value) == value
    assert type(there_and_back(value)) is type(value)


def test_affines_come_back_bit_by_bit() -> None:
    geometry = oblique_geometry((3, 4, 5))
    back = there_and_back(geometry)
    assert isinstance(back, Geometry)
    np.testing.assert_array_equal(back.affine_kji_to_lps, geometry.affine_kji_to_lps)
    assert back.shape_kji == geometry.shape_kji


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<f4", "<f8", "<u8", "?"])
@pytest.mark.parametrize("count", [0, 3, INLINE_BYTES + 1])
def test_arrays_come_back_with_their_type(dtype: str, count: int) -> None:
    array = (np.arange(count) % 200).astype(dtype)
    back = there_and_back(array)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype


def test_numbers_of_numpy_are_numbers() -> None:
    assert there_and_back((np.float64(0.25), np.int16(-7))) == (0.25, -7)


def test_voxels_and_labels_travel_beside_the_text() -> None:
    geometry = oblique_geometry((20, 30, 40))
    volume = Volume(np.ones(geometry.shape_kji, np.int16), geometry)
    layers = tuple(np.full(geometry.shape_kji, n, np.uint8) for n in (1, 2))
    packer = Packer()
    packer.pack((volume, LabelMap(layers, geometry, LabelTable.for_values([1, 2]))))
    assert [array is kept for array, kept in zip(packer.arrays, (volume.array, *layers), strict=True)] == [True] * 3


def test_functions_stay_where_they_are_even_when_they_are_data() -> None:
    """A reader of DICOM is a data class that is called: it must never be built in the parent."""

    class Reader(Warn):
        def __call__(self) -> None: ...

    packer = Packer()
    reader = Reader("lossy", "x")
    assert packer.pack({"read": reader})["items"][0][1] == {"is": "call", "number": 0}
    assert packer.calls == [reader]


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}])
def test_other_things_cannot_be_sent(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        Packer().pack(value)


@pytest.mark.parametrize(
    "plain",
    [
        {"is": "data", "class": "os:system", "members": {}},
        {"is": "data", "class": "segdesk.core.volume:Any", "members": {}},
        {"is": "data", "class": "segdesk.core.nothing:Window", "members": {}},
        {"is": "data", "class": "segdesk.io.atomic:replace_file", "members": {}},
        {"is": "data", "class": "segdesk.core.volume:Window", "members": {"centre": 1, "odd": 2}},
        {"is": "enum", "class": "segdesk.core.volume:IntensityUnit", "value": "furlong"},
        {"is": "array", "dtype": "O", "shape": [1], "values": ["x"]},
        {"is": "time", "value": "soon"},
        {"is": "pickle", "value": "x"},
        {"value": 3},
    ],
)
def test_nothing_but_data_of_ours_is_made(plain: dict[str, object]) -> None:
    def nothing(number: int) -> NDArray[Any]:
        raise AssertionError

    call: Callable[[int], Any] = nothing
    with pytest.raises(WorkerError):
        Unpacker(nothing, call).unpack(plain)
