"""Slices that lie side by side in one image, and their places in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segdesk.errors import ReadError
from segdesk.io.dicom.model import Frame, Vector


@dataclass(frozen=True, slots=True)
class Tiles:
    """How an image is divided.

    Parameters
    ----------
    rows, columns : int
        Tiles below and beside each other; the last ones may be empty.
    positions_lps : sequence of tuple of float
        Centre of the first pixel of every slice in mm, in stored order: along the rows of tiles.
    """

    rows: int
    columns: int
    positions_lps: Sequence[Vector]

    def frames(self, big: Frame) -> tuple[Frame, ...]:
        """Return one frame a slice, with the orientation and spacing of the whole image.

        Parameters
        ----------
        big : Frame
            The whole image, which has a place.
        """
        if big.place is None:
            return ()
        rows, columns = big.rows // self.rows, big.columns // self.columns
        return tuple(
            replace(
                big,
                tile=((n // self.columns) * rows, (n % self.columns) * columns),
                rows=rows,
                columns=columns,
                place=replace(big.place, position_lps=position),
            )
            for n, position in enumerate(self.positions_lps)
        )


def divides(big: Frame, rows: int, columns: int) -> bool:
    """Whether so many tiles fill the image without a rest."""
    return rows > 0 and columns > 0 and big.rows % rows == 0 and big.columns % columns == 0


def no_places(path: Path, kind: str) -> ReadError:
    """Return the refusal of a tiled image whose tiles cannot be placed (``bad_geometry``)."""
    message = (
        f"{path.name} is a {kind} whose tiles cannot be placed (private header removed?); export it one slice a file."
    )
    return ReadError(message, code="bad_geometry", path=path)
