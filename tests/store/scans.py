"""Small scans and masks for a project."""

from pathlib import Path

import nibabel as nib
import numpy as np

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.provenance import Origin, OriginKind

SHAPE_KJI = (4, 6, 5)


def one_voxel(geometry: Geometry, value: int = 1, **origin: object) -> LabelMap:
    array = np.zeros(geometry.shape_kji, np.uint8)
    array[1, 2, 3] = value
    labels = LabelMap.of(array, geometry)
    labels.origin = Origin(**{"kind": OriginKind.HUMAN, **origin})
    return labels


def write_image(path: Path, seed: int = 3, shift_mm: float = 0.0) -> Path:
    """Write an anisotropic NIfTI with nibabel, not with our own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 900, SHAPE_KJI[::-1], dtype=np.int16)
    affine = np.diag([0.7, 0.8, 2.5, 1.0])
    affine[:3, 3] = (-10 + shift_mm, 20, 30)
    file = nib.Nifti1Image(voxels, affine)
    file.set_sform(affine, 1)
    nib.save(file, path)
    return path
