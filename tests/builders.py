"""Phantoms of known volume, known overlap and known place.

Import as ``from tests.builders import ball``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.volume import Volume


def oblique_geometry(shape_kji: tuple[int, int, int] = (6, 8, 10)) -> Geometry:
    """An anisotropic grid, rotated about two axes, away from the origin."""
    a, b = np.deg2rad(20.0), np.deg2rad(35.0)
    rotation_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    rotation_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = (rotation_z @ rotation_x)[:, ::-1] * np.array([3.0, 0.7, 1.1])
    affine[:3, 3] = (-31.0, 12.5, 140.25)
    return Geometry(shape_kji, affine, source="phantom")


def sheared_geometry(shape_kji: tuple[int, int, int] = (6, 8, 10)) -> Geometry:
    """A gantry-tilted grid: each slice steps 1 mm along y."""
    affine = np.array([[0, 0, 0.8, 5.0], [1.0, 0.8, 0, -7.0], [5.0, 0, 0, 9.0], [0, 0, 0, 1.0]])
    return Geometry(shape_kji, affine, source="phantom")


def ball_mask(
    shape_kji: tuple[int, int, int], centre_kji: tuple[float, float, float], radius_mm: float, geometry: Geometry
) -> NDArray[np.bool_]:
    """Voxels whose centre lies within `radius_mm` of a voxel index, measured in mm."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape_kji), indexing="ij"), axis=-1)
    distance_mm = np.linalg.norm(geometry.index_to_lps(index) - geometry.index_to_lps(centre_kji), axis=-1)
    return distance_mm <= radius_mm


def ball(
    radius_mm: float = 10.0,
    spacing_kji_mm: tuple[float, float, float] = (3.0, 0.8, 0.8),
    offset_kji: tuple[float, float, float] = (0.0, 0.0, 0.0),
    value: int = 1,
) -> LabelMap:
    """A ball in the middle of a grid with a margin of two voxels or more."""
    half = [
        int(np.ceil(radius_mm / s)) + 2 + int(np.ceil(abs(o))) for s, o in zip(spacing_kji_mm, offset_kji, strict=True)
    ]
    shape = (2 * half[0] + 1, 2 * half[1] + 1, 2 * half[2] + 1)
    geometry = Geometry.from_spacing(shape, spacing_kji_mm)
    centre = (half[0] + offset_kji[0], half[1] + offset_kji[1], half[2] + offset_kji[2])
    return LabelMap.of(ball_mask(shape, centre, radius_mm, geometry).astype(np.uint8) * np.uint8(value), geometry)


def marker_volume(geometry: Geometry) -> Volume:
    """A noisy image with one bright, off-centre voxel at index (1, 2, 3)."""
    rng = np.random.default_rng(7)
    array = rng.normal(100.0, 10.0, geometry.shape_kji).astype(np.float32)
    array[1, 2, 3] = 1000.0
    return Volume(array, geometry)
