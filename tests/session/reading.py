"""Readers who read."""

from __future__ import annotations

from segdesk.core.box import Box
from segdesk.session import Session
from segdesk.store.records import RaterKind, VoteRecord

CENTRE_KJI = (5.0, 12.0, 10.0)


def dab(session: Session, at_kji: tuple[float, float, float] = CENTRE_KJI, radius_mm: float = 3.0) -> Box | None:
    """Draw one ball as one stroke."""
    session.editor.brush_is_3d.value = True
    session.editor.brush_radius_mm.value = radius_mm
    session.editor.begin_stroke()
    box = session.editor.paint(at_kji, at_kji)
    session.editor.commit_stroke()
    return box


def read(session: Session, name: str, radius_mm: float = 3.0, kind: RaterKind = RaterKind.HUMAN) -> VoteRecord:
    """Let a reader draw a ball and vote."""
    session.use_rater(name, kind).run()
    dab(session, radius_mm=radius_mm)
    return session.panel.submit_read(0.9, "").run()
