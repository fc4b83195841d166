from collections.abc import Callable
from pathlib import Path

import pytest

from segdesk.core.labels import LabelMap
from segdesk.store.project import Project
from tests.store.scans import one_voxel, write_image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "images" / "scan.nii.gz")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project", "Livers", required_reads=2)


@pytest.fixture
def case(project, image):
    return project.add_case("scan", {"image": image})


@pytest.fixture
def mask(project, case) -> Callable[..., LabelMap]:
    """Makes masks on the case's grid, all background but one voxel of the given value."""
    geometry = next(iter(project.images.read_channels(case.id).values())).geometry
    return lambda value=1, **origin: one_voxel(geometry, value, **origin)
