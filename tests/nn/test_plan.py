from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from segdesk.core.geometry import Geometry
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.nn.dataset import CaseFiles, Dataset, LoadedCase
from segdesk.nn.fingerprint import fingerprint
from segdesk.nn.losses import IGNORE
from segdesk.nn.plan import Plan, plan_training
from segdesk.nn.plan_network import network_for, plan_network
from segdesk.nn.recipe import PreprocessingChoice, Recipe, RecipeLabel
from segdesk.nn.recipe_file import parse_recipe
from segdesk.nn.training_memory import CPU_MIB, memory_budget_mib, training_memory_mib
from segdesk.zoo.spec import NetworkSpec

torch.set_num_threads(1)

_CPU = torch.device("cpu")


def _case(
    shape: tuple[int, int, int], spacing: tuple[float, float, float] = (1, 1, 1), name: str = "a", channel: str = "t1"
) -> LoadedCase:
    rng = np.random.default_rng(len(name) + shape[0])
    affine = np.diag([*spacing, 1.0])[[2, 1, 0, 3]]
    classes = np.zeros(shape, np.uint8)
    classes[: shape[0] // 2, : shape[1] // 2, : shape[2] // 4] = 1
    classes[-1, -1, -2:] = 2
    image = rng.normal(40, 10, shape).astype(np.float32) * (classes > 0)
    volume = Volume(image, Geometry(shape, affine))
    return LoadedCase(CaseFiles(name, (), Path(name), name), {channel: volume}, classes, "0" * 64)


def _dataset(channel: str = "t1") -> Dataset:
    labels = (RecipeLabel(1, "liver"), RecipeLabel(2, "cyst"))
    return Dataset(Path("d"), "d", "unknown", (channel,), labels, ())


def _plan(cases: list[LoadedCase], recipe: Recipe | None = None, channel: str = "t1") -> Plan:
    return plan_training(_dataset(channel), cases, recipe or Recipe(), "m", _CPU)


def test_the_fingerprint_counts_classes_and_measures_intensities_under_the_labels() -> None:
    cases = [_case((8, 10, 12)), _case((8, 12, 12), name="b")]
    cases[1].classes[cases[1].classes == 2] = IGNORE
    seen = fingerprint(cases, 3, "RAS")
    inside = np.concatenate([case.channels["t1"].array[np.isin(case.classes, (1, 2))] for case in cases])
    assert seen.cases_with_class == (2, 2, 1)
    counted = 8 * 10 * 12 + 8 * 12 * 12 - 2
    np.testing.assert_allclose(seen.class_shares, [1 - (132 + 2) / counted, 132 / counted, 2 / counted])
    found = seen.intensities["t1"]
    np.testing.assert_allclose((found.mean, found.std), (inside.mean(), inside.std()), rtol=1e-5)
    np.testing.assert_allclose((found.low, found.high), np.percentile(inside, (0.5, 99.5)), rtol=1e-5)


def test_shapes_and_spacings_are_those_of_the_models_axes() -> None:
    case = _case((8, 10, 12), (3.0, 2.0, 1.0))
    affine = case.channels["t1"].geometry.affine_kji_to_lps
    turned = Geometry((12, 10, 8), affine[:, [2, 1, 0, 3]])
    volume = Volume(np.ascontiguousarray(case.channels["t1"].array.T), turned)
    other = replace(case, channels={"t1": volume}, classes=np.ascontiguousarray(case.classes.T))
    seen = fingerprint([case, other], 3, "RAS")
    np.testing.assert_array_equal(seen.shapes_kji, [[8, 10, 12]] * 2)
    np.testing.assert_allclose(seen.spacings_kji_mm, [[3, 2, 1]] * 2)


def test_spacing_is_the_median_and_finer_along_thick_slices() -> None:
    even = [_case((20, 40, 40), (2.0, 1.0, 1.0), f"c{n}") for n in range(3)]
    assert _plan(even).spec.spacing_kji_mm == (2.0, 1.0, 1.0)
    # Medians 5, 1, 1: more than three times, with fewer than a third of the voxels.
    gaps = (4.0, 5.0, 5.0, 5.0, 6.0)
    thick = [_case((10, 60, 60), (gap, 1.0, 1.0), f"c{n}") for n, gap in enumerate(gaps)]
    planned = _plan(thick).spec.spacing_kji_mm
    assert planned is not None
    assert planned[0] == pytest.approx(np.percentile(gaps, 10))


def test_a_small_image_is_seen_whole_and_halved_while_four_voxels_are_left() -> None:
    network, patch, poolings = network_for(np.array([36.0, 50.0, 35.0]), (1, 1, 1))
    assert poolings == (3, 3, 3)
    assert patch == (40, 56, 40)
    assert network.parameters["widths"] == [32, 64, 96, 128]
    assert network.name == "residual_unet"


def test_thick_slices_are_halved_once_the_others_have_caught_up() -> None:
    network, _, poolings = network_for(np.array([16.0, 128.0, 128.0]), (4.0, 1.0, 1.0))
    assert network.name == "residual_encoder_unet"
    assert network.parameters["strides"][:4] == [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2]]
    assert network.parameters["kernel_sizes"][:4] == [[1, 3, 3], [1, 3, 3], [3, 3, 3], [3, 3, 3]]
    assert poolings == (2, 5, 5)


