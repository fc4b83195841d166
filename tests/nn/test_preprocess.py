from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import GeometryMismatch, ModelError
from segdesk.nn.normalise import normalise
from segdesk.nn.preprocess import axis_map, preprocess, wanted_spacing
from segdesk.nn.resample import resample_linear, resample_nearest
from segdesk.zoo.spec import Channel, LabelSpec, ModelSpec, NetworkSpec, Normalisation
from tests.builders import oblique_geometry, sheared_geometry

_RAW = Normalisation(kind="none")


def _spec(**changes: object) -> ModelSpec:
    values = {
        "name": "m", "title": "m", "dimensions": 3, "patch_kji": (8, 8, 8), "weights_sha256": "0" * 64,
        "network": NetworkSpec(name="residual_unet"), "channels": (Channel(name="image", normalisation=_RAW),),
        "labels": (LabelSpec(value=1, name="x", colour_rgb=(1, 2, 3)),), "orientation": "RAS",
    }  # fmt: skip
    return ModelSpec(**(values | changes))  # type: ignore[arg-type]


def _volume(geometry: Geometry, seed: int = 0) -> Volume:
    return Volume(np.random.default_rng(seed).normal(100, 20, geometry.shape_kji).astype(np.float32), geometry)


def _nifti_geometry(affine_ras: np.ndarray, shape_ijk: tuple[int, int, int]) -> Geometry:
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_ras @ np.eye(4)[[2, 1, 0, 3]]
    return Geometry(shape_ijk[::-1], lps)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_any_axis_order_becomes_ras_as_nibabel_says(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)] * signs
    array = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    oracle = nib.as_closest_canonical(nib.Nifti1Image(array, affine)).get_fdata()
    volume = Volume(np.ascontiguousarray(array.T), _nifti_geometry(affine, array.shape))
    ready = preprocess({"image": volume}, _spec())
    np.testing.assert_array_equal(ready.array[0], oracle.T)
    np.testing.assert_array_equal(ready.to_source(ready.array)[0], volume.array)


@pytest.mark.parametrize("geometry", [oblique_geometry(), sheared_geometry()], ids=["oblique", "sheared"])
def test_oblique_and_sheared_grids_come_back_bit_for_bit_when_only_turned(geometry: Geometry) -> None:
    volume = _volume(geometry)
    ready = preprocess({"image": volume}, _spec())
    np.testing.assert_array_equal(ready.to_source(ready.array)[0], volume.array)
    assert ready.warnings == ()


def test_labels_there_and_back_lie_on_the_source_grid_of_an_anisotropic_oblique_scan() -> None:
    geometry = oblique_geometry((8, 40, 30))
    labels = np.zeros(geometry.shape_kji, np.uint8)
    labels[2:6, 10:30, 8:22] = 1
    ready = preprocess({"image": _volume(geometry)}, _spec(spacing_kji_mm=(1.0, 1.0, 1.0)))
    assert ready.array.shape[1:] == (24, 28, 33)
    turned = ready.labels_to_model(labels)
    both = np.stack([turned == 0, turned == 1]).astype(np.float32)
    back = ready.labels_to_source(both)
    overlap = 2 * np.sum((back == 1) & (labels == 1)) / (np.sum(back == 1) + np.sum(labels == 1))
    assert back.shape == labels.shape
    assert overlap > 0.97


def test_a_marker_keeps_its_place_in_the_patient_through_resampling() -> None:
    geometry = oblique_geometry((12, 30, 28))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape_kji), indexing="ij"), axis=-1)
    centre = geometry.index_to_lps((5, 14, 12))
    image = np.exp(-np.sum((geometry.index_to_lps(index) - centre) ** 2, axis=-1) / 50).astype(np.float32)
    ready = preprocess({"image": Volume(image, geometry)}, _spec(spacing_kji_mm=(1.5, 1.5, 1.5)))
    back = ready.to_source(ready.array)[0]
    weights = np.where(back > 0.5, back, 0)
    found = np.tensordot(weights, geometry.index_to_lps(index), axes=3) / weights.sum()
    assert np.linalg.norm(found - centre) < 0.2


