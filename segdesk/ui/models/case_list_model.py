"""The case list: what each row says, which rows are shown, which case is next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from segdesk.core.events import Signal
from segdesk.store.records import CaseRecord, CaseStatus, CaseSummary, JudgementRecord, Verdict
from segdesk.ui.models.columns import Column
from segdesk.ui.models.draft_text import decision_sentence, decision_word
from segdesk.ui.models.number_text import UNDEFINED, count, size_kji

NO_DECISIONS: Mapping[str, JudgementRecord] = MappingProxyType({})
STATUS_WORDS = {
    CaseStatus.NEW: "Not read",
    CaseStatus.READING: "Being read",
    CaseStatus.READ: "Ready to merge",
    CaseStatus.AGREED: "Agreed",
}
"""A status as the window calls it."""


class CaseFilter(StrEnum):
    """What the buttons above the list choose."""

    ALL = "all"
    TO_READ = "to read"
    TO_MERGE = "to merge"
    DISPUTED = "disputed"
    AGREED = "agreed"


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One row; nothing in it names a patient.

    Parameters
    ----------
    summary : CaseSummary
        What the project says about the case.
    value : float
        How much the next step on this case is worth, in [0, 1]; the list starts with the greatest.
    reason : str
        Why it is worth that, in words.
    decision : JudgementRecord, optional
        What the present reader decided on the newest draft.
    """

    summary: CaseSummary
    value: float
    reason: str
    decision: JudgementRecord | None = None

    @property
    def case(self) -> CaseRecord:
        """The case."""
        return self.summary.case

    @property
    def reads_text(self) -> str:
        """Readers done of readers needed: "2 / 3"."""
        return f"{self.summary.reads_done} / {self.summary.reads_needed}"

    @property
    def size_text(self) -> str:
        """Columns x rows x slices."""
        return size_kji(self.case.shape_kji, None)


