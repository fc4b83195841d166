"""`segdesk info`: what is in a file or folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page, Refused
from segdesk.cli.files import require_exists
from segdesk.cli.options import JsonOption, QuietOption
from segdesk.errors import ReadError
from segdesk.io import ScanResult, scan

PathArgument = Annotated[Path, typer.Argument(help="An image file or a folder.", show_default=False)]


def info(path: PathArgument, json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Show what is there: series, geometry, warnings. Names of patients are never shown."""
    require_exists(path)
    console = Console(json=json, quiet=quiet)
    with console.progress(f"Looking at {path.name}") as report:
        found = scan(path, report)
    payload = scan_json(path, found)
    if not found.series:
        raise Refused(_nothing_readable(path, found), {"refused": payload["refused"]})
    console.show(payload, lambda page: _info_page(page, payload))


def scan_json(path: Path, found: ScanResult) -> Json:
    """Return the JSON form of CONTRACT."""
    raise NotImplementedError


def _nothing_readable(path: Path, found: ScanResult) -> ReadError:
    raise NotImplementedError


def _info_page(page: Page, payload: Json) -> None:
    raise NotImplementedError