def test_unknown_orientation_keeps_the_index_axes_and_says_so() -> None:
    geometry = Geometry((4, 5, 6), np.eye(4), orientation_known=False)
    ready = preprocess({"image": _volume(geometry)}, _spec())
    assert [warning.code for warning in ready.warnings] == ["orientation_unknown"]
    np.testing.assert_array_equal(ready.array[0], _volume(geometry).array)


def test_unknown_spacing_is_not_resampled_and_says_so() -> None:
    geometry = Geometry((4, 5, 6), np.eye(4), spacing_known=False)
    ready = preprocess({"image": _volume(geometry)}, _spec(spacing_kji_mm=(2.0, 2.0, 2.0), orientation=None))
    assert [warning.code for warning in ready.warnings] == ["spacing_unknown"]
    assert ready.array.shape == (1, 4, 5, 6)


def test_spacing_within_one_percent_is_left_alone() -> None:
    geometry = Geometry.from_spacing((10, 10, 10), (1.005, 0.995, 1.0))
    axes, _ = axis_map(geometry, "RAS", (1.0, 1.0, 1.0))
    assert axes.shape_model == (10, 10, 10)


def test_two_dimensional_models_never_resample_across_slices() -> None:
    spec = _spec(dimensions=2, patch_kji=(1, 8, 8), spacing_kji_mm=(1.0, 1.0, 1.0), orientation=None)
    assert wanted_spacing(spec) == (0.0, 1.0, 1.0)
    ready = preprocess({"image": _volume(Geometry.from_spacing((3, 10, 10), (5.0, 2.0, 2.0)))}, spec)
    assert ready.array.shape == (1, 3, 20, 20)


def test_irregular_stacks_keep_their_slices() -> None:
    affines = np.zeros((3, 4, 3))
    affines[:, 0, 1] = affines[:, 1, 0] = 0.5
    affines[:, 2, 2] = [0, 3, 7]
    affines[:, 3, 2] = 1
    stack = SliceStackGeometry((3, 10, 10), affines, np.array([3.0, 3.5, 4.0]))
    volume = Volume(np.ones(stack.shape_kji, np.float32), stack)
    ready = preprocess({"image": volume}, _spec(spacing_kji_mm=(1.0, 1.0, 1.0), orientation=None))
    assert ready.array.shape == (1, 3, 5, 5)
    assert ready.to_source(ready.array).shape == (1, 3, 10, 10)


def test_missing_channel_time_axis_and_foreign_grid_are_refused() -> None:
    spec = _spec(channels=(Channel(name="a", normalisation=_RAW), Channel(name="b", normalisation=_RAW)))
    one = _volume(Geometry.from_spacing((4, 4, 4)))
    cine = Volume(np.zeros((2, 4, 4, 4), np.float32), one.geometry, time_points=2)
    other = _volume(Geometry.from_spacing((4, 4, 4), (2.0, 1.0, 1.0)))
    with pytest.raises(ModelError, match="b is missing") as caught:
        preprocess({"a": one}, spec)
    assert caught.value.code == "wrong_channels"
    with pytest.raises(ModelError, match="time axis"):
        preprocess({"a": one, "b": cine}, spec)
    with pytest.raises(GeometryMismatch):
        preprocess({"a": one, "b": other}, spec)


def test_labels_to_source_equals_the_largest_probability_and_the_lower_class_wins_ties() -> None:
    geometry = Geometry.from_spacing((4, 4, 4))
    ready = preprocess({"image": _volume(geometry)}, _spec())
    scores = np.random.default_rng(1).random((3, 4, 4, 4)).astype(np.float32)
    scores[2, 0, 0, 0] = scores[1, 0, 0, 0] = 2.0
    np.testing.assert_array_equal(ready.labels_to_source(scores), ready.to_source(scores).argmax(axis=0))


@given(st.integers(1, 9), st.integers(1, 9))
def test_linear_resampling_upwards_equals_torch(before: int, more: int) -> None:
    array = np.random.default_rng(before).normal(size=(before, 4, 3)).astype(np.float32)
    shape = (before + more, 7, 3)
    oracle = torch.nn.functional.interpolate(
        torch.from_numpy(array)[None, None], shape, mode="trilinear", align_corners=False
    )[0, 0].numpy()
    np.testing.assert_allclose(resample_linear(array, shape), oracle, atol=1e-5)


