"""What lists say of drafts and of what was decided on them; without Qt."""

from __future__ import annotations

from segdesk.session import StoredDraft
from segdesk.store.records import JudgementRecord, Verdict


def decision_word(judgement: JudgementRecord) -> str:
    """Return one or two words: "accepted", "in part" or "rejected"."""
    if judgement.verdict is Verdict.REJECTED:
        return "rejected"
    return "in part" if judgement.is_partial else "accepted"


def draft_text(draft: StoredDraft, rater_id: str) -> str:
    """Return one line on a stored draft, with the reader's own last decision."""
    record = draft.record
    own = [judgement for judgement in draft.judgements if judgement.rater.id == rater_id]
    decided = f" · {decision_word(own[-1])}" if own else ""
    return f"{record.created.astimezone():%d %b %H:%M}  {record.author}{decided}"


def draft_tip(draft: StoredDraft) -> str:
    """Return a line for each decision on a stored draft: who, what, when."""
    lines = [
        f"{each.created.astimezone():%Y-%m-%d %H:%M}  {each.rater.name}: {decision_sentence(each)}"
        for each in draft.judgements
    ]
    return "\n".join(lines) or "Nobody has decided on it yet, as far as you may know"


def decision_sentence(judgement: JudgementRecord) -> str:
    """Return what was decided, with the labels where only some were accepted."""
    if judgement.is_partial:
        labels = ", ".join(str(value) for value in judgement.taken)
        return f"accepted in part (labels {labels} of {len(judgement.offered)})"
    return judgement.verdict.value
