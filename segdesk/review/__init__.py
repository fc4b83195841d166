"""Votes, agreement and consensus of several readers."""

from segdesk.review.agreement import Agreement, agreement
from segdesk.review.dispute import Dispute, disputes
from segdesk.review.merge import Consensus, Method, consensus
from segdesk.review.quality import RaterQuality

__all__ = ["Agreement", "Consensus", "Dispute", "Method", "RaterQuality", "agreement", "consensus", "disputes"]
