"""Scans in, masks out: every file is right, right with a shown warning, or refused.

Importing this package is cheap; the format libraries load when a file needs them.
"""

from __future__ import annotations

from segdesk.io.image_reader import routed
from segdesk.io.reading import read_labels, read_volume, require_same_grid
from segdesk.io.scan import scan
from segdesk.io.series import Refusal, ScanResult, SeriesEntry, SeriesKind
from segdesk.io.writing import write_labels, write_volume

scan, read_volume, read_labels = routed(scan), routed(read_volume), routed(read_labels)

__all__ = [
    "Refusal",
    "ScanResult",
    "SeriesEntry",
    "SeriesKind",
    "read_labels",
    "read_volume",
    "require_same_grid",
    "scan",
    "write_labels",
    "write_volume",
]
