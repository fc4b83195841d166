"""Images of a case: read, held to one grid, recognised again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from segdesk.core.geometry import Grid
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.errors import GeometryMismatch, ReadError
from segdesk.io import read_volume
from segdesk.store.records import CaseRecord


class ReadImage(Protocol):
    """Reads an image as `segdesk.io.read_volume` does."""

    def __call__(
        self, path: Path, *, series_uid: str | None = None, as_stack: bool = False, report: Progress
    ) -> Volume:
        """Return the whole image."""


def image_hash(volume: Volume) -> str:
    """Return BLAKE2b-256 of dtype, shape and decoded voxels, in hex.

    Of the voxels and not of the file, so that a recompressed or renamed copy is the same
    image, and a mask is never laid over other pixels. About 1 GB/s.
    """
    digest = hashlib.blake2b(repr((volume.array.dtype.str, volume.array.shape)).encode(), digest_size=32)
    digest.update(np.ascontiguousarray(volume.array).data)
    return digest.hexdigest()


def read_images(
    channels: Mapping[str, Path],
    series_uid: str,
    report: Progress,
    *,
    as_stack: bool = False,
    read: ReadImage = read_volume,
) -> dict[str, Volume]:
    """Read the channels of a new case; `as_stack` as in `segdesk.io.read_volume`.

    Raises
    ------
    ReadError
        If an image cannot be read.
    GeometryMismatch
        If the channels do not lie on one grid.
    """
    volumes = {
        name: read(path, series_uid=series_uid or None, as_stack=as_stack, report=report)
        for name, path in channels.items()
    }
    first_name, first = next(iter(volumes.items()))
    for name, volume in volumes.items():
        if not volume.geometry.matches(first.geometry):
            raise GeometryMismatch(
                f"The channels {first_name!r} and {name!r} lie on different grids; resample one first."
            )
    return volumes


def read_recorded_images(record: CaseRecord, report: Progress, read: ReadImage = read_volume) -> dict[str, Volume]:
    """Read the images of a stored case and check that they are those that were recorded.

    Raises
    ------
    ReadError
        Code ``image_changed`` when an image is missing, has other voxels or another grid.
    """
    volumes: dict[str, Volume] = {}
    for channel in record.channels:
        if not channel.path.exists():
            raise _changed(
                f"The image {channel.path.name!r} of {record.name!r} is not where it was; put it back.", channel.path
            )
        # A stack was agreed to when it was added; that it is still the same one is checked below.
        volume = read(channel.path, series_uid=channel.series_uid or None, as_stack=True, report=report)
        reference = next(iter(volumes.values()), volume)
        if image_hash(volume) != channel.image_hash or not _is_recorded_grid(
            volume.geometry, reference.geometry, record
        ):
            raise _changed(
                f"The image {channel.path.name!r} of {record.name!r} is not the one that was added; restore it.",
                channel.path,
            )
        volumes[channel.name] = volume
    return volumes


def _is_recorded_grid(grid: Grid, reference: Grid, record: CaseRecord) -> bool:
    return reference.sha256() == record.geometry_sha256 and grid.matches(reference)


def _changed(message: str, path: Path) -> ReadError:
    return ReadError(message, code="image_changed", path=path)
