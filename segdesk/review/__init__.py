"""Votes, agreement and consensus of several readers."""

from segdesk.review.agreement import Agreement, agreement
from segdesk.review.ceiling import Ceiling, PanelDice, human_ceiling, panel_dice
from segdesk.review.dispute import Dispute, disputes
from segdesk.review.merge import Consensus, Method, consensus
from segdesk.review.quality import RaterQuality

__all__ = [
    "Agreement",
    "Ceiling",
    "Consensus",
    "Dispute",
    "Method",
    "PanelDice",
    "RaterQuality",
    "agreement",
    "consensus",
    "disputes",
    "human_ceiling",
    "panel_dice",
]
