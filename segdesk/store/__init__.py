"""Projects on disk: cases, readers, masks, votes, consensus, models, jobs.

Nothing is imported here: `segdesk.store.records` must stay light, `segdesk.store.project` brings SQLAlchemy.
"""
