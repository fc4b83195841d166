from __future__ import annotations

import math

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.errors import ShapeMismatch
from segdesk.store.records import RaterKind
from segdesk.ui.models.agreement_map import agreement_map
from segdesk.ui.models.consensus_settings import ConsensusSettings, Method, quorum_problem
from segdesk.ui.models.merge_view import MergeView, domain_text
from segdesk.ui.models.reader_style import reader_styles
from segdesk.ui.models.walk import Walk
from tests.builders import oblique_geometry


def read(values: list[int], geometry: Geometry | None = None) -> LabelMap:
    grid = geometry or Geometry.from_spacing((1, 1, len(values)), (3.0, 0.7, 1.1))
    return LabelMap.of(np.array(values, np.uint8).reshape(grid.shape_kji), grid)


def test_the_map_counts_how_many_readers_leave_the_majority() -> None:
    reads = [read([0, 1, 1, 1, 2, 0]), read([0, 1, 0, 2, 1, 1]), read([0, 1, 1, 3, 0, 0])]
    # all background; all label 1; 1 of 3 deviates; three opinions; three opinions; 1 deviates
    assert agreement_map(reads).array.ravel().tolist() == [0, 3, 1, 2, 2, 1]


def test_the_map_of_one_reader_shows_what_was_drawn() -> None:
    assert agreement_map([read([0, 2, 1])]).array.ravel().tolist() == [0, 1, 1]


def test_the_map_of_empty_reads_is_empty_and_lies_on_their_oblique_grid() -> None:
    geometry = oblique_geometry((2, 3, 4))
    heat = agreement_map([read([0] * 24, geometry)] * 2)
    assert not heat.array.any()
    assert heat.geometry == geometry
    assert len(heat.table) == 0


def test_the_map_names_the_values_that_occur() -> None:
    heat = agreement_map([read([1, 1]), read([1, 0])])
    assert [label.name for label in heat.table] == ["1 of 2 deviate", "all 2 agree"]


@pytest.mark.parametrize("reads", [[], [read([1]), read([1, 1])]])
def test_reads_of_different_grids_are_refused(reads: list[LabelMap]) -> None:
    with pytest.raises(ShapeMismatch):
        agreement_map(reads)


@pytest.mark.parametrize("text", ["2/3", "2", " 1/2 ", "1", "0.5", "4"])
def test_fractions_and_counts_are_quorums(text: str) -> None:
    assert quorum_problem(text) == ""


@pytest.mark.parametrize("text", ["", "two", "1/0", "0", "-1", "3/2", "nan"])
def test_anything_else_is_told_what_a_quorum_is(text: str) -> None:
    assert "quorum is a fraction" in quorum_problem(text)


def test_a_bad_quorum_matters_only_to_the_quorum_method() -> None:
    settings = ConsensusSettings()
    settings.quorum.value = "many"
    assert (settings.problem(), settings.options.quorum) == ("", None)
    settings.method.value = Method.QUORUM
    assert settings.problem()
    assert settings.options.quorum == "many"


def test_every_setting_announces_its_change() -> None:
    settings, heard = ConsensusSettings(), []
    settings.changed.connect(lambda: heard.append(1))
    settings.margin.value = 3
    settings.quorum.value = "2"
    settings.method.value = Method.MAJORITY
    assert len(heard) == 3


def test_colours_do_not_depend_on_who_came_first() -> None:
    readers = [("b", RaterKind.HUMAN), ("a", RaterKind.SIMULATED), ("c", RaterKind.MODEL)]
    assert reader_styles(readers) == reader_styles(reversed(readers))


def test_simulated_readers_and_models_are_named_as_such() -> None:
    styles = reader_styles([("Reader 1", RaterKind.SIMULATED), ("net@1", RaterKind.MODEL), ("Ann", RaterKind.HUMAN)])
    assert [style.label for style in styles.values()] == ["Ann", "Reader 1 (simulated)", "net@1 (model)"]


def test_a_name_that_says_simulated_does_not_say_it_twice() -> None:
    styles = reader_styles([("Simulated reader A", RaterKind.SIMULATED)])
    assert styles["Simulated reader A"].label == "Simulated reader A"


def test_a_walk_goes_round_in_both_directions() -> None:
    walk: Walk[str] = Walk()
    walk.set_items(["a", "b", "c"])
    assert [walk.step(1), walk.step(1), walk.step(1), walk.step(1), walk.step(-1)] == ["a", "b", "c", "a", "c"]


def test_a_walk_can_begin_at_the_end() -> None:
    walk: Walk[str] = Walk()
    walk.set_items(["a", "b"])
    assert walk.step(-1) == "b"


def test_an_empty_walk_goes_nowhere() -> None:
    walk: Walk[str] = Walk()
    assert walk.step(1) is None
    assert walk.current is None


def test_new_items_begin_the_walk_anew() -> None:
    walk: Walk[str] = Walk()
    walk.set_items(["a"])
    walk.step(1)
    walk.set_items(["b"])
    assert (walk.position, walk.current) == (None, None)


PAYLOAD = {
    "method": "staple",
    "domain": {"box_kji": [[1, 2, 3], [11, 22, 33]], "margin": 10},
    "raters": [
        {"name": "a", "sensitivity": {"1": 0.9}, "specificity": {"1": None}},
        {"name": "b", "sensitivity": {"1": 0.8}, "specificity": {"1": 0.99}},
    ],
    "voxels": {"consensus": 100, "disputed": 12, "undecided": 3},
    "warnings": [{"code": "no_consensus", "message": "The raters do not overlap."}],
    "agreement": {
        "raters": ["a", "b"],
        "labels": {
            "1": {
                "pairwise_dice": {"mean": 0.85, "min": 0.85, "matrix": [[1, 0.85], [0.85, 1]]},
                "gci": None,
                "leave_one_out_dice": [0.7, None],
            }
        },
        "krippendorff_alpha": None,
        "fleiss_kappa": 0.5,
        "domain": "union",
    },
}


def test_a_merge_is_read_from_its_json_and_null_is_undefined() -> None:
    view = MergeView.of(PAYLOAD, LabelTable([Label(1, "liver", (1, 2, 3))]))
    assert (view.consensus_voxels, view.disputed_voxels, view.undecided_voxels) == (100, 12, 3)
    assert view.labels[0].name == "liver"
    assert math.isnan(view.alpha)
    assert math.isnan(view.labels[0].gci)
    assert math.isnan(view.readers[0].specificity[1])
    assert view.readers[0].leave_one_out_dice[1] == 0.7
    assert view.warnings == ("The raters do not overlap.",)


def test_the_domain_is_told_columns_first_with_its_margin() -> None:
    assert domain_text(PAYLOAD["domain"]) == "box of 30 × 20 × 10 voxels, margin 10"
    assert domain_text("whole") == "whole"
