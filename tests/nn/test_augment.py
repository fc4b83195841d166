from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.interpolate import CubicSpline

from segdesk.errors import UsageError
from segdesk.nn.augment import AugmentSettings, sample
from segdesk.nn.losses import IGNORE
from segdesk.nn.variant import IDENTITY, Variant, cut, recolour

torch.set_num_threads(1)

_STILL = AugmentSettings(
    chance=0, rotate_degrees=0, scale=0, elastic_voxels=0, gain=0, offset=0, noise=0, blur_voxels=0, bias=0, gamma=1
)


def _blob(shape: tuple[int, int, int] = (12, 16, 20)) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(5)
    image = ndimage.gaussian_filter(rng.normal(size=shape), 2).astype(np.float32)
    return torch.from_numpy(image[None]), torch.from_numpy((image > 0.02).astype(np.uint8))


def _middle(shape: tuple[int, ...]) -> np.ndarray:
    return (np.array(shape) - 1) / 2


def test_the_identity_cuts_exactly() -> None:
    image, labels = _blob()
    patch, mask = cut(image, labels, np.array([4.5, 7.5, 9.5]), (6, 8, 10), IDENTITY)
    torch.testing.assert_close(patch, image[:, 2:8, 4:12, 5:15], atol=1e-5, rtol=0)
    assert torch.equal(mask, labels[2:8, 4:12, 5:15])


def test_outside_the_image_is_the_mean_and_background() -> None:
    image, labels = _blob((4, 4, 4))
    patch, mask = cut(image + 3, torch.ones_like(labels), _middle((4, 4, 4)), (8, 8, 8), IDENTITY)
    assert float(patch[0, 0, 0, 0]) == 0
    assert int(mask[0, 0, 0]) == 0
    assert int(mask.sum()) == 64


def test_outside_a_mirrored_image_follow_its_own_voxels_in_reverse() -> None:
    image, labels = _blob((1, 6, 6))
    for kinds in (labels, labels * 9):
        many = torch.where(kinds == 0, torch.arange(36).reshape(1, 6, 6) % 11, kinds).to(torch.uint8)
        for mask in (labels, many):
            patch, cut_mask = cut(image, mask, _middle((1, 6, 6)), (1, 12, 12), IDENTITY, mirror=True)
            expected = np.pad(image.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="symmetric")
            torch.testing.assert_close(patch, torch.from_numpy(expected), atol=1e-5, rtol=0)
            assert np.array_equal(cut_mask.numpy(), np.pad(mask.numpy(), ((0, 0), (3, 3), (3, 3)), mode="symmetric"))


def test_flips_mirror_only_the_axes_that_may_be_mirrored() -> None:
    settings = replace(_STILL, flip_axes=("i",))
    seen = {tuple(np.diag(sample(np.random.default_rng(seed), settings).matrix).round(6)) for seed in range(20)}
    assert seen == {(1.0, 1.0, 1.0), (1.0, 1.0, -1.0)}
    image, labels = _blob()
    patch, mask = cut(image, labels, _middle(labels.shape), tuple(labels.shape), Variant(np.diag([1.0, 1.0, -1.0])))
    torch.testing.assert_close(patch, image.flip(-1), atol=1e-5, rtol=0)
    assert torch.equal(mask, labels.flip(-1))


