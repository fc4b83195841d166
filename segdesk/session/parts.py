"""The parts of a session, for the one that has to clear them all."""

from __future__ import annotations

from dataclasses import dataclass

from segdesk.edit.editor import Editor
from segdesk.session.drafts import Drafts
from segdesk.session.heat import Heat
from segdesk.session.lineage import Lineage
from segdesk.session.panel import Panel
from segdesk.session.queue import Queue
from segdesk.session.saving import Saving
from segdesk.session.scores import Scores
from segdesk.session.state import SessionState
from segdesk.session.teaching import Teaching


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Everything that holds something of the open case."""

    state: SessionState
    editor: Editor
    lineage: Lineage
    saving: Saving
    drafts: Drafts
    heat: Heat
    queue: Queue
    panel: Panel
    scores: Scores
    teaching: Teaching

    def forget_case(self) -> None:
        """Let go of the open case."""
        self.editor.attach(None)
        self.lineage.start(())
        self.saving.forget(None)
        self.drafts.forget()
        self.heat.forget()
        self.panel.forget()
        self.scores.forget()
