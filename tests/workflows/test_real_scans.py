"""Real scans through the session: opened, painted, saved and found again on the same voxels."""

import numpy as np
import pytest

from segdesk.session import Session, SessionSettings

SCANS = {
    "dicom mr": "dicom-brain-tumor-progression/PGBM-003/11_HCropVolume",
    "nifti crop": "hippocampus",
}


@pytest.mark.parametrize("name", SCANS)
def test_a_real_scan_is_opened_painted_saved_and_found_again(shared_data, tmp_path, name):
    path = shared_data / SCANS[name]
    if name == "nifti crop":
        path = min(path.rglob("*.nii*"))
    settings = SessionSettings(rater_name="Ann", desk_folder=tmp_path / "desk")
    session = Session(settings=settings)
    case = session.open_path(path).run()
    shape_kji = case.volume.geometry.shape_kji
    k, j, i = (n / 2 for n in shape_kji)
    session.editor.begin_stroke()
    session.editor.paint((k, j, i), (k, j + 3, i + 3), 0)
    assert session.editor.commit_stroke()
    drawn = case.labels.array.copy()
    assert session.save_labels().run().error is None
    session.close()

    again = Session(settings=settings)
    found = again.open_path(path).run()
    assert found.record == case.record
    assert found.labels.geometry.matches(found.volume.geometry)
    np.testing.assert_array_equal(found.labels.array, drawn)
    # A 5 mm brush swept along a segment: its area in mm2, from the affine alone.
    metric = case.volume.geometry.affine_kji_to_lps[:3, 1:3]
    length_mm = np.linalg.norm(metric @ (3.0, 3.0))
    pixel_mm2 = np.linalg.norm(np.cross(metric[:, 0], metric[:, 1]))
    expected_mm2 = np.pi * 25 + 10 * length_mm
    assert (drawn > 0).sum() * pixel_mm2 == pytest.approx(expected_mm2, rel=0.1)