def test_rotation_equals_scipy() -> None:
    image, labels = _blob()
    matrix = sample(np.random.default_rng(3), replace(_STILL, rotate_degrees=20, turn_chance=1)).matrix
    centre = _middle(labels.shape)
    patch, _ = cut(image, labels, centre, tuple(labels.shape), Variant(matrix))
    oracle = ndimage.affine_transform(image[0].numpy(), matrix, centre - matrix @ centre, order=1, mode="constant")
    inside = (slice(None), slice(3, -3), slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(patch[inside].numpy(), oracle[None][inside], atol=1e-4)


def test_image_and_labels_move_together() -> None:
    _, labels = _blob((20, 20, 20))
    variant = sample(np.random.default_rng(9), AugmentSettings(chance=1.0))
    patch, mask = cut(labels[None].float(), labels, _middle(labels.shape), (20, 20, 20), variant)
    assert float(((patch[0] > 0.5) == (mask == 1)).float().mean()) > 0.995


def test_the_ignore_class_survives_a_turn() -> None:
    _, labels = _blob()
    labels[3:9, 4:12, 5:15] = IGNORE
    _, mask = cut(labels[None].float(), labels, _middle(labels.shape), tuple(labels.shape), Variant(np.eye(3)))
    assert torch.equal(mask, labels)


def test_many_classes_take_the_nearest_voxel() -> None:
    labels = torch.arange(12 * 4 * 4, dtype=torch.uint8).reshape(12, 4, 4) % 20
    _, mask = cut(labels[None].float(), labels, _middle(labels.shape), tuple(labels.shape), IDENTITY)
    assert torch.equal(mask, labels)


def test_two_dimensional_variants_leave_slices_alone() -> None:
    for seed in range(10):
        variant = sample(np.random.default_rng(seed), AugmentSettings(chance=1.0), dimensions=2)
        np.testing.assert_allclose(variant.matrix[0], [1, 0, 0], atol=1e-12)
        np.testing.assert_allclose(variant.matrix[:, 0], [1, 0, 0], atol=1e-12)
        assert variant.elastic is not None
        assert not variant.elastic[0].any()


def test_the_same_draw_gives_the_same_patch() -> None:
    image, labels = _blob()
    patches = []
    for _ in range(2):
        variant = sample(np.random.default_rng([1, 2, 3]), AugmentSettings(chance=1.0))
        patch, _ = cut(image, labels, _middle(labels.shape), (8, 8, 8), variant)
        patches.append(recolour(patch, variant))
    assert torch.equal(*patches)


def test_nothing_drawn_changes_nothing() -> None:
    image, _ = _blob()
    assert torch.equal(recolour(image, sample(np.random.default_rng(0), _STILL)), image)


def test_blur_equals_a_truncated_gaussian() -> None:
    image, _ = _blob()
    blurred = recolour(image, Variant(np.eye(3), blur_voxels=0.7))
    oracle = ndimage.gaussian_filter(image[0].numpy(), 0.7, mode="nearest", radius=2)
    np.testing.assert_allclose(blurred[0].numpy(), oracle, atol=1e-5)


def test_gamma_keeps_the_range_and_noise_has_the_asked_spread() -> None:
    image, _ = _blob()
    bright = recolour(image, Variant(np.eye(3), gamma=1.4))
    assert float(bright.min()) == pytest.approx(float(image.min()), abs=1e-5)
    assert float(bright.max()) == pytest.approx(float(image.max()), abs=1e-5)
    noisy = recolour(torch.zeros(1, 20, 20, 20), Variant(np.eye(3), noise=0.3, noise_seed=4))
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.05)


def test_bias_gain_and_offset_are_finite_and_do_something() -> None:
    image, _ = _blob()
    bias = np.random.default_rng(0).normal(0, 0.3, (3, 3, 3)).astype(np.float32)
    changed = recolour(image, Variant(np.eye(3), bias=bias, gain=1.2, offset=-0.1))
    assert torch.isfinite(changed).all()
    assert not torch.allclose(changed, image)


def _matrices(settings: AugmentSettings, dimensions: int = 3) -> list[np.ndarray]:
    return [sample(np.random.default_rng(seed), settings, dimensions).matrix for seed in range(40)]


def test_quarter_turns_move_whole_voxels_about_the_axes_that_are_named() -> None:
    settings = replace(_STILL, quarter_turns=("k",))
    matrices = _matrices(settings)
    assert len({tuple(matrix.ravel() + 0.0) for matrix in matrices}) == 4
    image, labels = _blob((6, 16, 16))
    for matrix in matrices[:8]:
        patch, mask = cut(image, labels, _middle(labels.shape), (6, 16, 16), Variant(matrix))
        turned = [(image.rot90(n, (2, 3)), labels.rot90(n, (1, 2))) for n in range(4)]
        fits = [n for n, (_, wanted) in enumerate(turned) if torch.equal(mask, wanted)]
        assert len(fits) == 1
        torch.testing.assert_close(patch, turned[fits[0]][0], atol=1e-5, rtol=0)


def test_quarter_turns_of_flat_images_stay_in_the_plane() -> None:
    for matrix in _matrices(replace(_STILL, quarter_turns=("k", "j", "i")), dimensions=2):
        np.testing.assert_array_equal(matrix[0], [1, 0, 0])
        assert abs(np.linalg.det(matrix)) == pytest.approx(1)


def test_shear_stays_within_its_angle_and_keeps_the_volume() -> None:
    settings = replace(_STILL, shear_degrees=20.0, turn_chance=1.0)
    matrices = np.array(_matrices(settings))
    steepest = np.abs(matrices - np.eye(3)).max()
    assert np.tan(np.deg2rad(15)) < steepest <= np.tan(np.deg2rad(20))
    np.testing.assert_allclose(np.linalg.det(matrices), 1)
    flat = np.array(_matrices(settings, dimensions=2))
    np.testing.assert_array_equal(flat[:, 0, 1:], 0)
    assert np.abs(flat[:, 1, 2]).max() > 0.2


