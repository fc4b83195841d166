"""segdesk: draft, correct, vote on, merge and score segmentations."""