class CaseListModel:
    """Rows, search and filter of the case list.

    Signals
    -------
    changed
        The rows to show are others.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._rows: tuple[CaseRow, ...] = ()
        self._search = ""
        self._filter = CaseFilter.ALL

    @property
    def rows(self) -> tuple[CaseRow, ...]:
        """All rows, the case most worth working on first."""
        return self._rows

    @property
    def visible_rows(self) -> tuple[CaseRow, ...]:
        """Rows that search and filter let through."""
        return tuple(row for row in self._rows if _passes(row, self._filter) and _found(row, self._search))

    @property
    def next_row(self) -> CaseRow | None:
        """The case to read next, None when nothing is left to do."""
        return self._rows[0] if self._rows and self._rows[0].value > 0 else None

    @property
    def filter(self) -> CaseFilter:
        """The filter that is on."""
        return self._filter

    @filter.setter
    def filter(self, chosen: CaseFilter) -> None:
        if chosen is not self._filter:
            self._filter = chosen
            self.changed.emit()

    @property
    def search(self) -> str:
        """The words searched for."""
        return self._search

    @search.setter
    def search(self, words: str) -> None:
        if words != self._search:
            self._search = words
            self.changed.emit()

    def set_summaries(
        self, summaries: Iterable[CaseSummary], decisions: Mapping[str, JudgementRecord] = NO_DECISIONS
    ) -> None:
        """Take what the project says about its cases, and what the present reader decided on their drafts."""
        rows = (_row(summary, decisions.get(summary.case.id)) for summary in summaries)
        self._rows = tuple(sorted(rows, key=lambda row: (-row.value, row.case.name.casefold())))
        self.changed.emit()

    def number_in(self, chosen: CaseFilter) -> int:
        """Return how many cases a filter would let through, whatever is searched for."""
        return sum(_passes(row, chosen) for row in self._rows)

    def summary_text(self) -> str:
        """Return one line about the whole list: "12 cases · 8 to read · 2 disputed"."""
        parts = [count(len(self._rows), "case")]
        for chosen in (CaseFilter.TO_READ, CaseFilter.TO_MERGE, CaseFilter.DISPUTED, CaseFilter.AGREED):
            number = self.number_in(chosen)
            if number:
                parts.append(f"{number} {chosen.value}")
        return " · ".join(parts)


def _row(summary: CaseSummary, decision: JudgementRecord | None) -> CaseRow:
    value, reason = next_step(summary, decision)
    return CaseRow(summary, value, reason, decision)


def next_step(summary: CaseSummary, decision: JudgementRecord | None = None) -> tuple[float, str]:
    """Return how much the next step on a case is worth, and what it is.

    Merging what is fully read comes first (one click settles what several readers paid for),
    then cases whose panel is nearest to complete, those with a draft to correct, the untouched
    ones, and last agreed ones whose disputes an adjudicator may look at.

    Returns
    -------
    tuple of float and str
        A value in [0, 1] and the reason shown to the reader; 0 when nothing is left to do.
    """
    missing = max(0, summary.reads_needed - summary.reads_done)
    if summary.status is CaseStatus.AGREED:
        disputes = summary.disputes or 0
        return (
            (0.1, f"Agreed, with {count(disputes, 'dispute')} to look at")
            if disputes
            else (0.0, "Agreed, nothing to do")
        )
    if missing == 0:
        return 1.0, "All reads are in, merge them"
    if summary.reads_done:
        return 0.5 + 0.3 * summary.reads_done / summary.reads_needed, f"{count(missing, 'read')} missing"
    if decision is not None and decision.verdict is Verdict.REJECTED:
        return 0.3, f"Draft rejected, {count(missing, 'read')} missing"
    if summary.has_draft:
        state = "accepted" if decision is not None else "to correct"
        return 0.4, f"Draft {state}, {count(missing, 'read')} missing"
    return 0.3, f"Untouched, {count(missing, 'read')} missing"


def _passes(row: CaseRow, chosen: CaseFilter) -> bool:
    summary = row.summary
    if chosen is CaseFilter.TO_READ:
        return summary.reads_done < summary.reads_needed and summary.status is not CaseStatus.AGREED
    if chosen is CaseFilter.TO_MERGE:
        return summary.reads_done >= summary.reads_needed and summary.status is not CaseStatus.AGREED
    if chosen is CaseFilter.DISPUTED:
        return bool(summary.disputes)
    return chosen is CaseFilter.ALL or summary.status is CaseStatus.AGREED


def _found(row: CaseRow, search: str) -> bool:
    """Whether every word occurs somewhere in the row; a patient key is never searched."""
    text = f"{row.case.name} {row.case.modality} {STATUS_WORDS[row.summary.status]} {row.reason}".casefold()
    return all(word in text for word in search.casefold().split())


def _disputes_text(row: CaseRow) -> str:
    return UNDEFINED if row.summary.disputes is None else str(row.summary.disputes)


def _draft_text(row: CaseRow) -> str:
    if row.decision is not None:
        return decision_word(row.decision)
    return "yes" if row.summary.has_draft else UNDEFINED


def _draft_tip(row: CaseRow) -> str:
    if row.decision is not None:
        when = f"{row.decision.created.astimezone():%Y-%m-%d %H:%M}"
        return f"{row.decision.draft.author}: {decision_sentence(row.decision)} by you, {when}"
    return "A model's draft is stored" if row.summary.has_draft else "No model has drafted this case yet"


def _disputes_tip(row: CaseRow) -> str:
    return "No consensus has been built yet" if row.summary.disputes is None else ""


CASE_COLUMNS: tuple[Column[CaseRow], ...] = (
    Column("Case", lambda row: row.case.name, width_px=240),
    Column("Modality", lambda row: row.case.modality or UNDEFINED, width_px=88),
    Column(
        "Size", lambda row: row.size_text, help="Columns × rows × slices, in voxels", is_number=True, width_px=136
    ),
    Column("Status", lambda row: STATUS_WORDS[row.summary.status], width_px=128),
    Column(
        "Reads", lambda row: row.reads_text, lambda row: row.summary.reads_done / max(1, row.summary.reads_needed),
        help="Readers who voted / readers the project asks for", is_number=True, width_px=72,
    ),
    Column(
        "Draft", lambda row: _draft_text(row), tip=lambda row: _draft_tip(row),
        help="A stored draft, and what you decided on the newest one", width_px=88,
    ),
    Column(
        "Disputes", _disputes_text, lambda row: float(row.summary.disputes or 0), _disputes_tip, is_number=True,
        help="Connected parts on which the readers are not unanimous, in the last consensus", width_px=88,
    ),
    Column("Next step", lambda row: row.reason, lambda row: -row.value, help="Why this case comes where it does",
           width_px=0),
)  # fmt: skip
"""The case table from left to right."""
