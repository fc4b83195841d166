"""Real scans against programs we did not write: reference files and dcm2niix."""

from __future__ import annotations

import subprocess
from pathlib import Path

import dcm2niix
import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.errors import InconsistentSeries
from segdesk.io import read_volume, scan
from segdesk.io.series import SeriesKind
from tests.io.oracle_lists import DCM2NIIX_DIFFERS, GOLDEN, REFERENCES
from tests.io.world import load, nibabel_array, to_grid_of

_REGULAR = (
    "dicom-brain-tumor-progression/PGBM-003/11-T1post-18670",
    "dicom-brain-tumor-progression/PGBM-003/11_HCropVolume",
    "dicom-brain-tumor-progression/PGBM-003/36468-FLAIRreg-58706",
    "dicom-seg-rtstruct/dcmqi/segmentations/ct-3slice",
    "dicom-qa/dcm_qa_decubitus/In/HFDR/2_t1_fl2d_sag_8of35",
    "dicom-qa/dcm_qa_decubitus/In/HFS/3_t1_fl2d_sag_8of35",
    "dicom-qa/dcm_qa_philips/In/Magdeburg_2014/fmri",
    "dicom-qa/dcm_qa/In/Orientation/sag/sagint36",
    "dicom-qa/dcm_qa_enh/In/Siemens/XA10",
    *(f"dicom-small-golden/{name}" for name in GOLDEN if name not in DCM2NIIX_DIFFERS),
)


def _assert_same_image(ours: Path, theirs: Path, corner_mm: float, rtol: float = 0.0) -> None:
    image = load(theirs)
    array, off_mm = to_grid_of(read_volume(ours), image)
    expected = nibabel_array(image)
    assert off_mm <= corner_mm
    assert array.shape == expected.shape
    np.testing.assert_allclose(array, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_series_becomes_its_ground_truth(shared_data: Path, name: str) -> None:
    # The truths store float32 affines; some were written with pixdim rounded at 1e-6.
    folder = shared_data / "dicom-small-golden"
    _assert_same_image(folder / name, folder / f"{name}_ground_truth.nii.gz", corner_mm=0.01, rtol=1e-6)


@pytest.mark.parametrize(("source", "reference"), REFERENCES)
def test_a_quality_series_becomes_its_reference(shared_data: Path, source: str, reference: str) -> None:
    _assert_same_image(shared_data / "dicom-qa" / source, shared_data / "dicom-qa" / reference, corner_mm=1e-3)


@pytest.mark.parametrize("name", _REGULAR)
def test_a_regular_series_equals_dcm2niix(shared_data: Path, tmp_path: Path, name: str) -> None:
    command = [dcm2niix.bin, "-p", "n", "-b", "n", "-z", "n", "-f", "out", "-o", str(tmp_path), str(shared_data / name)]
    subprocess.run(command, check=True, capture_output=True)
    outputs = sorted(tmp_path.glob("*.nii"))
    assert len(outputs) == 1
    _assert_same_image(shared_data / name, outputs[0], corner_mm=1e-3, rtol=1e-6)


def test_magnitude_and_field_map_of_one_file_are_two_volumes(shared_data: Path) -> None:
    found = scan(shared_data / "dicom-qa/dcm_qa_enh/In/Philips/IM_0027_fMAP.dcm")
    assert [entry.kind for entry in found.series] == [SeriesKind.VOLUME] * 2
    reference = load(shared_data / "dicom-qa/dcm_qa_enh/Ref/Philips_WIP_B0_NS_801_e2_fieldmaphz.nii")
    array, off_mm = to_grid_of(found.series[1].read(), reference)
    assert off_mm <= 1e-3
    np.testing.assert_allclose(array, nibabel_array(reference), rtol=1e-4, atol=0.03)


def test_a_gantry_tilt_keeps_its_shear_with_a_warning(shared_data: Path) -> None:
    volume = read_volume(shared_data / "dicom-small-golden/failing/gantrytilting/001")
    assert [warning.code for warning in volume.warnings] == ["gantry_tilt"]
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps[:3, 0], [0, 0, 5.0], atol=1e-9)
    assert volume.geometry.is_sheared


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("dicom-small-golden/failing/notavolume/001", "duplicate_position", "one position"),
        ("dicom-small-golden/failing/sliceincrement/001", "missing_slice", "near z = 33.11 mm"),
        ("dicom-qa/dcm_qa_ct/In/GE_slices07-20", "irregular_spacing", "not evenly spaced"),
    ],
)
def test_what_is_no_volume_is_refused_with_its_reason(shared_data: Path, name: str, code: str, words: str) -> None:
    with pytest.raises(InconsistentSeries, match=words) as caught:
        read_volume(shared_data / name)
    assert caught.value.code == code


def test_an_irregular_series_opens_as_a_stack_on_request(shared_data: Path) -> None:
    volume = read_volume(shared_data / "dicom-qa/dcm_qa_ct/In/GE_slices07-20", as_stack=True)
    assert volume.array.shape == (14, 512, 512)
    np.testing.assert_allclose(volume.geometry.index_to_lps((8, 0, 0)), [-125.0, -123.5404569, 61.8360586])
    np.testing.assert_array_equal(volume.geometry.thickness_k_mm, [4.0] * 8 + [7.0] * 6)


def test_the_hippocampus_crop_has_forty_slices_of_one_mm(shared_data: Path) -> None:
    volume = read_volume(shared_data / "dicom-brain-tumor-progression/PGBM-003/11_HCropVolume")
    assert volume.array.shape == (40, 50, 34)
    assert isinstance(volume.geometry, Geometry)
    assert volume.geometry.spacing_kji_mm == (1.0, 1.0, 1.0)


_CODECS = ("J2KR", "JLSL", "JPLL", "RLE")


@pytest.mark.parametrize("codec", _CODECS)
@pytest.mark.parametrize("image", ["CT1", "MR4"])
def test_a_lossless_codec_decodes_to_the_uncompressed_pixels(shared_data: Path, codec: str, image: str) -> None:
    folder = shared_data / "dicom-codecs/WG04"
    reference = read_volume(folder / "REF" / f"{image}_UNC")
    decoded = read_volume(folder / codec / f"{image}_{codec}")
    assert decoded.array.dtype == reference.array.dtype
    np.testing.assert_array_equal(decoded.array, reference.array)
    assert decoded.geometry == reference.geometry


@pytest.mark.parametrize(
    ("name", "most"), [("J2KI/CT1_J2KI", 700), ("JLSN/CT1_JLSN", 10), ("JPLY/MR4_JPLY", 600), ("J2KI/MR4_J2KI", 1200)]
)
def test_a_lossy_codec_is_near_and_says_so(shared_data: Path, name: str, most: float) -> None:
    folder = shared_data / "dicom-codecs/WG04"
    reference = read_volume(folder / "REF" / f"{name[5:8]}_UNC")
    decoded = read_volume(folder / name)
    assert "lossy" in {warning.code for warning in decoded.warnings}
    assert np.abs(decoded.array.astype(float) - reference.array.astype(float)).max() <= most
