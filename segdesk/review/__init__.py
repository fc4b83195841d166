"""Votes, agreement and consensus of several readers."""
