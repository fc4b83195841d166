"""Overlap, surface and volume measures of masks."""

from segdesk.metrics.cells import CellScores, cell_scores
from segdesk.metrics.cohort import CohortScores, Statistics
from segdesk.metrics.detection import Detection, detect
from segdesk.metrics.overlap import Confusion, LabelCounts, confusion, dice, mask_counts
from segdesk.metrics.scoring import evaluate, evaluate_cases
from segdesk.metrics.surface import SurfaceDistances, surface_distances
from segdesk.metrics.table import CaseScores, LabelScores, MeanScores, Status
from segdesk.metrics.volumetry import volumes_mm3

__all__ = [
    "CaseScores",
    "CellScores",
    "CohortScores",
    "Confusion",
    "Detection",
    "LabelCounts",
    "LabelScores",
    "MeanScores",
    "Statistics",
    "Status",
    "SurfaceDistances",
    "cell_scores",
    "confusion",
    "detect",
    "dice",
    "evaluate",
    "evaluate_cases",
    "mask_counts",
    "surface_distances",
    "volumes_mm3",
]
