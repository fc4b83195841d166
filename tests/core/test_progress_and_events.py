"""Tasks, signals, properties and provenance."""

from __future__ import annotations

import pytest

from segdesk.core.events import Change, Property
from segdesk.core.progress import Cancelled, Lane, Task, silent
from segdesk.core.provenance import Origin, OriginKind


def test_a_task_works_then_applies() -> None:
    seen: list[int] = []
    task: Task[int] = Task("count", Lane.CPU, lambda report: 3, seen.append)
    assert task.run() == 3
    assert seen == [3]


def test_nothing_is_applied_when_the_work_is_cancelled() -> None:
    seen: list[int] = []

    def work(report: object) -> int:
        raise Cancelled

    with pytest.raises(Cancelled):
        Task("stop", Lane.CPU, work, seen.append).run()
    assert seen == []


def test_a_task_without_a_second_half_returns_its_result() -> None:
    assert Task("read", Lane.DISK, lambda report: "done").run(silent) == "done"


def test_a_property_announces_changes_only() -> None:
    heard: list[object] = []
    radius = Property(3.0, minimum=0.5, maximum=50.0, unit="mm")
    radius.changed.connect(heard.append)
    radius.value = 3.0
    radius.value = 80.0
    radius.value = 0.0
    assert heard == [50.0, 0.5]
    assert radius.value == 0.5
    assert radius.unit == "mm"


def test_a_property_without_range_takes_anything() -> None:
    name: Property[str | None] = Property(None)
    name.value = "Anna"
    assert name.value == "Anna"


def test_changes_combine() -> None:
    both = Change.LABELS | Change.VOTES
    assert both & Change.VOTES
    assert not both & Change.MODEL


def test_an_origin_knows_when_it_was_made() -> None:
    assert Origin(OriginKind.HUMAN).created.tzinfo is not None
