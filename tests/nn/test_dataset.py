from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from segdesk.errors import SegdeskError
from segdesk.io import read_labels
from segdesk.nn.dataset import class_indices, load_case, load_cases, pixel_sha256
from segdesk.nn.layouts import read_dataset
from segdesk.nn.losses import IGNORE
from segdesk.nn.prepare import divide
from segdesk.nn.recipe import Layout, RecipeLabel
from segdesk.nn.recipe_file import read_recipe
from segdesk.paths import resources
from tests.nn.toy_sets import ball_case, describe, nnunet_set, save_nifti

_LAYOUT = Layout({"image": "images/{case}.nii.gz"}, "labels/{case}.nii.gz", (RecipeLabel(1, "ball"),))


def _codes(dataset_or_warnings: object) -> list[str]:
    return [warning.code for warning in getattr(dataset_or_warnings, "warnings", dataset_or_warnings)]


def _folders(root: Path, seeds: range = range(4)) -> Path:
    for seed in seeds:
        image, mask = ball_case(seed)
        save_nifti(root / "images" / f"c{seed}.nii.gz", image)
        save_nifti(root / "labels" / f"c{seed}.nii.gz", mask)
    return root


def test_nnunet_folders_are_read(tmp_path: Path) -> None:
    dataset = read_dataset(nnunet_set(tmp_path, range(3)))
    assert [case.name for case in dataset.cases] == ["case_00", "case_01", "case_02"]
    assert dataset.channels == ("t1",)
    assert dataset.labels == (RecipeLabel(1, "ball"),)
    assert _codes(dataset) == ["patients_unknown"]


def test_nnunet_cases_without_partner_are_left_out_with_a_reason(tmp_path: Path) -> None:
    nnunet_set(tmp_path, range(3))
    (tmp_path / "labelsTr" / "case_01.nii.gz").unlink()
    (tmp_path / "imagesTr" / "case_02_0000.nii.gz").unlink()
    dataset = read_dataset(tmp_path)
    assert [case.name for case in dataset.cases] == ["case_00"]
    texts = [w.message for w in dataset.warnings if w.code == "case_excluded"]
    assert texts == ["case_02: an image of a channel is missing.", "case_01: the mask is missing."]


def test_nnunet_channels_keep_their_numbers_and_the_ignore_label_does_not_train(tmp_path: Path) -> None:
    image, mask = ball_case(0)
    mask[0, 0, 0] = 2
    for number in range(2):
        save_nifti(tmp_path / "imagesTr" / f"a_{number:04d}.nii.gz", image + number)
    save_nifti(tmp_path / "labelsTr" / "a.nii.gz", mask)
    describe(
        tmp_path,
        {"channel_names": {"0": "T1 w", "1": "FLAIR"}, "labels": {"background": 0, "ball": 1, "ignore": 2}},
    )
    dataset = read_dataset(tmp_path)
    case = load_case(dataset, dataset.cases[0])
    assert dataset.channels == ("t1-w", "flair")
    np.testing.assert_allclose(case.channels["flair"].array - case.channels["t1-w"].array, 1, atol=1e-4)
    assert case.classes[0, 0, 0] == IGNORE
    assert len(dataset.labels) == 1


