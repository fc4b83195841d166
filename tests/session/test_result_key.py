"""What a stored prediction is known by: whatever may change a label makes another key."""

from __future__ import annotations

from dataclasses import fields, replace
from enum import Enum
from typing import Any

import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.prediction import PredictOptions, Uncertainty
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.errors import Warn
from segdesk.session import result_key as module
from segdesk.session.result_key import result_key
from segdesk.workers.messages import options_to_json, volume_to_json
from segdesk.workers.shared_array import ArrayRef
from segdesk.zoo.channel_choice import chosen_channels
from segdesk.zoo.spec import (
    Channel,
    ImportRecord,
    LabelSpec,
    ModelRef,
    ModelSpec,
    NetworkSpec,
    Normalisation,
    PostRule,
    TrainingRecord,
)
from tests.zoo.folders import spec

GRID = Geometry.from_spacing((2, 3, 4), (2.0, 1.0, 1.0))
VOLUME = Volume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), GRID, modality="MR")
MODEL = spec(spacing_kji_mm=(2.0, 1.0, 1.0))
OPTIONS = PredictOptions()

OTHER_OPTIONS: dict[str, Any] = {
    "device": "cpu", "overlap": 0.25, "roi": Box((0, 0, 0), (1, 2, 3)), "flips": True, "probabilities": True,
    "uncertainty": Uncertainty.ENTROPY,
}  # fmt: skip
"""Another value of every field; a new field that is no choice must be given one here."""

OTHER_IMAGE: dict[str, Any] = {
    "array": VOLUME.array + 1, "geometry": Geometry.from_spacing((2, 3, 4), (2.0, 1.0, 1.5)), "unit": IntensityUnit.HU,
    "modality": "CT", "windows": (Window(40, 400),), "display_inverted": True, "time_points": 1,
    "padding_range": (0.0, 1.0), "warnings": (Warn("simulated", "x"),), "series_uid": "1.2", "source_path": "/x",
    "patient_key": "p",
}  # fmt: skip

OTHER_MODEL: dict[str, Any] = {
    "name": "another", "version": "2", "title": "Another", "dimensions": 2, "slice_context": 1,
    "views": ("k", "j", "i"),
    "network": NetworkSpec(name="residual_unet", parameters={"widths": [8, 32]}), "members": 2,
    "channels": (Channel(name="image", normalisation=Normalisation(kind="none")),),
    "labels": (LabelSpec(value=2, name="thing", colour_rgb=(1, 2, 3)),), "spacing_kji_mm": (1.0, 1.0, 1.0),
    "trained_extent_kji_mm": (9.0, 9.0, 9.0),
    "patch_kji": (1, 8, 8), "orientation": "RAS", "flip_axes": ("i",), "post_processing": (PostRule(label=1),),
    "training": TrainingRecord(dataset="x", licence="y"), "metrics": {"bf16": 1.0},
    "parent": ModelRef(name="x", version="1", weights_sha256="2" * 64),
    "imported": ImportRecord(format="state-dict", source="x", source_sha256="3" * 64), "weights_sha256": "1" * 64,
    "untrained": True, "created": MODEL.created.replace(year=2000),
}  # fmt: skip
FIXED = {"format_version", "task"}
"""Fields of a model with one possible value."""


def key(volume: Volume = VOLUME, model: ModelSpec = MODEL, options: PredictOptions = OPTIONS) -> str:
    return result_key({"image": volume}, model, options)


def test_the_same_question_has_the_same_key() -> None:
    assert key() == key(replace(VOLUME, array=VOLUME.array.copy()), MODEL.model_copy(), PredictOptions())
    assert len(key()) == 64


@pytest.mark.parametrize("name", [each.name for each in fields(PredictOptions)])
def test_every_option_makes_another_key_unless_it_is_declared_without_influence(name: str) -> None:
    present = getattr(OPTIONS, name)
    others = [each for each in type(present) if each is not present] if isinstance(present, Enum) else []
    changed = replace(OPTIONS, **{name: others[0] if others else OTHER_OPTIONS[name]})
    assert getattr(changed, name) != present
    assert (key(options=changed) == key()) == (name in module.OPTIONS_WITHOUT_INFLUENCE)


def test_the_declared_fields_are_fields_and_options_of_masks_are_none_of_them() -> None:
    names = {each.name for each in fields(PredictOptions)}
    assert names >= module.OPTIONS_WITHOUT_INFLUENCE
    assert not module.OPTIONS_WITHOUT_INFLUENCE & {"overlap", "roi", "flips", "engine", "precision"}
    assert names == set(options_to_json(OPTIONS))


