"""Where the demo's images come from: files inside packages that segdesk depends on; nothing is downloaded."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.errors import MissingExtra
from segdesk.io.atomic import replace_file

TEMPLATE_FILE = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
SLICE_FILE = "data/test_files/examples_overlay.dcm"

TEMPLATE_CREDIT = (
    "MNI ICBM152 2009a nonlinear symmetric T1 template (Fonov et al., NeuroImage 54:313-327, 2011), "
    "as shipped with nilearn"
)
SLICE_CREDIT = "abdominal MR slice from pydicom's test files"


@dataclass(frozen=True, slots=True)
class Side:
    """A hippocampus and the box around it.

    Parameters
    ----------
    name : str
        "left" or "right", the patient's.
    low_lps, high_lps : tuple of float
        Opposite corners in LPS mm.
    """

    name: str
    low_lps: tuple[float, float, float]
    high_lps: tuple[float, float, float]

    @property
    def middle_lps(self) -> tuple[float, float, float]:
        """The middle of the box in LPS mm."""
        x, y, z = ((a + b) / 2 for a, b in zip(self.low_lps, self.high_lps, strict=True))
        return x, y, z

    def box(self, geometry: Geometry) -> Box:
        """Return the voxels of the box, clipped to the grid."""
        corners = geometry.lps_to_index([self.low_lps, self.high_lps])
        low = np.floor(corners.min(axis=0)).astype(int)
        high = np.ceil(corners.max(axis=0)).astype(int) + 1
        start = (int(low[0]), int(low[1]), int(low[2]))
        return Box(start, (int(high[0]), int(high[1]), int(high[2]))).clip(geometry.shape_kji)


SIDES = (
    Side("left", (10.0, -4.0, -34.0), (46.0, 46.0, 10.0)),
    Side("right", (-46.0, -4.0, -34.0), (-10.0, 46.0, 10.0)),
)
"""In MNI space the hippocampi lie about 27 mm beside the midline; the boxes are as large as the training images."""


def copy_template(folder: Path) -> Path:
    """Copy the T1 template into `folder`; MissingExtra when nilearn is not there."""
    return _copy(_inside("nilearn", TEMPLATE_FILE), folder / "mni152_t1.nii.gz")


def copy_slice(folder: Path) -> Path:
    """Copy the two-dimensional DICOM image into `folder`."""
    return _copy(_inside("pydicom", SLICE_FILE), folder / "abdomen_slice.dcm")


def _inside(package: str, name: str) -> Path:
    """Return a file of an installed package without importing it: nilearn alone takes seconds."""
    spec = find_spec(package)
    path = Path(spec.origin).parent / name if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise MissingExtra(
            f"The demo's image {Path(name).name} is missing; install it: python -m pip install {package}."
        )
    return path


def _copy(source: Path, target: Path) -> Path:
    replace_file(target, lambda temporary: _copied(source, temporary))
    return target


def _copied(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
