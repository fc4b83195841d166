"""Hash chains: every record holds the hash of the one before, so that none can be changed or taken out unnoticed."""

from __future__ import annotations

import hashlib
import json


def link_hash(previous_hash: str, *fields: str | float | None) -> str:
    """Return SHA-256 over the previous hash and every field of a record, as canonical JSON."""
    return hashlib.sha256(json.dumps([previous_hash, *fields], separators=(",", ":")).encode()).hexdigest()
