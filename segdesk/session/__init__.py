"""The program without a window."""

from segdesk.session.candidate import Candidate
from segdesk.session.drafts import Drafts, StoredDraft
from segdesk.session.first_slice import FirstSlice
from segdesk.session.heat import Heat, HeatMap
from segdesk.session.panel import Panel, Read
from segdesk.session.queue import Queue
from segdesk.session.queued_case import QueuedCase, QueueState
from segdesk.session.run_times import RunTimes, TimeEstimate
from segdesk.session.saving import SaveOutcome
from segdesk.session.scores import ScoreEntry, Scores, ScoreSheet
from segdesk.session.session import Session
from segdesk.session.settings import SessionSettings
from segdesk.session.state import OpenCase
from segdesk.session.teaching import Teaching
from segdesk.session.training_start import Budget

__all__ = [
    "Budget",
    "Candidate",
    "Drafts",
    "FirstSlice",
    "Heat",
    "HeatMap",
    "OpenCase",
    "Panel",
    "Queue",
    "QueueState",
    "QueuedCase",
    "Read",
    "RunTimes",
    "SaveOutcome",
    "ScoreEntry",
    "ScoreSheet",
    "Scores",
    "Session",
    "SessionSettings",
    "StoredDraft",
    "Teaching",
    "TimeEstimate",
]
