"""How far the worst slice lies off the fitted line (geometry check 3), against NumPy's own fit."""

from pathlib import Path

import numpy as np
import pytest

from segdesk.io import scan
from tests.io.dicom_maker import write_series


@pytest.mark.parametrize("z_mm", [(0.0, 2.0, 4.0, 6.0), (0.0, 2.0, 4.015, 6.0), (0.0, 2.0, 3.1, 5.0)])
def test_the_worst_deviation_is_that_of_a_line_fitted_by_least_squares(tmp_path: Path, z_mm: tuple[float, ...]) -> None:
    write_series(tmp_path, [(0.0, 0.0, z) for z in z_mm])
    (entry,) = scan(tmp_path).series
    index = np.arange(len(z_mm))
    expected = np.abs(np.polyval(np.polyfit(index, z_mm, 1), index) - z_mm).max()
    assert entry.worst_deviation_mm == pytest.approx(expected, abs=1e-6)


def test_a_single_slice_has_no_deviation(tmp_path: Path) -> None:
    write_series(tmp_path, [(0.0, 0.0, 1.0)])
    (entry,) = scan(tmp_path).series
    assert entry.worst_deviation_mm is None
