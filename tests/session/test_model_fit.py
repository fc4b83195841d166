"""Whether a model fits an image, from headers alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.volume import Volume
from segdesk.session.model_fit import Fit, best_fitting, extent_kji_mm, fit_of, fit_of_case
from segdesk.store.records import CaseRecord, ChannelRecord
from segdesk.zoo.catalogue import find_model
from segdesk.zoo.spec import Channel
from tests.zoo.folders import spec

CROPS = spec(spacing_kji_mm=(1.0, 1.0, 1.0), patch_kji=(40, 56, 40), trained_extent_kji_mm=(45.0, 58.0, 43.0))
HEAD = Geometry.from_spacing((160, 256, 256), (1.2, 1.0, 1.0))
CROP = Geometry.from_spacing((36, 50, 35), (1.0, 1.0, 1.0))


def case(grid: Geometry | None, *names: str, modality: str = "MR") -> CaseRecord:
    channels = tuple(ChannelRecord(name, Path(f"{name}.nii.gz"), "", "0" * 64) for name in names or ("image",))
    shape = (1, 1, 1) if grid is None else grid.shape_kji
    return CaseRecord("c", "c", "p", modality, shape, "f" * 64, channels, datetime(2026, 1, 1, tzinfo=UTC), grid)


def image(grid: Geometry, **fields: object) -> dict[str, Volume]:
    return {"image": Volume(np.broadcast_to(np.int16(0), grid.shape_kji), grid, **fields)}


def test_a_model_of_cut_outs_does_not_fit_a_whole_head_but_a_part_of_it() -> None:
    found = fit_of(CROPS, image(HEAD))
    assert (found.fit, found.needs_region) == (Fit.REMARK, True)
    assert found.reasons[0] == (
        "The image is 256 × 256 × 192 mm; the model was trained on cut-outs of at most 43 × 58 × 45 mm and draws in "
        "wrong places elsewhere. Drag a box round the structure in a view."
    )
    assert fit_of_case(CROPS, case(HEAD)) == found
    assert fit_of(CROPS, image(CROP)).fit is Fit.FITS
    region = fit_of(CROPS, image(HEAD), Box((60, 100, 100), (95, 150, 140)))
    assert (region.fit, region.needs_region) == (Fit.FITS, False)
    large = fit_of(CROPS, image(HEAD), Box((0, 0, 0), (160, 150, 140)))
    assert large.needs_region
    assert large.reasons[0].startswith("The region is 140 × 150 × 192 mm")
    assert large.reasons[0].endswith("Make the box smaller.")


def test_axes_are_compared_as_the_model_has_them() -> None:
    long_i = CROPS.model_copy(update={"trained_extent_kji_mm": (40.0, 40.0, 200.0), "orientation": "RAS"})
    # k runs to the left, j to posterior, i to superior: k is the model's i.
    grid = Geometry((180, 40, 40), np.eye(4))
    assert extent_kji_mm(long_i, grid) == (40.0, 40.0, 180.0)
    assert fit_of(long_i, image(grid)).fit is Fit.FITS
    unknown = replace(grid, orientation_known=False)
    assert fit_of(long_i, image(unknown)).needs_region


def test_a_model_that_does_not_say_what_it_was_trained_on_is_judged_by_its_window() -> None:
    silent_one = CROPS.model_copy(update={"trained_extent_kji_mm": None})
    found = fit_of(silent_one, image(HEAD))
    assert (found.fit, found.needs_region) == (Fit.REMARK, False)
    assert "times as large as what this model sees at once" in found.reasons[0]
    whole = CROPS.model_copy(update={"trained_extent_kji_mm": (200.0, 256.0, 256.0)})
    assert fit_of(whole, image(HEAD)).fit is Fit.FITS


def test_without_a_voxel_size_nobody_knows_the_field_of_view() -> None:
    pixels = replace(HEAD, spacing_known=False)
    assert not fit_of(CROPS, image(pixels)).needs_region
    stack = SliceStackGeometry((2, 30, 30), np.stack([np.eye(4)[:, :3]] * 2), np.ones(2))
    assert extent_kji_mm(CROPS, stack) is None
    assert "not evenly spaced" in fit_of_case(CROPS, case(stack)).reasons[0]


def test_a_case_is_judged_by_its_record() -> None:
    two = spec(patch_kji=(40, 56, 40), channels=(Channel(name="t1"), Channel(name="flair", modality="CT")))
    assert fit_of_case(two, case(CROP)).reasons == ("It needs the channels t1, flair; the case has image.",)
    # Of further channels the record has no modality: nothing is said of it.
    assert fit_of_case(two, case(CROP, "t1", "flair")).fit is Fit.FITS
    assert fit_of_case(two, case(CROP, "flair", "t1")).reasons == ("The image is MR; the model was trained on CT.",)
    assert fit_of_case(CROPS, case(None)).fit is Fit.UNKNOWN


def test_time_points_colour_and_nameless_modality_are_told() -> None:
    movie = {"image": Volume(np.zeros((2, *CROP.shape_kji), np.int16), CROP, time_points=2)}
    assert fit_of(CROPS, movie).fit is Fit.NOT
    ct = spec(patch_kji=(40, 56, 40), channels=(Channel(name="image", modality="CT"),))
    assert fit_of(ct, image(CROP)).reasons == ("The file does not say what it is; the model was trained on CT.",)


def test_the_shipped_model_says_what_it_was_trained_on() -> None:
    assert fit_of(find_model("hippocampus-unet3d").spec, image(HEAD)).needs_region
    assert fit_of(find_model("hippocampus-unet3d").spec, image(CROP)).fit is Fit.FITS


FLAT = spec(dimensions=2, patch_kji=(1, 64, 64), spacing_kji_mm=None)


def test_a_2d_model_on_a_volume_says_that_it_draws_slice_by_slice() -> None:
    found = fit_of(FLAT, image(CROP))
    assert (found.fit, found.reasons) == (
        Fit.REMARK, ("It is a 2D model: it draws slice by slice and sees no other slice.",),
    )  # fmt: skip
    assert fit_of(FLAT, image(Geometry.from_spacing((1, 64, 64), (1.0, 1.0, 1.0)))).fit is Fit.FITS
    context = FLAT.model_copy(update={"slice_context": 1})
    assert fit_of(context, image(CROP)).fit is Fit.FITS


def test_the_model_of_an_images_dimensions_is_offered_first() -> None:
    one_slice = image(Geometry.from_spacing((1, 64, 64), (1.0, 1.0, 1.0)))
    other_channels = CROPS.model_copy(update={"channels": (Channel(name="a"), Channel(name="b"))})
    assert best_fitting([FLAT, CROPS], image(CROP)) == 1
    assert best_fitting([FLAT, CROPS], image(HEAD)) == 1, "with a remark, but of the right dimensions"
    assert best_fitting([CROPS, FLAT], one_slice) == 1
    assert best_fitting([other_channels, FLAT], image(CROP)) == 1
    assert best_fitting([CROPS, CROPS], image(CROP)) == 0
