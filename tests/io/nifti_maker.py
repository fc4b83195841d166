"""Small NIfTI images made with nibabel alone, and what reading them warned of.

Import as ``from tests.io.nifti_maker import nifti_image, saved``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from segdesk.core.volume import Volume

ARRAY_IJK = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
AFFINE_RAS = np.diag([2.0, 3.0, 4.0, 1.0])


def nifti_image(
    array: np.ndarray = ARRAY_IJK, affine: np.ndarray | None = AFFINE_RAS, cls: type = nibabel.Nifti1Image
) -> Any:
    """An image of 2 x 3 x 4 voxels of 2, 3 and 4 mm, unless told otherwise."""
    return cls(array, affine)


def saved(image: Any, folder: Path, name: str = "a.nii") -> Path:
    """Write with nibabel and return the path."""
    nibabel.save(image, folder / name)
    return folder / name


def warning_codes(volume: Volume) -> set[str]:
    """Codes of the warnings a volume came with."""
    return {warning.code for warning in volume.warnings}
