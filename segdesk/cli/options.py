"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _allow_large(is_allowed: bool) -> bool:
    """Let the command read images of any size (the runner gives each command its own context)."""
    if is_allowed:
        from segdesk.io.limits import allow_large_from_now_on

        allow_large_from_now_on()
    return is_allowed


JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
AllowLargeOption = Annotated[
    bool, typer.Option("--allow-large", help="Read images of any size.", callback=_allow_large)
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
MasksArgument = Annotated[list[Path], typer.Argument(help="One mask per reader, on the same grid.", show_default=False)]
NamesOption = Annotated[str, typer.Option(help="The readers' names, comma-separated; else the file names.")]
DomainOption = Annotated[str, typer.Option(help="Where to count: union (plus margin) or whole.")]
MarginOption = Annotated[int, typer.Option(help="Voxels around the union of the masks.", min=0)]
