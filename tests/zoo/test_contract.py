"""Contracts: what a person declares about a foreign model, and what is still asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segdesk.errors import ImportRefused, UsageError
from segdesk.zoo.foreign.axes import network_in_our_axes, to_foreign, to_ours
from segdesk.zoo.foreign.card import card_of
from segdesk.zoo.foreign.contract import ModelContract, contract_of, read_contract
from segdesk.zoo.monai_networks import monai_arguments
from segdesk.zoo.spec import ImportRecord, NetworkSpec
from tests.zoo.folders import spec

RECORD = ImportRecord(format="state-dict", source="w.pt", source_sha256="a" * 64, notes=("Of [two](http://x) folds.",))

FULL: dict[str, Any] = {
    "name": "liver",
    "dimensions": 3,
    "network": {"name": "unet", "parameters": {"widths": [4, 8]}},
    "channels": [{"name": "ct", "modality": "CT", "normalisation": {"kind": "none"}}],
    "labels": [{"value": 1, "name": "liver", "colour_rgb": [1, 2, 3]}],
    "spacing_kji_mm": [2, 1, 1.5],
    "patch_kji": [32, 64, 64],
    "orientation": None,
    "axis_order": "ijk",
    "training": {"dataset": "ours", "licence": "CC0"},
}

TOML = """
name = "liver"
dimensions = 3
spacing_kji_mm = [2.0, 1.0, 1.5]
patch_kji = [32, 64, 64]
axis_order = "ijk"
[network]
name = "unet"
parameters = { widths = [4, 8] }
[[channels]]
name = "ct"
modality = "CT"
normalisation = { kind = "none" }
[[labels]]
value = 1
name = "liver"
colour_rgb = [1, 2, 3]
[training]
dataset = "ours"
licence = "CC0"
"""


def test_json_and_toml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({k: v for k, v in FULL.items() if k != "orientation"}))
    (tmp_path / "c.toml").write_text(TOML)
    assert read_contract(tmp_path / "c.json") == read_contract(tmp_path / "c.toml")


def test_everything_declared_makes_a_spec() -> None:
    made = contract_of(FULL, "c").to_spec(RECORD)
    assert made.title == "liver (imported)"
    assert made.spacing_kji_mm == (2.0, 1.0, 1.5)
    assert made.imported == RECORD


@pytest.mark.parametrize("field", sorted(set(FULL) - {"name"}))
def test_each_field_is_asked_for_by_name(field: str) -> None:
    contract = contract_of({key: value for key, value in FULL.items() if key != field}, "c")
    assert contract.missing == (field,)
    with pytest.raises(ImportRefused, match=f"{field}: ") as caught:
        contract.to_spec(RECORD)
    assert caught.value.code == "contract_incomplete"


def test_null_is_an_answer_only_where_the_images_own_is_one() -> None:
    assert contract_of({**FULL, "spacing_kji_mm": None}, "c").missing == ()
    assert contract_of({**FULL, "patch_kji": None}, "c").missing == ("patch_kji",)


def test_what_is_declared_takes_the_place_of_what_was_found() -> None:
    found = contract_of(FULL, "c")
    done = found.completed_by(ModelContract(orientation="RAS", spacing_kji_mm=None))
    assert (done.orientation, done.spacing_kji_mm, done.name) == ("RAS", None, "liver")


def test_parts_that_contradict_each_other_are_refused() -> None:
    twice = [FULL["labels"][0], FULL["labels"][0]]
    with pytest.raises(ImportRefused, match=r"fit together.*unique"):
        contract_of({**FULL, "labels": twice}, "c").to_spec(RECORD)


@pytest.mark.parametrize(
    "change",
    [
        {"colour": 1},
        {"name": "../x"},
        {"channels": [{"name": "ct"}]},
        {"network": {"name": "os.system"}},
        {"axis_order": "jki"},
        {"fold": "9000"},
        {"dimensions": 4},
    ],
)
def test_a_contract_that_says_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no contract"):
        contract_of({**FULL, **change}, "c")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.json", b"{"),
        ("c.json", b'{"a": 1, "a": 2}'),
        ("c.toml", b"= 3"),
        ("c.toml", b"\xff"),
        ("c.json", b"[" * 99999),
    ],
)
def test_a_damaged_contract_file_is_refused_in_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_contract(tmp_path / name)
    assert "\n" not in caught.value.message


def test_a_huge_or_missing_contract_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_contract(tmp_path / "none.json")
    (tmp_path / "c.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(UsageError, match="larger"):
        read_contract(tmp_path / "c.json")


def test_the_card_shows_strange_names_as_they_are() -> None:
    card = card_of(contract_of(FULL, "c").to_spec(RECORD))
    assert "\\[two\\](http://x)" in card
    assert "Which cases the weights have seen is not known" in card
    with pytest.raises(ValueError, match="import and training"):
        card_of(spec())


def test_axes_there_and_back() -> None:
    axes = (2, 0, 1)
    assert to_ours("abc", axes) == ("b", "c", "a")
    assert "".join(to_foreign(to_ours("abc", axes), axes)) == "abc"


def test_only_lists_per_axis_are_turned() -> None:
    network = NetworkSpec(
        name="unet",
        parameters={"widths": [1, 2, 3], "strides": [[2, 1, 3], 2], "kernel_size": [5, 3, 1], "up_kernel_size": 3},
    )
    done = network_in_our_axes(network, (2, 1, 0)).parameters
    assert done == {"widths": [1, 2, 3], "strides": [[3, 1, 2], 2], "kernel_size": [1, 3, 5], "up_kernel_size": 3}


def test_pixel_shuffling_cannot_be_turned() -> None:
    network = NetworkSpec(name="basic_unet", parameters={"upsample": "pixelshuffle"})
    assert network_in_our_axes(network, (0, 1, 2)) is network
    with pytest.raises(ImportRefused, match="shuffles"):
        network_in_our_axes(network, (2, 1, 0))


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("unet", {"widths": [4, 8], "colour": 3}),
        ("unet", {"widths": [4, 8], "norm": "os"}),
        ("unet", {"widths": [4, 8], "norm_affine": True}),
        ("unet", {"widths": [4, -8]}),
        ("segresnet", {"init_filters": 10**6}),
    ],
)
def test_numbers_no_network_of_monai_has_are_refused(name: str, numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown|without|0\.\.4096"):
        monai_arguments(NetworkSpec(name=name, parameters=numbers), dimensions=3, in_channels=1, out_channels=2)
