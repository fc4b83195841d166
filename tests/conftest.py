"""Fixtures every test may use."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from segdesk import paths

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# On a busy machine drawing an example takes seconds: slowness is no failure of the code.
settings.register_profile("segdesk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("segdesk")

_SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real scans; skip where a clone does not have it."""
    if not _SHARED.is_dir():
        pytest.skip("the real scans (../shared/data) are not beside this clone")
    return _SHARED


@pytest.fixture(autouse=True)
def _own_cache(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give each test a cache folder of its own: no result and no time of another test or of the user."""
    name = hashlib.blake2b(request.node.nodeid.encode(), digest_size=8).hexdigest()
    monkeypatch.setattr(paths, "user_cache_folder", lambda: tmp_path_factory.getbasetemp() / "caches" / name)
