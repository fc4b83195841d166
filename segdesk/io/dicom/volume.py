"""Assembling a volume: threads decode, from the middle slice outwards."""

from __future__ import annotations

import math
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Grid
from segdesk.core.progress import Progress
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.errors import Warn
from segdesk.io.dicom.encoded_frames import decoder_of
from segdesk.io.dicom.model import Slice
from segdesk.io.dicom.pixels import decoded_frames, is_native
from segdesk.io.dicom.slots import Slots, Target, value_dtype
from segdesk.io.limits import file_bytes, require_size
from segdesk.io.nifti import nan_warning

_THREADS = min(8, os.cpu_count() or 1)
_FRAMES_A_JOB = 8
_FILES_A_TASK = 4
"""Files that a thread reads before it reports: one by one, reporting takes as long as reading."""

Started = Callable[[Volume, NDArray[np.bool_]], None]
"""Takes the volume that is being filled, zero where nothing was read yet, and which of its flat
(time x slice) slices are there."""


@dataclass(frozen=True, slots=True)
class DicomVolume:
    """Everything needed to read one entry: callable as a `Reader`.

    Parameters
    ----------
    points : tuple of tuple of Slice
        Time points, each in slice order.
    geometry : Geometry or SliceStackGeometry
    warnings : tuple of Warn
    uid : str
        Of the entry.
    """

    points: tuple[tuple[Slice, ...], ...]
    geometry: Grid
    warnings: tuple[Warn, ...]
    uid: str

    def __call__(self, report: Progress) -> Volume:
        """Read the pixels; raises `ReadError`, lets `Cancelled` pass."""
        return self.stream(report)

    def stream(self, report: Progress, started: Started | None = None) -> Volume:
        """Read the pixels, the middle slice first.

        Parameters
        ----------
        report : Progress
        started : callable, optional
            Called once, in this thread, as soon as the middle slice is there.

        Returns
        -------
        Volume
            Complete; its array is the one `started` got, unless a value did not fit it.

        Raises
        ------
        ReadError
            ``truncated`` or ``bad_pixels``.
        """
        slots = self._slots([each for point in self.points for each in point])
        jobs = self._jobs()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if started is not None:
                _fill(slots, jobs.pop(0))
                started(self._volume(slots.whole()), slots.is_read)
            self._fill_all(slots, jobs, report)
        array = slots.whole()
        return self._volume(array, nan_warning(array))

    def read_slice(self, k: int, point: int, report: Progress) -> Volume:
        """Read one slice of one time point: a `SliceReader`.

        Raises
        ------
        ReadError
            As `stream`.
        """
        each = self.points[point][k]
        report(0, 1, each.instance.path.name)
        slots = self._slots([each])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _fill(slots, [(0, each)])
        alone = replace(self, points=((each,),), geometry=self.geometry.at_slice(k))
        return replace(alone._volume(slots.whole()), windows=self._windows())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array as far as the headers tell (a rare overflow widens it)."""
        return value_dtype([each for point in self.points for each in point])

    def _volume(self, flat: NDArray[Any], more: tuple[Warn, ...] = ()) -> Volume:
        first = self.points[0][0].instance
        is_ct = first.modality == "CT" and first.rescale_type.upper() in ("", "HU")
        is_colour = first.layout.is_colour
        lead = (len(self.points),) if len(self.points) > 1 else ()
        is_one_file = all(each.instance is first for point in self.points for each in point)
        return Volume(
            flat.reshape(*lead, *self.geometry.shape_kji, *flat.shape[3:]),
            self.geometry,
            unit=IntensityUnit.RGB if is_colour else IntensityUnit.HU if is_ct else IntensityUnit.ARBITRARY,
            modality=first.modality,
            windows=self._windows(),
            display_inverted=first.is_inverted and not is_colour,
            time_points=len(self.points),
            padding_range=_padding(self.points[0][0]),
            warnings=(*self.warnings, *more),
            series_uid=self.uid,
            source_path=str(first.path if is_one_file else first.path.parent),
            patient_key=first.patient_key,
        )

    def _windows(self) -> tuple[Window, ...]:
        """Return what the middle slice says."""
        middle = self.points[0][len(self.points[0]) // 2]
        return () if middle.instance.layout.is_colour else middle.frame.windows

    def _slots(self, slices: Sequence[Slice]) -> Slots:
        """Allocate room for slices, once its size is allowed."""
        first, dtype = slices[0], self.dtype
        shape: tuple[int, ...] = (len(slices), first.frame.rows, first.frame.columns)
        shape = (*shape, 3) if first.instance.layout.is_colour else shape
        stored_bytes = file_bytes({each.instance.path for each in slices})
        require_size(first.instance.path, math.prod(shape) * dtype.itemsize, stored_bytes)
        return Slots(np.zeros(shape, dtype))

    def _jobs(self) -> list[list[Target]]:
        """Return what one thread reads at a time, each from one file, the middle of the first time point first."""
        by_file: dict[int, list[Target]] = defaultdict(list)
        for n, each in enumerate(each for point in self.points for each in point):
            by_file[id(each.instance)].append((n, each))
        jobs = [job for targets in by_file.values() for job in _jobs_of_file(targets)]
        middle = len(self.points[0]) // 2
        return sorted(jobs, key=lambda job: min(abs(n - middle) for n, _ in job))

    def _fill_all(self, slots: Slots, jobs: Sequence[list[Target]], report: Progress) -> None:
        tasks = [jobs[start : start + _FILES_A_TASK] for start in range(0, len(jobs), _FILES_A_TASK)]
        with ThreadPoolExecutor(_THREADS) as pool:
            futures = [pool.submit(_fill_each, slots, task) for task in tasks]
            try:
                done = 0
                for future in as_completed(futures):
                    done += future.result()
                    report(done, len(jobs), "Reading slices")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _jobs_of_file(targets: list[Target]) -> list[list[Target]]:
    """Split the frames of a file where each can be read without the others."""
    layout = targets[0][1].instance.layout
    if not is_native(layout) and decoder_of(layout) is None:
        return [targets]
    return [targets[start : start + _FRAMES_A_JOB] for start in range(0, len(targets), _FRAMES_A_JOB)]


def _fill_each(slots: Slots, jobs: Sequence[list[Target]]) -> int:
    for job in jobs:
        _fill(slots, job)
    return len(jobs)


def _fill(slots: Slots, targets: list[Target]) -> None:
    """Decode frames of one file and put each into its slots."""
    instance = targets[0][1].instance
    wanted: dict[int, list[Target]] = defaultdict(list)
    for target in targets:
        wanted[target[1].frame.number].append(target)
    lent = slots.lend(wanted, instance.layout)
    for number, stored in decoded_frames(instance, sorted(wanted), lent):
        for n, each in wanted[number]:
            frame, (j, i) = each.frame, each.frame.tile or (0, 0)
            part = stored if frame.tile is None else stored[j : j + frame.rows, i : i + frame.columns]
            slots.put(n, part, each, is_lent=number in lent)


def _padding(each: Slice) -> tuple[float, float] | None:
    """Return the padding range in rescaled values."""
    stored = each.instance.padding_stored
    if stored is None or each.instance.layout.has_modality_lut:
        return None
    ends = [value * each.frame.slope + each.frame.intercept for value in stored]
    return min(ends), max(ends)
