"""What becomes of every file and folder: opened, refused by code, no image; nothing crashes or hangs.

    python benchmarks/outcomes.py [--data ../shared/data] [--jobs 2] [--limit-s 120] [--list] [--write docs/outcomes.md]

Runs over a folder of scans, pydicom's test files and nibabel's. Each path is opened by a worker
process that is killed when it takes too long; one that dies is noticed. The table holds counts and
codes alone, never a name. The exit code is 1 when anything crashed or hung.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import multiprocessing
import platform
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import nibabel
import pydicom.data

from segdesk.errors import CODES, SegdeskError
from segdesk.io import SeriesEntry, read_labels, scan

OPENED, REFUSED, NO_IMAGE, CRASHED, HUNG = "opened", "refused", "no image", "crashed", "hung"
_NO_IMAGE_CODES = frozenset({"unsupported_format", "not_an_image", "empty"})
_MEANINGS = {code.name: code.meaning for code in CODES}
_PACKAGES = (
    "segdesk",
    "numpy",
    "pydicom",
    "nibabel",
    "SimpleITK",
    "python-gdcm",
    "pylibjpeg-openjpeg",
    "pyjpegls",
    "Pillow",
)
_MASK = "mask"


@dataclass(frozen=True)
class Outcome:
    """Of one path: what was opened, refused and warned of, each as often as it happened."""

    state: str
    kinds: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A path and the set it belongs to."""

    group: str
    path: Path
    is_folder: bool


def outcome_of(path: Path) -> Outcome:
    """Open a path completely.

    A file is read with its voxels. A folder is scanned, and the series whose files lie directly in it are read
    (deeper ones belong to the folders below; single files were read as files).
    """
    try:
        found = scan(path)
        entries = [entry for entry in found.series if path.is_file() or _belongs_to(entry, path)]
        refusals = [refusal.code for refusal in found.refused] if path.is_file() or entries else []
        for entry in entries:
            entry.read()
    except SegdeskError as error:
        if path.is_file() and _is_mask(path):
            return Outcome(OPENED, (_MASK,))
        return Outcome(NO_IMAGE if error.code in _NO_IMAGE_CODES else REFUSED, (), (error.code,))
    kinds = tuple(str(entry.kind) for entry in entries)
    warnings = tuple(warning.code for entry in entries for warning in entry.warnings)
    state = OPENED if kinds else REFUSED if refusals else NO_IMAGE
    return Outcome(state, kinds, tuple(refusals), warnings)


def _belongs_to(entry: SeriesEntry, folder: Path) -> bool:
    return len(entry.paths) > 1 and all(path.parent == folder for path in entry.paths)


def _is_mask(path: Path) -> bool:
    try:
        read_labels(path)
    except SegdeskError:
        return False
    return True


def jobs_in(group: str, root: Path) -> Iterator[Job]:
    """Yield every file and folder below a root in a stable order."""
    for path in sorted(root.rglob("*")):
        if path.is_file() or path.is_dir():
            yield Job(group, path, path.is_dir())


def serve(pipe: Connection) -> None:
    """Open the paths that come through the pipe until None comes."""
    while (path := pipe.recv()) is not None:
        try:
            pipe.send(outcome_of(path))
        except Exception as error:  # noqa: BLE001  what is no SegdeskError is what this script looks for
            pipe.send(Outcome(CRASHED, (), (type(error).__name__,)))


