"""Readers of a project."""

from __future__ import annotations

import math
import uuid

from sqlalchemy import select

from segdesk.errors import StoreError
from segdesk.store.database import Database
from segdesk.store.records import RaterKind, RaterRecord
from segdesk.store.schema import RaterRow


class RaterStore:
    """The readers of a project: persons, simulated ones, models."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_or_add(self, name: str, kind: RaterKind = RaterKind.HUMAN, weight: float | None = None) -> RaterRecord:
        """Return the reader of this name, added if new.

        Parameters
        ----------
        name : str
            Unique in the project; what others see.
        kind : RaterKind
            Must be the same as before for a known reader: a simulated one never becomes a person.
        weight : float, optional
            For a new reader: 1 by default, 0 for models (recorded, not counted).

        Raises
        ------
        StoreError
            If the name is empty or of another kind, or the weight negative or not finite.
        """
        clean = name.strip()
        if not clean:
            raise StoreError("A reader needs a name.", code="usage")
        value = (0.0 if kind is RaterKind.MODEL else 1.0) if weight is None else float(weight)
        if not math.isfinite(value) or value < 0:
            raise StoreError(f"The weight of {clean!r} is {weight}; use 0 or more.", code="bad_weight")
        with self._database.writing() as session:
            row = session.scalar(select(RaterRow).where(RaterRow.name == clean))
            if row is None:
                row = RaterRow(id=uuid.uuid4().hex, name=clean, kind=kind.value, weight=value)
                session.add(row)
            elif row.kind != kind.value:
                raise StoreError(f"{clean!r} is a {row.kind} reader already; choose another name.", code="usage")
            return rater_record(row)

    def all(self) -> tuple[RaterRecord, ...]:
        """Return all readers by name."""
        with self._database.reading() as session:
            return tuple(rater_record(row) for row in session.scalars(select(RaterRow).order_by(RaterRow.name)))


def rater_record(row: RaterRow) -> RaterRecord:
    """Return the record of a row."""
    return RaterRecord(row.id, row.name, RaterKind(row.kind), row.weight)