def test_msd_folders_are_read(tmp_path: Path) -> None:
    _folders(tmp_path, range(2))
    rows = [{"image": f"./images/c{n}.nii.gz", "label": f"./labels/c{n}.nii.gz"} for n in (1, 0, 7)]
    describe(tmp_path, {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "ball"}, "training": rows})
    dataset = read_dataset(tmp_path)
    assert [case.name for case in dataset.cases] == ["c0", "c1"]
    assert dataset.labels == (RecipeLabel(1, "ball"),)
    assert "c7: the image is missing." in [w.message for w in dataset.warnings]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "as JSON"),
        ("[]", "no JSON object"),
        ('{"labels": {}}', "needs labels"),
        ('{"labels": {"background": 0}}', "no label besides"),
        ('{"labels": {"whole": [1, 2]}}', "regions"),
        ('{"labels": {"a": 1}, "channel_names": ["x"]}', "channel_names"),
        ('{"labels": {"a": 1}}', "imagesTr|labelsTr"),
        ('{"labels": {"a": 1}, "training": ["x"]}', "needs image and label"),
        ('{"labels": {"a": 1}, "training": [{"image": "../x.nii.gz", "label": "y.nii.gz"}]}', "outside"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused_with_the_reason(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(SegdeskError, match=text) as caught:
        read_dataset(tmp_path)
    assert caught.value.code == "bad_dataset"


def test_folders_without_description_or_without_cases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SegdeskError, match="no data folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(SegdeskError, match="--recipe"):
        read_dataset(tmp_path)
    with pytest.raises(SegdeskError, match="No case was found"):
        read_dataset(tmp_path, _LAYOUT)


def test_a_recipe_describes_any_layout(tmp_path: Path) -> None:
    for seed in range(2):
        image, mask = ball_case(seed)
        save_nifti(tmp_path / f"sub-{seed}" / "anat" / f"sub-{seed}_T1w.nii.gz", image)
        save_nifti(tmp_path / f"sub-{seed}" / "mask" / "seg.nii.gz", mask * 200)
    layout = Layout(
        {"t1": "{case}/anat/*_T1w.nii.gz"}, "{case}/mask/seg.nii.gz", (RecipeLabel(1, "ball", source=(200,)),)
    )
    dataset = read_dataset(tmp_path, layout)
    assert [(case.name, case.patient) for case in dataset.cases] == [("sub-0", "sub-0"), ("sub-1", "sub-1")]
    assert _codes(dataset) == []
    np.testing.assert_array_equal(load_case(dataset, dataset.cases[0]).classes, ball_case(0)[1].T)


def test_a_pattern_that_matches_two_files_for_a_case_is_refused(tmp_path: Path) -> None:
    for name in ("a_x", "a_y"):
        save_nifti(tmp_path / "images" / f"{name}.nii.gz", ball_case(0)[0])
    layout = replace(_LAYOUT, channels={"image": "images/{case}_*.nii.gz"})
    with pytest.raises(SegdeskError, match="Two files match"):
        read_dataset(tmp_path, layout)


def test_grey_masks_saved_as_colour_are_thresholded_and_coloured_ones_refused(tmp_path: Path) -> None:
    grey = np.array([[0, 100, 200], [127, 128, 255]], np.uint8)
    coloured = np.stack([grey] * 3, axis=-1)
    coloured[0, 0, 1] = 9
    for name, pixels in (("a", np.stack([grey] * 3, axis=-1)), ("b", coloured)):
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    layout = replace(_LAYOUT, channels={"film": "images/{case}.png"}, label_pattern="labels/{case}.png", threshold=127)
    dataset = read_dataset(tmp_path, layout)
    assert load_case(dataset, dataset.cases[0]).classes.tolist() == [[[0, 0, 1], [0, 1, 1]]]
    with pytest.raises(SegdeskError, match="colour picture"):
        load_case(dataset, dataset.cases[1])


def test_grey_masks_are_thresholded(tmp_path: Path) -> None:
    image, mask = ball_case(0)
    save_nifti(tmp_path / "images" / "a.nii.gz", image)
    save_nifti(tmp_path / "labels" / "a.nii.gz", mask.astype(np.float32) * 0.8)
    dataset = read_dataset(tmp_path, replace(_LAYOUT, threshold=0.5))
    np.testing.assert_array_equal(load_case(dataset, dataset.cases[0]).classes, mask.T)


def test_the_split_decides_the_test_part_and_says_who_is_in_neither(tmp_path: Path) -> None:
    (_folders(tmp_path) / "split.csv").write_text("case,split\nc0,train\nc1,val\nc2,test\nc9,train\n")
    dataset = read_dataset(tmp_path, replace(_LAYOUT, split="split.csv"))
    assert [(case.name, case.part) for case in dataset.cases] == [("c0", "train"), ("c1", "test"), ("c2", "test")]
    texts = [warning.message for warning in dataset.warnings]
    assert "c9: in the split, but not in the data." in texts
    assert "c3: not in the split." in texts
    (tmp_path / "other.csv").write_text("case,split\nc0,maybe\n")
    with pytest.raises(SegdeskError, match="maybe"):
        read_dataset(tmp_path, _LAYOUT, tmp_path / "other.csv")


def test_patients_are_never_divided(tmp_path: Path) -> None:
    patients = {f"case_{n:02d}": f"p{n // 2}" for n in range(12)}
    dataset = read_dataset(nnunet_set(tmp_path, range(12), patients))
    parts = divide(dataset, 0.3)
    groups = [{case.patient for case in part} for part in (parts.train, parts.fold, parts.test)]
    assert sum(len(part) for part in (parts.train, parts.fold, parts.test)) == 12
    assert all(groups)
    assert len(set.union(*groups)) == sum(len(group) for group in groups)
    assert _codes(dataset) == []


def test_a_patient_on_both_sides_of_a_split_does_not_train(tmp_path: Path) -> None:
    nnunet_set(tmp_path, range(4), {"case_00": "a", "case_01": "a", "case_02": "b", "case_03": "c"})
    (tmp_path / "s.csv").write_text("case,split\ncase_00,train\ncase_01,val\ncase_02,train\ncase_03,train\n")
    parts = divide(read_dataset(tmp_path, split=tmp_path / "s.csv"), 0.5)
    assert [case.name for case in parts.test] == ["case_01"]
    assert "case_00" not in [case.name for case in (*parts.train, *parts.fold)]


def test_patients_a_model_has_seen_never_test(tmp_path: Path) -> None:
    dataset = read_dataset(nnunet_set(tmp_path, range(10)))
    seen = frozenset(f"case_{n:02d}" for n in range(5))
    assert not {case.patient for case in divide(dataset, 0.2, seen).test} & seen


def test_mask_of_another_place_shape_or_value_leaves_the_case_out(tmp_path: Path) -> None:
    nnunet_set(tmp_path, range(4))
    _, mask = ball_case(1)
    moved = np.eye(4)
    moved[0, 3] = 5
    save_nifti(tmp_path / "labelsTr" / "case_01.nii.gz", mask, moved)
    save_nifti(tmp_path / "labelsTr" / "case_02.nii.gz", mask[:8])
    save_nifti(tmp_path / "labelsTr" / "case_03.nii.gz", mask * 7)
    dataset = read_dataset(tmp_path)
    loaded, warnings = load_cases(dataset, dataset.cases)
    assert [case.files.name for case in loaded] == ["case_00"]
    assert [warning.message.split(":")[0] for warning in warnings] == ["case_01", "case_02", "case_03"]
    assert "different places" in warnings[0].message
    assert "different shapes" in warnings[1].message
    assert "value 7" in warnings[2].message
    with pytest.raises(SegdeskError, match="No case"):
        load_cases(dataset, dataset.cases[1:])


def test_the_same_pixels_count_once_whatever_the_file(tmp_path: Path) -> None:
    nnunet_set(tmp_path, range(2))
    image, mask = ball_case(0)
    save_nifti(tmp_path / "imagesTr" / "twin_0000.nii.gz", image.astype(">f4"))
    save_nifti(tmp_path / "labelsTr" / "twin.nii.gz", mask)
    dataset = read_dataset(tmp_path)
    loaded, warnings = load_cases(dataset, dataset.cases)
    assert [case.files.name for case in loaded] == ["case_00", "case_01"]
    assert "same pixels as case_00" in warnings[0].message
    assert pixel_sha256(list(loaded[0].channels.values())) == loaded[0].image_sha256


def test_empty_masks_are_cases(tmp_path: Path) -> None:
    nnunet_set(tmp_path, range(1))
    save_nifti(tmp_path / "labelsTr" / "case_00.nii.gz", np.zeros((16, 16, 16), np.uint8))
    dataset = read_dataset(tmp_path)
    assert not load_case(dataset, dataset.cases[0]).classes.any()


def test_references_that_began_as_a_draft_are_marked(tmp_path: Path) -> None:
    nnunet_set(tmp_path, range(2))
    (tmp_path / "manifest.json").write_text(json.dumps({"case_01": {"began_as_draft_of": ["ab" * 32]}}))
    drafted = {case.name: case.drafted_by for case in read_dataset(tmp_path).cases}
    assert drafted == {"case_00": (), "case_01": ("ab" * 32,)}
    (tmp_path / "manifest.json").write_text("[1]")
    with pytest.raises(SegdeskError, match=r"manifest\.json"):
        read_dataset(tmp_path)


def test_label_values_become_class_indices_in_ascending_order(tmp_path: Path) -> None:
    dataset = read_dataset(nnunet_set(tmp_path, range(1)))
    dataset = replace(dataset, labels=(RecipeLabel(3, "a"), RecipeLabel(300, "b", source=(300, 301))))
    values = np.array([[[0, 3, 300, 301]]], np.uint16)
    np.testing.assert_array_equal(class_indices(values, dataset), [[[0, 1, 2, 2]]])


def test_a_file_may_hold_0_for_the_label_and_another_value_for_background(tmp_path: Path) -> None:
    dataset = read_dataset(nnunet_set(tmp_path, range(1)))
    dataset = replace(dataset, labels=(RecipeLabel(1, "membrane", source=(0,)),), background=(255,))
    np.testing.assert_array_equal(class_indices(np.array([[[0, 255]]], np.uint8), dataset), [[[1, 0]]])
    with pytest.raises(SegdeskError, match="value 7"):
        class_indices(np.array([[[0, 7]]], np.uint8), dataset)


def test_without_a_fold_everyone_trains(tmp_path: Path) -> None:
    parts = divide(read_dataset(nnunet_set(tmp_path, range(8))), 0.0)
    assert not parts.fold
    assert len(parts.train) + len(parts.test) == 8


def test_the_membrane_recipe_finds_15_sections_and_keeps_the_last_three(shared_data: Path) -> None:
    recipes = resources() / "recipes"
    layout = read_recipe(recipes / "em-membrane.toml").layout
    dataset = read_dataset(shared_data / "em-isbi2012", layout, recipes / "em-membrane-split.csv")
    parts = divide(dataset, 0.0)
    assert [case.name for case in parts.test] == ["12", "13", "14"]
    assert len(parts.train) == 12
    case = load_case(dataset, parts.train[0])
    assert 0.15 < float(case.classes.mean()) < 0.3


def test_the_tumour_recipe_takes_two_channels_and_the_labels_that_make_the_challenges_regions(
    shared_data: Path,
) -> None:
    recipes = resources() / "recipes"
    layout = read_recipe(recipes / "brats-tumour.toml").layout
    dataset = read_dataset(shared_data / "brats2015", layout, recipes / "brats-tumour-split.csv")
    parts = divide(dataset, 0.0)
    assert dataset.channels == ("flair", "t1c")
    assert [case.name for case in (*parts.train, *parts.test)] == ["brats_2013_pat0005_1", "brats_2013_pat0006_1"]
    raw = np.asarray(nib.load(parts.train[0].label).dataobj)
    classes = class_indices(read_labels(parts.train[0].label).array, dataset)
    values = np.array([0, *(label.value for label in dataset.labels)])[classes]
    for region, theirs in {(1, 2, 4): (1, 2, 3, 4), (1, 4): (1, 3, 4), (4,): (4,)}.items():
        assert np.isin(values, region).sum() == np.isin(raw, theirs).sum() > 0


def test_the_hippocampus_recipe_finds_125_and_31_cases_and_flags_the_planted_files(shared_data: Path) -> None:
    recipe = read_recipe(resources() / "recipes" / "hippocampus.toml")
    dataset = read_dataset(shared_data / "hippocampus", recipe.layout)
    parts = [case.part for case in dataset.cases]
    flagged = [w.message for w in dataset.warnings if w.code == "case_excluded"]
    assert (parts.count("train"), parts.count("test")) == (125, 31)
    assert len(flagged) == 3
    assert all(text.startswith("outliers/") for text in flagged)
