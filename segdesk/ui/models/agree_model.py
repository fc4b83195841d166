"""The Agree workspace without its widgets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from segdesk.core.events import Change, Property, Signal
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Lane, Task
from segdesk.session import Session
from segdesk.session.panel import Merge, Read
from segdesk.store.records import CaseStatus, ConsensusRecord
from segdesk.ui.models.agreement_map import agreement_map
from segdesk.ui.models.consensus_settings import ConsensusSettings
from segdesk.ui.models.dispute_row import DisputeRow, dispute_rows
from segdesk.ui.models.merge_view import MergeView
from segdesk.ui.models.number_text import count
from segdesk.ui.models.reader_style import ReaderStyle, reader_styles
from segdesk.ui.models.walk import Walk


class Phase(StrEnum):
    """What the workspace can show."""

    NO_CASE = "no case"
    BLIND = "blind"
    OPEN = "open"


@dataclass(frozen=True, slots=True, eq=False)
class ShownRead:
    """A read that is drawn: whose, how, and the mask."""

    style: ReaderStyle
    labels: LabelMap


class AgreeModel:
    """Phase, readers, what-if and disputes of the open case.

    While a case is read blind it holds nothing of anybody's read: the session hands out none.

    Attributes
    ----------
    settings : ConsensusSettings
        How the reads are merged.
    disputes : Walk of DisputeRow
        Disputed parts, the present one is where the views are.
    hidden : Property of frozenset of str
        Readers whose outlines are not drawn.
    shows_heat : Property of bool
        Whether the agreement map is drawn.
    changed : Signal
        Something to show changed.
    views_changed : Signal
        What the views draw changed.
    """

    changed = Signal()
    views_changed = Signal()

    def __init__(self, session: Session) -> None:
        self._session = session
        self.settings = ConsensusSettings()
        self.disputes: Walk[DisputeRow] = Walk()
        self.hidden: Property[frozenset[str]] = Property(frozenset())
        self.shows_heat: Property[bool] = Property(True)
        self._styles: dict[str, ReaderStyle] = {}
        self._view: MergeView | None = None
        self._heat: LabelMap | None = None
        self._is_recorded = False
        for prop in (self.hidden, self.shows_heat):
            prop.changed.connect(self._announce_views)
        session.panel.merged.changed.connect(self._take_merge)
        session.changed.connect(self._on_session_changed)
        self._take_merge(session.panel.merged.value)

    @property
    def phase(self) -> Phase:
        """What may be shown now."""
        if self._session.case is None:
            return Phase.NO_CASE
        return Phase.OPEN if self._session.panel.is_open else Phase.BLIND

    @property
    def blind_text(self) -> tuple[str, str]:
        """Headline and hint while the reads may not be seen; names nobody but the present reader."""
        needed = self._session.project.required_reads if self._session.project else 0
        missing = max(0, needed - self._session.panel.reads_done)
        headline = f"Reading blind: {count(missing, 'read')} missing" if missing else "Submit your own read first"
        own = "" if self._session.panel.has_submitted else " Yours is not in yet: read the case in Read (F2)."
        return headline, self._session.panel.what_is_visible() + own

    @property
    def view(self) -> MergeView | None:
        """What the present merge says, None before one."""
        return self._view

    @property
    def reads(self) -> tuple[ShownRead, ...]:
        """The merged reads that are drawn, by name."""
        reads = sorted(self._session.panel.reads, key=lambda read: read.name) if self.phase is Phase.OPEN else ()
        return tuple(
            ShownRead(self._styles[read.name], read.labels) for read in reads if read.name not in self.hidden.value
        )

    @property
    def readers(self) -> tuple[ReaderStyle, ...]:
        """Everybody whose read was merged, drawn or not."""
        return tuple(self._styles.values())

    @property
    def heat(self) -> LabelMap | None:
        """Where readers deviate; None while it is not made, or switched off."""
        return self._heat if self.shows_heat.value else None

    @property
    def needs_merge(self) -> bool:
        """Whether the reads could be merged and are not."""
        return self.phase is Phase.OPEN and self._session.panel.merged.value is None

    @property
    def needs_heat(self) -> bool:
        """Whether the agreement map of the present merge is still to be made."""
        return self._view is not None and self._heat is None

    @property
    def is_recorded(self) -> bool:
        """Whether the merge on the screen is the case's recorded consensus."""
        return self._is_recorded

    def show_reader(self, name: str, shown: bool) -> None:
        """Draw a reader's outline, or do not."""
        self.hidden.value = self.hidden.value - {name} if shown else self.hidden.value | {name}

    def why_not_record(self) -> str:
        """Return why the consensus cannot be recorded; "" when it can."""
        if self._view is None:
            return "There is nothing merged yet."
        return "This consensus is recorded." if self._is_recorded else self.settings.problem()

    def merge(self) -> Task[Merge]:
        """Return the task that merges the reads as the settings say."""
        settings = self.settings
        return self._session.panel.merge(
            settings.method.value.value,
            settings.quorum_or_none,
            settings.domain.value.value,
            settings.margin.value,
        )

    def make_heat(self) -> Task[LabelMap]:
        """Return the task that draws where the merged readers deviate."""
        merge = self._session.panel.merged.value
        masks = [] if merge is None else [read.labels for read in merge.reads]

        def apply(heat: LabelMap) -> None:
            if merge is self._session.panel.merged.value:
                self._heat = heat
                self.views_changed.emit()

        return Task("Comparing the reads", Lane.CPU, lambda report: agreement_map(masks), apply)

    def record(self) -> Task[ConsensusRecord]:
        """Return the task that records the merge as the case's consensus."""
        merge = self._session.panel.merged.value
        task = self._session.panel.record_consensus()

        def apply(record: ConsensusRecord) -> None:
            task.apply(record)
            self._is_recorded = merge is self._session.panel.merged.value
            self.changed.emit()

        return Task(task.title, task.lane, task.work, apply)

    def go_to_next(self, by: int = 1) -> None:
        """Walk to the next dispute, or back; the views follow."""
        self.disputes.step(by)

    def status_text(self) -> str:
        """Return whether the case has a consensus already."""
        case = self._session.case
        summaries = () if case is None else self._session.cases
        for summary in summaries:
            if case is not None and summary.case.id == case.record.id and summary.status is CaseStatus.AGREED:
                return "A consensus of this case is recorded; recording again keeps the old one."
        return ""

    def _take_merge(self, merge: Merge | None) -> None:
        self._heat, self._is_recorded = None, False
        if merge is None:
            self._view, self._styles = None, {}
            self.disputes.set_items(())
        else:
            self._view = MergeView.of(merge.consensus.to_json(), merge.consensus.labels.table)
            self._styles = reader_styles((read.name, read.vote.rater.kind) for read in merge.reads)
            self.disputes.set_items(dispute_rows(merge, [_named(read) for read in merge.reads]))
        self.changed.emit()
        self.views_changed.emit()

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & Change.VOLUME:
            self.hidden.value = frozenset()
            self.views_changed.emit()
        if change & (Change.PROJECT | Change.CASES | Change.VOLUME | Change.VOTES | Change.CONSENSUS):
            self.changed.emit()

    def _announce_views(self, value: object) -> None:
        self.views_changed.emit()


def _named(read: Read) -> str:
    return read.name
