"""Scores as files: CSV for tables, JSON for programs; whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import UsageError
from segdesk.io.atomic import replace_file
from segdesk.session.scores import ScoreSheet
from segdesk.ui.models.score_rows import ScoreRow, score_rows

_FIELDS = (
    "rater", "kind", "label", "name", "dice", "iou", "precision", "recall", "hd95_mm", "assd_mm", "nsd",
    "volume_reference_mm3", "volume_candidate_mm3", "volume_error_mm3", "remark",
)  # fmt: skip


def export_scores(sheet: ScoreSheet, path: Path, *, overwrite: bool) -> Task[Path]:
    """Return the task that writes the scores.

    Parameters
    ----------
    sheet : ScoreSheet
        What is written.
    path : Path
        Ends in .csv or .json.
    overwrite : bool
        Whether an existing file may be replaced (the file dialog has asked).

    Raises
    ------
    UsageError
        If the ending is another one.
    """
    writers = {".csv": scores_csv, ".json": scores_json}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise UsageError(f"Scores are written as .csv or .json, not {path.suffix or 'without an ending'}.")
    content = write(sheet).encode("utf-8")

    def work(report: Progress) -> Path:
        replace_file(path, lambda p: _write(p, content), lambda p: p.read_bytes() == content, overwrite=overwrite)
        return path

    return Task(f"Writing {path.name}", Lane.DISK, work)


def scores_csv(sheet: ScoreSheet) -> str:
    """Return the rows as CSV, worst first; undefined values are empty cells."""
    # Loaded when needed: the measures bring scipy with them.
    from segdesk.metrics.table import safe_cell

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_FIELDS)
    for row in score_rows(sheet):
        writer.writerow([safe_cell(each) if isinstance(each, str) else _number(each) for each in _values(row)])
    return text.getvalue()


def scores_json(sheet: ScoreSheet) -> str:
    """Return the sheet as JSON: each candidate's scores as `segdesk evaluate` prints them, with its notes."""
    payload: dict[str, Any] = {
        "reference": {"name": sheet.reference_name, "sha256": sheet.reference.sha256},
        "candidates": [
            {
                "name": entry.name,
                "kind": entry.kind.value,
                "mask_sha256": entry.mask_sha256,
                "notes": list(entry.notes),
                **entry.scores.to_json(),
            }
            for entry in sheet.entries
        ],
    }
    return json.dumps(payload, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _values(row: ScoreRow) -> Sequence[str | int | float]:
    return (
        row.rater.name, row.rater.kind.value, row.value, row.label, row.dice, row.iou, row.precision, row.recall,
        row.hd95_mm, row.assd_mm, row.nsd, row.reference_mm3, row.candidate_mm3, row.error_mm3, row.reason,
    )  # fmt: skip


def _number(value: int | float) -> str:
    return "" if math.isnan(value) else repr(value)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