class Worker:
    """A process that opens paths, replaced when it dies or is killed."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def outcome(self, path: Path) -> Outcome:
        """Open a path within the time limit."""
        self._pipe.send(path)
        if self._pipe.poll(self._limit_s):
            try:
                received: Outcome = self._pipe.recv()
            except EOFError:
                self._process.join()
                self._start()
                return Outcome(CRASHED, (), ("process died",))
            return received
        self._process.kill()
        self._process.join()
        self._start()
        return Outcome(HUNG)

    def stop(self) -> None:
        """Let the process end."""
        self._pipe.send(None)
        self._process.join(10)


def run(jobs: Sequence[Job], workers: int, limit_s: float) -> list[Outcome]:
    """Return the outcome of each job, in order."""
    outcomes: list[Outcome | None] = [None] * len(jobs)
    numbers = iter(range(len(jobs)))
    lock = threading.Lock()

    def work() -> None:
        worker = Worker(limit_s)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            outcomes[number] = worker.outcome(jobs[number].path)
        worker.stop()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome for outcome in outcomes if outcome is not None]


def page(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> str:
    """Return the tables as Markdown."""
    return "\n".join(
        [
            "# Outcomes",
            "",
            "What becomes of every file and folder of the real scans the project is tested on, of pydicom's test files",
            "and of nibabel's: opened with all voxels, refused with a reason, or no image. Nothing may crash or hang.",
            "`python benchmarks/outcomes.py --write docs/outcomes.md` made this; [codes.md](codes.md) has the codes.",
            "",
            f"{versions()}.",
            "",
            "## Files",
            "",
            *_by_set(jobs, outcomes, folders=False),
            "",
            "## Folders",
            "",
            "Opened are those with series of several files directly in them; files of their own are counted above.",
            "",
            *_by_set(jobs, outcomes, folders=True),
            "",
            "## Opened, by kind",
            "",
            *_counted("kind", Counter(kind for each in outcomes for kind in each.kinds)),
            "",
            "## Refused, by code",
            "",
            "A series that is refused as a volume and opens as slices is in both tables.",
            "",
            *_coded(Counter(code for each in outcomes for code in each.refusals if code not in _NO_IMAGE_CODES)),
            "",
            "## No image, by code",
            "",
            *_coded(Counter(code for each in outcomes for code in each.refusals if code in _NO_IMAGE_CODES)),
            "",
            "## Warnings shown, by code",
            "",
            *_coded(Counter(code for each in outcomes for code in each.warnings)),
            "",
        ]
    )


def versions() -> str:
    """Return the versions the outcomes depend on."""
    named = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return f"Python {platform.python_version()}, {named}"


def _by_set(jobs: Sequence[Job], outcomes: Sequence[Outcome], *, folders: bool) -> list[str]:
    states = (OPENED, REFUSED, NO_IMAGE, CRASHED, HUNG)
    lines = [f"| set | all | {' | '.join(states)} |", "|---|---|" + "---|" * len(states)]
    pairs = [pair for pair in zip(jobs, outcomes, strict=True) if pair[0].is_folder is folders]
    for group in [*dict.fromkeys(job.group for job in jobs), ""]:
        counts = Counter(outcome.state for job, outcome in pairs if group in ("", job.group))
        cells = [group or "all", str(counts.total()), *(str(counts[state]) for state in states)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _counted(head: str, counts: Counter[str]) -> list[str]:
    rows = [f"| {name} | {count} |" for name, count in sorted(counts.items())]
    return [f"| {head} | count |", "|---|---|", *rows]


def _coded(counts: Counter[str]) -> list[str]:
    rows = [f"| `{name}` | {_MEANINGS.get(name, '')} | {count} |" for name, count in sorted(counts.items())]
    return ["| code | meaning | count |", "|---|---|---|", *rows]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=120.0)
    parser.add_argument("--list", action="store_true", help="name what was refused, on stderr")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    jobs = [job for folder in sorted(options.data.iterdir()) if folder.is_dir() for job in jobs_in(folder.name, folder)]
    jobs += jobs_in("pydicom's test files", Path(pydicom.data.__file__).parent / "test_files")
    jobs += jobs_in("nibabel's test files", Path(nibabel.__file__).parent / "tests" / "data")
    outcomes = run(jobs, options.jobs, options.limit_s)
    text = page(jobs, outcomes)
    print(text)
    if options.list:
        for job, each in zip(jobs, outcomes, strict=True):
            if each.refusals and each.state != NO_IMAGE:
                print(f"{each.state}: {job.path} {' '.join(each.refusals)}", file=sys.stderr)
    bad = [(job, each) for job, each in zip(jobs, outcomes, strict=True) if each.state in (CRASHED, HUNG)]
    for job, each in bad:
        print(f"{each.state}: {job.path} {' '.join(each.refusals)}", file=sys.stderr)
    if options.write is not None and not bad:
        options.write.write_text(text, encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
