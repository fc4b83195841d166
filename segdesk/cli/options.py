"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
MasksArgument = Annotated[list[Path], typer.Argument(help="One mask per reader, on the same grid.", show_default=False)]
NamesOption = Annotated[str, typer.Option(help="The readers' names, comma-separated; else the file names.")]
DomainOption = Annotated[str, typer.Option(help="Where to count: union (plus margin) or whole.")]
MarginOption = Annotated[int, typer.Option(help="Voxels around the union of the masks.", min=0)]
