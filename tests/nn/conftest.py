"""Fixtures of the tests of networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segdesk.core.progress import Progress
from segdesk.nn import importing
from segdesk.workers.model_import import ImportRequest, ModelImporter
from segdesk.zoo.model_folder import ModelFolder
from tests.nn.foreign import Import, declared


@pytest.fixture
def import_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    """Import without a child process, which takes seconds; its limits would be those of the tests."""
    monkeypatch.setattr(importing, "limit_this_process", lambda _: None)

    def convert(folder: Path, report: Progress) -> int:
        return importing.main([str(folder)])

    def call(source: Path, name: str | None = None, **fields: Any) -> ModelFolder:
        request = ImportRequest(source, tmp_path / "imported", name, declared(**fields))
        return ModelImporter(convert)(request)

    return call
