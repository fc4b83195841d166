"""A part of benchmarks/mutations.py: damaged files give typed errors and nothing worse."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import mutations
from segdesk.errors import ReadError, WorkerError

COUNT = 250


@pytest.fixture(scope="module")
def originals() -> list[mutations.Original]:
    return mutations.originals_of(None)


def test_damaged_files_are_read_or_refused(originals: list[mutations.Original]) -> None:
    tally = mutations.run(originals, 7, range(COUNT), lambda text: None)
    assert tally.failures == []
    assert sum(tally.outcomes.values()) == COUNT
    # Both must happen: a loader that refuses everything would pass the line above.
    assert tally.outcomes["read"] > COUNT // 20
    assert tally.outcomes["refused: truncated"] > COUNT // 20


def test_a_case_is_made_from_seed_and_index_alone(originals: list[mutations.Original], tmp_path: Path) -> None:
    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
    one = mutations.make_case(originals, 3, 17, tmp_path / "one")
    two = mutations.make_case(originals, 3, 17, tmp_path / "two")
    other = mutations.make_case(originals, 4, 17, tmp_path / "other")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert (one.original, one.mutation) == (two.original, two.mutation)
    assert one.path.read_bytes() != other.path.read_bytes()


@pytest.mark.parametrize("mutate", dict.fromkeys(mutations.MUTATIONS), ids=lambda mutate: mutate.__name__)
def test_every_mutation_changes_files(originals: list[mutations.Original], mutate: mutations.Mutation) -> None:
    rng = mutations.np.random.default_rng(0)
    contents = [each.content for each in originals[:12]]
    changed = [mutate(content, rng, originals) != content for content in contents]
    assert sum(changed) >= len(changed) // 2


@pytest.mark.parametrize(
    ("error", "is_failure"),
    [
        (ReadError("x", code="internal"), True),
        (ReadError("x", code="decoder_hung"), True),
        (ReadError("x", code="decoder_memory"), True),
        (WorkerError("x"), True),
        (ReadError("two\nlines"), True),
        (ReadError("x", code="decoder_crashed"), False),
        (ReadError("x", code="truncated"), False),
    ],
)
def test_what_counts_as_a_failure(error: ReadError, is_failure: bool) -> None:
    assert mutations._told(error).startswith("FAILED") == is_failure


def test_a_slow_case_is_a_failure() -> None:
    tally = mutations.Tally(mutations.Counter(), [], [])
    case = mutations.Case(5, "a.dcm", "cut", Path("a.dcm"))
    tally.add(case, "read", mutations.SLOW_S + 1)
    assert "index 5 (a.dcm, cut)" in tally.failures[0]
