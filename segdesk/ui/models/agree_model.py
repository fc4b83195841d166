"""The Agree workspace without its widgets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from segdesk.core.events import Change, Property, Signal
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import UsageError
from segdesk.session import Session
from segdesk.session.panel import Merge, MergeOptions
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
class Findings:
    """What was read out of a merge: numbers, disputes, and where the readers differ."""

    view: MergeView
    disputes: tuple[DisputeRow, ...]
    heat: LabelMap


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
        self._findings: Findings | None = None
        self._read: Merge | None = None
        self._asked: MergeOptions | None = None
        self._is_recorded = False
        for prop in (self.hidden, self.shows_heat):
            prop.changed.connect(self._announce_views)
        self.settings.changed.connect(self.changed.emit)
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
        return None if self._shown is None else self._shown.view

    @property
    def reads(self) -> tuple[ShownRead, ...]:
        """The merged reads that are drawn, by name."""
        if self._read is None or self.phase is not Phase.OPEN:
            return ()
        reads = sorted(self._read.reads, key=lambda read: read.name)
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
        return self._shown.heat if self._shown is not None and self.shows_heat.value else None

    @property
    def _shown(self) -> Findings | None:
        return self._findings if self.phase is Phase.OPEN else None

    @property
    def needs_merge(self) -> bool:
        """Whether the reads could be merged with the present settings and are not."""
        return self.phase is Phase.OPEN and not self.settings.problem() and not self.is_up_to_date

    @property
    def is_up_to_date(self) -> bool:
        """Whether the present merge was made with the present settings, of the present votes."""
        merge = self._session.panel.merged.value
        if merge is None or merge.options != self.settings.options:
            return False
        newest = max((read.vote.id for read in merge.reads), default=0)
        return all(vote.id <= newest for vote in self._session.panel.votes() if vote.mask_sha256)

    @property
    def is_asked_for(self) -> bool:
        """Whether a merge of these votes with these settings was asked for; one that failed is not tried again."""
        return self._asked == self.settings.options

    @property
    def needs_reading(self) -> bool:
        """Whether the present merge is still to be read out."""
        merge = self._session.panel.merged.value
        return merge is not None and merge is not self._read

    @property
    def is_recorded(self) -> bool:
        """Whether the merge on the screen is the case's recorded consensus."""
        return self._is_recorded

    def show_reader(self, name: str, shown: bool) -> None:
        """Draw a reader's outline, or do not."""
        self.hidden.value = self.hidden.value - {name} if shown else self.hidden.value | {name}

    def why_not_record(self) -> str:
        """Return why the consensus cannot be recorded; "" when it can."""
        if self.view is None or self.needs_reading:
            return "There is nothing merged yet."
        if self._is_recorded:
            return "This consensus is recorded."
        return self.settings.problem() or ("" if self.is_up_to_date else "The changed settings are being merged.")

    def merge(self) -> Task[Merge]:
        """Return the task that merges the reads as the settings say."""
        options = self._asked = self.settings.options
        return self._session.panel.merge(options.method, options.quorum, options.domain, options.margin)

    def read_out(self) -> Task[Findings]:
        """Return the task that counts the merge's voxels and draws where the readers differ."""
        merge = self._session.panel.merged.value

        def work(report: Progress) -> Findings:
            if merge is None:
                raise UsageError("There is no merge to look at; merge the reads first.")
            return _findings(merge)

        def apply(findings: Findings) -> None:
            if merge is not None and merge is self._session.panel.merged.value:
                self._read, self._findings = merge, findings
                self._styles = reader_styles((read.name, read.vote.rater.kind) for read in merge.reads)
                self.disputes.set_items(findings.disputes)
                self.changed.emit()
                self.views_changed.emit()

        return Task("Comparing the reads", Lane.CPU, work, apply)

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
        self._is_recorded = False
        if merge is not None and merge.options != self._asked:
            # Somebody else merged (a script, the demo): the settings show how.
            self.settings.adopt(merge.options)
        if merge is None:
            self._findings, self._read, self._styles = None, None, {}
            self.disputes.set_items(())
            self.views_changed.emit()
        self.changed.emit()

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & (Change.VOLUME | Change.VOTES):
            self._asked = None
        if change & Change.VOLUME:
            self.hidden.value = frozenset()
            self.views_changed.emit()
        if change & (Change.PROJECT | Change.CASES | Change.VOLUME | Change.VOTES | Change.CONSENSUS):
            self.changed.emit()

    def _announce_views(self, value: object) -> None:
        self.views_changed.emit()


def _findings(merge: Merge) -> Findings:
    table = merge.consensus.labels.table
    rows = dispute_rows(merge.disputes, [read.name for read in merge.reads], table)
    view = MergeView.of(merge.consensus.to_json(), table)
    return Findings(view, rows, agreement_map([read.labels for read in merge.reads]))