def test_shear_equals_scipy() -> None:
    image, labels = _blob()
    matrix = sample(np.random.default_rng(4), replace(_STILL, shear_degrees=20.0, turn_chance=1.0)).matrix
    centre = _middle(labels.shape)
    patch, _ = cut(image, labels, centre, tuple(labels.shape), Variant(matrix))
    oracle = ndimage.affine_transform(image[0].numpy(), matrix, centre - matrix @ centre, order=1, mode="constant")
    inside = (slice(3, -3), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(patch[0].numpy()[inside], oracle[inside], atol=1e-4)


def test_changes_of_size_stay_within_their_factor_and_reach_both_sides() -> None:
    sizes = np.array([np.linalg.det(matrix) ** (-1 / 3) for matrix in _matrices(replace(_STILL, scale=0.25))])
    assert 1 / 1.25 <= sizes.min() < 0.9
    assert 1.1 < sizes.max() <= 1.25


def test_a_patch_that_is_not_turned_is_not_sheared() -> None:
    settings = replace(_STILL, shear_degrees=20.0, rotate_degrees=20.0, turn_chance=0.0)
    assert all(np.array_equal(matrix, np.eye(3)) for matrix in _matrices(settings))


@pytest.mark.parametrize("points", [3, 4, 6])
def test_elastic_splines_pass_through_their_control_points(points: int) -> None:
    bends = np.random.default_rng(1).normal(0, 3, (3, points, points, points)).astype(np.float32)
    length = 4 * (points - 1) + 1
    index = torch.arange(length * 3, dtype=torch.float32)
    # An image that tells where it was read: along k the value is the index.
    image = index[None, :, None, None].expand(1, -1, 3 * length, 3 * length).contiguous()
    variant = Variant(np.eye(3), elastic=bends, elastic_spline=True)
    centre = np.full(3, (3 * length - 1) / 2)
    patch, _ = cut(image, torch.zeros(image.shape[1:], dtype=torch.uint8), centre, (length,) * 3, variant)
    straight = centre[0] + np.arange(length) - (length - 1) / 2
    moved = patch[0].numpy() - straight[:, None, None]
    np.testing.assert_allclose(moved[::4, ::4, ::4], bends[0], atol=1e-3)


def test_elastic_splines_are_the_cubic_ones_of_scipy() -> None:
    bends = np.zeros((3, 4, 4, 4), np.float32)
    bends[2] = np.random.default_rng(3).normal(0, 1, 4).astype(np.float32)
    image = torch.arange(40, dtype=torch.float32).expand(1, 13, 13, 40).contiguous()
    variant = Variant(np.eye(3), elastic=bends, elastic_spline=True)
    labels = torch.zeros(13, 13, 40, dtype=torch.uint8)
    patch, _ = cut(image, labels, np.array([6, 6, 20.0]), (13, 13, 13), variant)
    oracle = CubicSpline(np.arange(4), bends[2, 0, 0])(np.linspace(0, 3, 13))
    np.testing.assert_allclose(patch[0, 6, 6].numpy() - np.arange(14, 27), oracle, atol=1e-4)


def test_elastic_deformation_has_the_asked_spread_also_with_other_control_points() -> None:
    settings = replace(_STILL, chance=1.0, elastic_voxels=10.0, elastic_points=3, elastic_spline=True)
    drawn = [sample(np.random.default_rng(seed), settings, dimensions=2).elastic for seed in range(40)]
    assert all(bends is not None and bends.shape == (3, 3, 3, 3) for bends in drawn)
    moved = np.array(drawn)[:, 1:]
    assert moved.std() == pytest.approx(10, rel=0.05)
    assert not np.array(drawn)[:, 0].any()


def test_an_erased_box_holds_the_mean_and_nothing_else_changes() -> None:
    image, _ = _blob()
    settings = replace(_STILL, chance=1.0, erase=0.4)
    erased = 0
    for seed in range(10):
        variant = sample(np.random.default_rng(seed), settings)
        assert variant.erased is not None
        changed = recolour(image, variant)
        where = torch.nonzero((changed != image)[0])
        sides = where.amax(dim=0) - where.amin(dim=0) + 1
        assert len(where) == int(sides.prod())
        assert (sides <= torch.tensor([0.4 * n + 2 for n in image.shape[1:]])).all()
        torch.testing.assert_close(changed[changed != image], image.mean().expand(len(where)))
        erased += len(where)
    assert erased / image.numel() / 10 < 0.4**3


def test_each_kind_of_change_is_drawn_as_often_as_asked() -> None:
    settings = AugmentSettings(chance=0.25, erase=0.2, turn_chance=0.5, shear_degrees=10)
    drawn = [sample(np.random.default_rng(seed), settings) for seed in range(400)]
    counts = {
        "elastic": sum(v.elastic is not None for v in drawn), "bias": sum(v.bias is not None for v in drawn),
        "contrast": sum(v.gain != 1 for v in drawn), "brightness": sum(v.offset != 0 for v in drawn),
        "gamma": sum(v.gamma != 1 for v in drawn), "blur": sum(v.blur_voxels > 0 for v in drawn),
        "noise": sum(v.noise > 0 for v in drawn), "erase": sum(v.erased is not None for v in drawn),
    }  # fmt: skip
    assert all(60 < count < 140 for count in counts.values()), counts
    assert 150 < sum(not np.array_equal(v.matrix, np.eye(3)) for v in drawn) < 250


def test_contrast_and_brightness_are_a_straight_line() -> None:
    image, _ = _blob()
    torch.testing.assert_close(recolour(image, Variant(np.eye(3), gain=1.3, offset=-0.2)), image * 1.3 - 0.2)


def test_kinds_that_are_off_do_not_shift_the_draws_of_the_others() -> None:
    plain = AugmentSettings(chance=1.0, flip_axes=("i",))
    more = replace(plain, quarter_turns=("k",), shear_degrees=20.0, erase=0.3)
    for seed in range(10):
        a, b = (sample(np.random.default_rng(seed), settings) for settings in (plain, more))
        assert (a.gain, a.offset, a.gamma, a.noise_seed) == (b.gain, b.offset, b.gamma, b.noise_seed)
        np.testing.assert_array_equal(a.elastic, b.elastic)


def test_labels_stay_whole_numbers_and_move_with_the_image_under_everything_at_once() -> None:
    settings = AugmentSettings(
        chance=1.0, turn_chance=1.0, flip_axes=("k", "j", "i"), shear_degrees=20.0, quarter_turns=("k", "j", "i"),
        elastic_points=3, elastic_spline=True, elastic_voxels=2.0,
    )  # fmt: skip
    labels = torch.zeros(24, 24, 24, dtype=torch.uint8)
    labels[6:18, 5:12, 8:16], labels[6:18, 12:19, 8:16] = 3, 5
    for seed in range(6):
        variant = sample(np.random.default_rng(seed), settings)
        patch, mask = cut(labels[None].float(), labels, _middle(labels.shape), (24, 24, 24), variant)
        assert set(np.unique(mask)) <= {0, 3, 5}
        # Away from the faces, where interpolation mixes values, image and labels agree.
        sure = (patch[0] - patch[0].round()).abs() < 1e-3
        known = sure & torch.isin(patch[0].round(), torch.tensor([0.0, 3.0, 5.0]))
        assert float((mask[known] == patch[0].round()[known]).float().mean()) > 0.999


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip_axes": ("x",)}, {"noise": -1.0}, {"gamma": 0.5}, {"chance": 2.0}, {"quarter_turns": ("r",)},
        {"shear_degrees": 60.0}, {"shear_degrees": -1.0}, {"elastic_points": 1}, {"erase": 1.5},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        AugmentSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("centre", [(30.0, 20.0, 25.0), (1.0, 38.0, 3.0), (58.0, 2.0, 47.0), (-9.0, 20.0, 60.0)])
def test_a_patch_of_a_large_image_is_what_scipy_reads_there(centre: tuple[float, float, float], mirror: bool) -> None:
    """Only the part of the image round the patch is sampled: at every border, inside and beyond."""
    rng = np.random.default_rng(2)
    image = rng.normal(size=(60, 40, 50)).astype(np.float32)
    labels = (ndimage.gaussian_filter(image, 2) > 0.05).astype(np.uint8)
    turn = np.deg2rad(20.0)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.2]])
    size = (8, 10, 6)
    found, drawn = cut(
        torch.from_numpy(image)[None], torch.from_numpy(labels), np.array(centre), size, Variant(matrix), mirror=mirror
    )
    offsets = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in size), indexing="ij"))
    where = np.einsum("ab,bkji->akji", matrix, offsets) + np.array(centre)[:, None, None, None]
    outside = "reflect" if mirror else "grid-constant"
    expected = ndimage.map_coordinates(image, where, order=1, mode=outside)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-4)
    share = ndimage.map_coordinates(labels.astype(np.float64), where, order=1, mode=outside)
    certain = np.abs(share - 0.5) > 1e-3
    assert np.array_equal(drawn.numpy()[certain], share[certain] > 0.5)
