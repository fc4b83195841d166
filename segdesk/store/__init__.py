"""Projects on disk: cases, readers, masks, votes, consensus, models, jobs."""

from segdesk.store.project import Project

__all__ = ["Project"]
