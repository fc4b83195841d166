"""Who trains and who is kept apart: by patient, by hash, so that it stays as data grow."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segdesk.errors import SegdeskError, UsageError

_BIDS_SUBJECT = re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)")


def share(key: str, salt: str) -> float:
    """Return a number in [0, 1) that depends on the key and the salt alone."""
    digest = hashlib.sha256(f"{salt}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def held_out(patients: Iterable[str], fraction: float, salt: str) -> frozenset[str]:
    """Choose patients whose share falls below `fraction`.

    A patient's fate depends on its own key alone: more patients never move it. Only where
    nobody (or everybody) would be chosen is the nearest patient moved, so that with two or more
    patients both parts hold someone; one patient alone is never held out.

    Parameters
    ----------
    patients : iterable of str
        Patient keys, repeats allowed.
    fraction : float
        In (0, 1).
    salt : str
        Makes different splits independent ("fold", "test").
    """
    ranked = sorted(set(patients), key=lambda key: (share(key, salt), key))
    if len(ranked) < 2:
        return frozenset()
    chosen = [key for key in ranked if share(key, salt) < fraction]
    count = min(max(1, len(chosen)), len(ranked) - 1)
    return frozenset(ranked[:count])


def stratified_folds(features: Mapping[str, Sequence[float]], folds: int) -> tuple[frozenset[str], ...]:
    """Divide patients into folds that resemble each other.

    Patients are ranked by their features and dealt out in blocks of one per fold, in an order that
    a hash decides, so every fold holds patients from all parts of the ranking.

    Parameters
    ----------
    features : mapping of str to sequence of float
        What must be spread evenly, most important first, by patient key.
    folds : int
        At least 2, at most the number of patients.

    Returns
    -------
    tuple of frozenset of str
        One per fold; sizes differ by one at most.

    Raises
    ------
    UsageError
        If there are fewer patients than folds, or fewer than two folds.
    """
    if not 2 <= folds <= len(features):
        raise UsageError(
            f"{folds} folds of {len(features)} training patients cannot be made; give 2 or more, and fewer."
        )
    ranked = sorted(features, key=lambda key: (tuple(features[key]), share(key, "rank"), key))
    parts: list[set[str]] = [set() for _ in range(folds)]
    for start in range(0, len(ranked), folds):
        order = sorted(range(folds), key=lambda part: share(f"{start} {part}", "deal"))
        for part, key in zip(order, ranked[start : start + folds], strict=False):
            parts[part].add(key)
    return tuple(frozenset(part) for part in parts)


def subject_of(path: str) -> str | None:
    """Return the BIDS subject ("sub-01") a relative path names, None if it names none."""
    match = _BIDS_SUBJECT.search(path)
    return match.group(1) if match else None


def read_table(path: Path, key: str, value: str) -> Mapping[str, str]:
    """Read two columns of a CSV file as a mapping.

    Raises
    ------
    SegdeskError
        If the file or a column is missing, or a key is there twice with two values (code ``bad_dataset``).
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise SegdeskError(f"{path.name} cannot be read; give a CSV file.", code="bad_dataset", path=path) from exc
    table: dict[str, str] = {}
    for row in rows:
        name, content = (row.get(key) or "").strip(), (row.get(value) or "").strip()
        if not name or not content:
            raise SegdeskError(f"{path.name} needs the columns {key},{value}, filled.", code="bad_dataset", path=path)
        if table.setdefault(name, content) != content:
            raise SegdeskError(f"{path.name} lists {name!r} twice, differently.", code="bad_dataset", path=path)
    return table
