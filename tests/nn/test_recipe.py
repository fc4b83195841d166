from __future__ import annotations

from pathlib import Path

import pytest

from segdesk.errors import UsageError
from segdesk.nn.recipe_file import parse_recipe, read_recipe
from segdesk.paths import resources

_DATA = """
[data]
label_pattern = "labels/{case}.nii.gz"
[data.channels]
t1 = "images/{case}.nii.gz"
[[data.labels]]
value = 1
name = "x"
"""


@pytest.mark.parametrize("path", sorted((resources() / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name
    assert recipe.layout is not None
    assert recipe.network is not None


def test_an_empty_recipe_has_defaults() -> None:
    recipe = parse_recipe("")
    assert recipe.layout is None
    assert recipe.network is None
    assert recipe.loss.name == "dice_ce"
    assert recipe.preprocessing.normalisation.kind == "zscore"


def test_whole_numbers_are_taken_where_fractions_are_wanted() -> None:
    assert parse_recipe("[augment]\nnoise = 1").augment.noise == 1.0
    assert parse_recipe("[loss]\nclass_weights = [1, 2.5]").loss.class_weights == (1.0, 2.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = ", "no TOML"),
        ("[colours]\na = 1", "no table"),
        ("[model]\nauthor = 'x'", "author"),
        ("[augment]\nnoise = 'much'", "is a number"),
        ("[augment]\nflip_axes = 'i'", "is a list"),
        ("[training]\nbatch_size = 0", "batch_size"),
        ("[training]\nbatch_size = true", "whole number"),
        ("[training]\noptimizer = 'lion'", "lion"),
        ("[training]\nspeed = 3", "speed"),
        ("[network]\nname = 'os.system'", "network"),
        ("[preprocessing.normalisation]\nkind = 'magic'", "normalisation"),
        ("[[post_processing]]\nlabel = 0", "post_processing"),
        ("post_processing = 3", "post_processing"),
        ("[data]\nlabel_pattern = 'x'", "data.labels"),
        (_DATA.replace("[data.channels]\nt1", "[data.other]\nt1"), "data.channels"),
        (_DATA.replace("images/{case}", "images/scan"), "once"),
        (_DATA.replace("images/{case}", "../{case}"), "inside"),
        (_DATA.replace('name = "x"', ""), "needs 'name'"),
    ],
)
def test_what_a_recipe_cannot_say_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_recipe(text)


def test_the_file_is_named_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        read_recipe(tmp_path / "bad.toml")
    (tmp_path / "odd.toml").write_text("[odd]\na = 1")
    with pytest.raises(UsageError, match=r"odd\.toml"):
        read_recipe(tmp_path / "odd.toml")
