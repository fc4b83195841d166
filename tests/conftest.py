"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

_SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real scans; skip where a clone does not have it."""
    if not _SHARED.is_dir():
        pytest.skip("the real scans (../shared/data) are not beside this clone")
    return _SHARED