@given(st.integers(1, 12), st.integers(1, 12))
def test_linear_resampling_keeps_constants(before: int, after: int) -> None:
    array = np.full((before, 2, 2), 7.5, np.float32)
    np.testing.assert_allclose(resample_linear(array, (after, 2, 2)), 7.5, rtol=1e-6)


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), 32).reshape(64, 1, 1)
    assert np.ptp(resample_linear(stripes, (16, 1, 1))[2:-2]) < 0.1


@given(st.integers(1, 9), st.integers(1, 20))
def test_nearest_resampling_invents_no_value(before: int, after: int) -> None:
    array = np.arange(before, dtype=np.uint8).reshape(before, 1, 1)
    assert set(resample_nearest(array, (after, 1, 1)).ravel()) <= set(range(before))


_CLIPPED = Normalisation(kind="zscore", low=0.5, high=99.5)


@pytest.mark.parametrize("scale", [1.0, 1.7e6 / 112])
def test_zscore_does_not_depend_on_the_scale_of_the_scanner(scale: float) -> None:
    array = np.random.default_rng(3).gamma(3.0, 12.0, (8, 9, 10)).astype(np.float32)
    geometry = Geometry.from_spacing(array.shape)
    base = normalise(Volume(array, geometry), _CLIPPED)
    np.testing.assert_allclose(normalise(Volume(array * np.float32(scale), geometry), _CLIPPED), base, atol=1e-3)
    assert abs(float(base.mean())) < 0.05
    assert abs(float(base.std()) - 1) < 0.05


def test_one_bright_voxel_does_not_move_the_clipped_zscore() -> None:
    array = np.random.default_rng(3).normal(100, 10, (10, 10, 10)).astype(np.float32)
    geometry = Geometry.from_spacing(array.shape)
    before = normalise(Volume(array, geometry), _CLIPPED)
    spiked = array.copy()
    spiked[0, 0, 0] = 1e6
    after = normalise(Volume(spiked, geometry), _CLIPPED)
    assert np.abs(after[1:] - before[1:]).max() < 0.05


@pytest.mark.parametrize("kind", ["zscore", "zscore_nonzero", "percentiles"])
@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_constant_or_empty_images_become_zero(kind: str, value: float) -> None:
    volume = Volume(np.full((3, 3, 3), value, np.float32), Geometry.from_spacing((3, 3, 3)))
    how = Normalisation.model_validate({"kind": kind, "low": 0.0, "high": 100.0})
    np.testing.assert_array_equal(normalise(volume, how), 0)


def test_nan_padding_and_zeros_stay_out_of_the_statistics() -> None:
    array = np.random.default_rng(0).normal(50, 5, (6, 6, 6)).astype(np.float32)
    geometry = Geometry.from_spacing(array.shape)
    plain = normalise(Volume(array[2:], Geometry.from_spacing((4, 6, 6))), Normalisation(kind="zscore"))
    for junk, how, padding in (
        (-2000, "zscore", (-2000, -2000)),
        (0, "zscore_nonzero", None),
        (np.nan, "zscore", None),
    ):
        spoiled = array.copy()
        spoiled[:2] = junk
        volume = Volume(spoiled, geometry, padding_range=padding)
        result = normalise(volume, Normalisation.model_validate({"kind": how}))
        np.testing.assert_allclose(result[2:], plain, atol=1e-4)
        assert np.isfinite(result).all()


def test_window_and_percentiles_map_their_ends() -> None:
    array = np.linspace(-1000, 1000, 27, dtype=np.float32).reshape(3, 3, 3)
    volume = Volume(array, Geometry.from_spacing((3, 3, 3)), unit=IntensityUnit.HU)
    window = normalise(volume, Normalisation(kind="window", low=-200, high=300, mean=50, std=100))
    assert (window.min(), window.max()) == (-2.5, 2.5)
    scaled = normalise(volume, Normalisation(kind="percentiles", low=0, high=100))
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)


def test_colour_becomes_luminance() -> None:
    rgb = np.zeros((1, 2, 2, 3), np.uint8)
    rgb[..., 1] = 100
    volume = Volume(rgb, Geometry.from_spacing((1, 2, 2)), unit=IntensityUnit.RGB)
    np.testing.assert_allclose(normalise(volume, _RAW), 58.7, rtol=1e-5)