@pytest.mark.parametrize(
    ("image", "spacing"),
    [((155, 240, 240), (1, 1, 1)), ((16, 320, 320), (5, 0.7, 0.7)), ((512, 512), (1, 1)), ((3, 9, 700), (1, 1, 1))],
)
def test_a_plan_fits_its_budget_and_the_network_takes_the_patch(
    image: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    plan = plan_network(image, spacing, 2, 4, 1e8, 300)
    assert plan.memory_mib <= 300
    assert training_memory_mib(plan.network, 2, 4, plan.patch, plan.batch) == pytest.approx(plan.memory_mib)
    assert plan.batch >= 2
    assert all(n % 2**p == 0 for n, p in zip(plan.patch, plan.poolings, strict=True))


def test_more_memory_means_a_larger_patch_and_few_data_a_small_batch() -> None:
    small, large = (plan_network((200, 200, 200), (1, 1, 1), 1, 2, 1e9, budget) for budget in (200, 2000))
    assert np.prod(large.patch) > 3 * np.prod(small.patch)
    many, few = (plan_network((32, 32, 32), (1, 1, 1), 1, 2, voxels, 2000) for voxels in (1e9, 1e6))
    assert few.batch == 2
    assert many.batch > 5
    assert many.memory_mib <= 2000


def test_counted_memory_is_what_autograd_keeps() -> None:
    network = NetworkSpec(name="two_path_cnn", parameters={"local_width": 1, "global_width": 1})
    one, two = (training_memory_mib(network, 1, 2, (65, 65), batch) for batch in (1, 2))
    weights = 5 * 4 * ((49 + 1) * 2 + (9 + 1) * 2 + (169 + 1) * 2 + (441 * 2 + 1) * 2) / 2**20
    assert one > weights
    assert two - weights == pytest.approx(2 * (one - weights))
    assert memory_budget_mib(_CPU) == CPU_MIB


def test_a_plan_without_a_recipe_fills_in_the_batch_and_keeps_ct_numbers_on_one_scale() -> None:
    cases = [_case((24, 32, 32), channel="ct")]
    plan = _plan(cases, channel="ct")
    how = plan.spec.channels[0].normalisation
    seen = fingerprint(cases, 3, "RAS").intensities["ct"]
    assert (how.kind, how.low, how.mean) == ("window", seen.low, seen.mean)
    assert plan.recipe.training.batch_size >= 2
    assert _plan([_case((24, 32, 32))]).spec.channels[0].normalisation.kind == "zscore"
    kept = parse_recipe("[training]\nbatch_size = 3\n")
    with_recipe = _plan(cases, kept, channel="ct")
    assert with_recipe.recipe is kept
    assert with_recipe.spec.channels[0].normalisation.kind == "zscore"


def test_what_a_recipe_says_is_not_planned() -> None:
    recipe = parse_recipe(
        "[preprocessing]\npatch_kji = [8, 16, 24]\nspacing_kji_mm = [2, 1, 1]\norientation = 'LPS'\n"
        "[network]\nname = 'segresnet'\n"
    )
    spec = _plan([_case((24, 32, 32))], recipe).spec
    assert (spec.patch_kji, spec.spacing_kji_mm, spec.orientation) == ((8, 16, 24), (2.0, 1.0, 1.0), "LPS")
    assert spec.network.name == "segresnet"


def test_a_budget_of_the_recipe_is_kept_to() -> None:
    cases = [_case((64, 64, 64))]
    small, large = (
        _plan(cases, Recipe(preprocessing=PreprocessingChoice(memory_mib=mib))).spec.patch_kji for mib in (100.0, 900.0)
    )
    assert np.prod(small) < np.prod(large)
    with pytest.raises(UsageError, match="memory_mib"):
        PreprocessingChoice(memory_mib=-1.0)


def test_flat_images_are_planned_flat() -> None:
    plan = _plan([_case((1, 96, 128))])
    assert plan.spec.dimensions == 2
    assert plan.spec.patch_kji == (1, 96, 128)
    assert "one by one" in " ".join(plan.sentences)


def test_the_plan_is_told_in_words_with_the_figures_a_reader_needs() -> None:
    told = "\n".join(_plan([_case((24, 32, 32), (2, 1, 1)), _case((24, 32, 32), (2, 1, 1), "b")]).sentences)
    for words in (
        "2 training cases",
        "24 x 32 x 32 voxels",
        "2 x 1 x 1 mm",
        "rarest, cyst",
        "million parameters",
        "MiB",
    ):
        assert words in told
    cases = [_case((24, 32, 32)), _case((24, 32, 32), name="b")]
    cases[1].classes[cases[1].classes == 2] = 0
    assert "Not in every case: cyst in 1 of 2." in "\n".join(_plan(cases).sentences)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind = 'none'", "stay as they are"),
        ("kind = 'percentiles'\nlow = 1\nhigh = 99", "0 to 1"),
        ("kind = 'window'\nlow = -100\nhigh = 200\nmean = 0\nstd = 50", "-100 to 200"),
    ],
)
def test_every_normalisation_has_its_words(text: str, words: str) -> None:
    recipe = parse_recipe(f"[preprocessing]\npatch_kji = [8, 8, 8]\n[preprocessing.normalisation]\n{text}\n")
    assert words in "\n".join(_plan([_case((24, 32, 32))], recipe).sentences)