@pytest.mark.parametrize("name", [each.name for each in fields(Volume) if each.name != "time_points"])
def test_every_field_of_an_image_makes_another_key_unless_no_network_sees_it(name: str) -> None:
    changed = replace(VOLUME, **{name: OTHER_IMAGE[name]})
    is_free = name in module.IMAGE_WITHOUT_INFLUENCE - {"array"}
    assert (key(changed) == key()) == is_free


def test_what_goes_to_the_inference_child_is_what_counts() -> None:
    sent = volume_to_json(VOLUME, ArrayRef("file", "x", (1,), "<i2"))
    counted = {each.name for each in fields(Volume)} - module.IMAGE_WITHOUT_INFLUENCE
    assert set(sent) - {"array", "grid"} == counted - {"geometry"}


def test_time_points_voxel_type_and_shape_make_other_keys() -> None:
    moving = Volume(np.stack([VOLUME.array] * 2), GRID, modality="MR", time_points=2)
    wide = replace(VOLUME, array=VOLUME.array.astype(np.int32))
    turned = Volume(VOLUME.array.reshape(4, 3, 2), Geometry.from_spacing((4, 3, 2), (2.0, 1.0, 1.0)), modality="MR")
    assert len({key(), key(moving), key(wide), key(turned)}) == 4


def test_where_a_grid_came_from_is_no_matter_but_where_it_lies_is() -> None:
    named = replace(GRID, source="NIfTI sform", frame_of_reference_uid="1.2.3")
    assert key(replace(VOLUME, geometry=named)) == key()
    affine = GRID.affine_kji_to_lps.copy()
    affine[0, 3] += 1e-9
    assert key(replace(VOLUME, geometry=replace(GRID, affine_kji_to_lps=affine))) != key()
    assert key(replace(VOLUME, geometry=replace(GRID, spacing_known=False))) != key()
    stack = SliceStackGeometry((2, 3, 4), np.stack([np.eye(4)[:, :3]] * 2), np.ones(2))
    thicker = replace(stack, thickness_k_mm=np.full(2, 2.0))
    assert len({key(), key(replace(VOLUME, geometry=stack)), key(replace(VOLUME, geometry=thicker))}) == 3


@pytest.mark.parametrize("name", sorted(set(ModelSpec.model_fields) - FIXED))
def test_every_field_of_a_model_makes_another_key_unless_it_tells_of_its_past(name: str) -> None:
    changed = MODEL.model_copy(update={name: OTHER_MODEL[name]})
    assert getattr(changed, name) != getattr(MODEL, name)
    assert (key(model=changed) == key()) == (name in module.MODEL_WITHOUT_INFLUENCE)


def test_the_declared_fields_of_images_grids_and_models_exist() -> None:
    assert {each.name for each in fields(Volume)} >= module.IMAGE_WITHOUT_INFLUENCE
    for grid in (Geometry, SliceStackGeometry):
        assert {each.name for each in fields(grid)} >= module.GRID_WITHOUT_INFLUENCE
    assert set(ModelSpec.model_fields) >= module.MODEL_WITHOUT_INFLUENCE


def test_another_program_makes_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    versions = module.program_versions()
    assert versions["numpy"] == np.__version__
    assert len(versions["code"]) == 32
    for name in versions:
        monkeypatch.setattr(module, "program_versions", lambda name=name: {**versions, name: "another"})
        assert key() != before


def test_the_code_counts_not_only_its_version(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("core", "zoo", "nn"):
        (tmp_path / package / "deep").mkdir(parents=True)
        (tmp_path / package / "deep" / "a.py").write_text("x = 1\n")
        (tmp_path / package / "notes.txt").write_text("no code")
    monkeypatch.setattr(module, "files", lambda name: tmp_path)
    before = module._code_hash()
    (tmp_path / "nn" / "notes.txt").write_text("other words")
    assert module._code_hash() == before
    (tmp_path / "nn" / "deep" / "a.py").write_text("x = 2\n")
    assert module._code_hash() != before


def test_a_library_that_is_not_there_has_no_version() -> None:
    assert module._version("no-such-library-of-segdesk") == ""


def test_what_has_no_form_is_refused_not_left_out() -> None:
    with pytest.raises(TypeError, match="object"):
        module._plain(object())


def test_a_model_takes_its_channels_by_name_or_the_only_one() -> None:
    two = spec(channels=(Channel(name="t1"), Channel(name="t2")))
    assert chosen_channels(MODEL, {"anything": 1}) == {"image": 1}
    assert chosen_channels(MODEL, {"image": 1, "other": 2}) == {"image": 1}
    assert chosen_channels(MODEL, {"a": 1, "b": 2}) is None
    assert list(chosen_channels(two, {"t2": 2, "x": 3, "t1": 1}).items()) == [("t1", 1), ("t2", 2)]
    assert chosen_channels(two, {"t1": 1}) is None
