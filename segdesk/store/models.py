"""Models of a project and who is champion."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as OrmSession

from segdesk.core.provenance import utc_now
from segdesk.errors import NotFound, StoreError
from segdesk.store.database import Database
from segdesk.store.places import place_of, text_of
from segdesk.store.records import ModelRecord, PromotionRecord
from segdesk.store.schema import ModelRow, PromotionRow
from segdesk.store.times import from_text, to_text
from segdesk.zoo.model_folder import ModelFolder


class ModelStore:
    """Models known to a project; promotions are appended, a rollback is one more.

    Parameters
    ----------
    database : Database
        The project file.
    root : Path
        Project folder: models below it are remembered relative to it.
    """

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root

    def register(
        self, folder: Path, *, line: str = "", parent_sha256: str | None = None, verdict: str = ""
    ) -> ModelRecord:
        """Add a model folder, or return the record of the same weights.

        Parameters
        ----------
        folder : Path
            A model folder; it is loaded and checked.
        line : str
            The line of models it belongs to, which has one champion: its own name by default.
        parent_sha256 : str, optional
            Weights it was fine-tuned from.
        verdict : str
            Of the gate: "better", "tie", "worse", "cannot_judge", "" when it was not asked.

        Raises
        ------
        BadModelFolder
            If the folder is no sound model.
        """
        model = ModelFolder.load(folder)
        with self._database.writing() as session:
            row = session.scalar(select(ModelRow).where(ModelRow.weights_sha256 == model.sha256))
            if row is None:
                row = ModelRow(
                    name=line or model.spec.name,
                    folder=text_of(folder, self._root),
                    weights_sha256=model.sha256,
                    parent_sha256=parent_sha256,
                    verdict=verdict,
                    created=to_text(utc_now()),
                )
                session.add(row)
                session.flush()
            return self._record(row)

    def all(self) -> tuple[ModelRecord, ...]:
        """Return all models, oldest first."""
        with self._database.reading() as session:
            return tuple(self._record(row) for row in session.scalars(select(ModelRow).order_by(ModelRow.id)))

    def champion(self, name: str) -> ModelRecord | None:
        """Return the model of this name promoted last, None before any promotion."""
        history = self.promotions(name)
        return history[-1].model if history else None

    def promotions(self, name: str) -> tuple[PromotionRecord, ...]:
        """Return who was champion under a name, oldest first, rollbacks included."""
        query = (
            select(PromotionRow)
            .join(ModelRow, PromotionRow.model_id == ModelRow.id)
            .where(ModelRow.name == name)
            .order_by(PromotionRow.id)
        )
        with self._database.reading() as session:
            return tuple(self._promotion(row) for row in session.scalars(query))

    def last_promotion(self) -> PromotionRecord | None:
        """Return the newest promotion of any line, None before the first."""
        with self._database.reading() as session:
            row = session.scalar(select(PromotionRow).order_by(PromotionRow.id.desc()).limit(1))
            return None if row is None else self._promotion(row)

    def promote(self, model_id: int, reason: str) -> PromotionRecord:
        """Make a model champion; NotFound when the project does not know it."""
        with self._database.writing() as session:
            if session.get(ModelRow, model_id) is None:
                raise NotFound(f"There is no model {model_id} in this project.")
            return self._append(session, model_id, reason)

    def rollback(self, name: str, reason: str) -> PromotionRecord:
        """Make the champion before the present one champion again, as a new record.

        Raises
        ------
        StoreError
            If there was none before.
        """
        history = self.promotions(name)
        before = [entry.model for entry in history if entry.model.id != history[-1].model.id]
        if not before:
            raise StoreError(f"There is no earlier champion of {name!r} to roll back to.", code="usage")
        with self._database.writing() as session:
            return self._append(session, before[-1].id, reason)

    def _append(self, session: OrmSession, model_id: int, reason: str) -> PromotionRecord:
        row = PromotionRow(model_id=model_id, reason=reason, created=to_text(utc_now()))
        session.add(row)
        session.flush()
        session.refresh(row)
        return self._promotion(row)

    def _record(self, row: ModelRow) -> ModelRecord:
        return ModelRecord(
            row.id, row.name, place_of(row.folder, self._root), row.weights_sha256, row.parent_sha256, row.verdict,
            from_text(row.created),
        )  # fmt: skip

    def _promotion(self, row: PromotionRow) -> PromotionRecord:
        return PromotionRecord(row.id, self._record(row.model), row.reason, from_text(row.created))
