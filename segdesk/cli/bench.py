"""`segdesk bench`: this machine's figures."""

from __future__ import annotations

import json as json_module
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import segdesk
from segdesk.cli.console import Console, Json, Page
from segdesk.cli.options import JsonOption, QuietOption
from segdesk.errors import NotFound, WorkerError

NamesArgument = Annotated[list[str] | None, typer.Argument(help="Which ones; all by default.", show_default=False)]


def bench(names: NamesArgument = None, json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Measure this machine: each benchmark runs in a process of its own. They come with the source checkout."""
    scripts = _scripts(benchmarks_folder())
    chosen = names or list(scripts)
    unknown = [name for name in chosen if name not in scripts]
    if unknown:
        raise NotFound(f"There is no benchmark {unknown[0]!r}; there are {', '.join(scripts)}.")
    console = Console(json=json, quiet=quiet)
    figures: Json = {}
    with console.progress("Measuring") as report:
        for number, name in enumerate(chosen):
            report(number, len(chosen), name)
            figures[name] = _measured(name, scripts[name])
    console.show({"benchmarks": figures}, lambda page: _page(page, figures))


def benchmarks_folder() -> Path:
    """Return the folder of benchmarks beside the package; NotFound in an installed one, which has none."""
    folder = Path(segdesk.__file__).parents[1] / "benchmarks"
    if not folder.is_dir():
        raise NotFound("The benchmarks come with the source checkout, not with the installed package; clone it.")
    return folder


def _scripts(folder: Path) -> dict[str, Path]:
    """Return the benchmarks by name; files that begin with an underscore are their helpers."""
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")}


def _measured(name: str, script: Path) -> Json:
    """Run a benchmark with --json; the last line it writes is its object."""
    done = subprocess.run([sys.executable, str(script), "--json"], capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    try:
        found = json_module.loads(lines[-1]) if done.returncode == 0 and lines else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise WorkerError(f"Benchmark {name} failed: {last[:200]}", path=script)
    return found


def _page(page: Page, figures: Json) -> None:
    for name, found in figures.items():
        page.heading(name)
        page.table(("Figure", "Value"), [(key, value) for key, value in found.items()])
