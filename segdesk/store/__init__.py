"""The project on disk: cases, readers, masks, votes, models, jobs."""
