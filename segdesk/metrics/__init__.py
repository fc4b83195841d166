"""Overlap, surface and volume measures of masks."""

from segdesk.metrics.scoring import evaluate, evaluate_cases
from segdesk.metrics.table import CaseScores, CohortScores, LabelScores, Status

__all__ = ["CaseScores", "CohortScores", "LabelScores", "Status", "evaluate", "evaluate_cases"]
