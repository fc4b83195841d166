"""`segdesk consensus`: merge the readers' masks into one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from segdesk.cli.agree import agreement_page, read_masks, require_readers
from segdesk.cli.console import Console, Page
from segdesk.cli.files import require_free
from segdesk.cli.options import (
    AllowLargeOption,
    DomainOption,
    JsonOption,
    MarginOption,
    MasksArgument,
    NamesOption,
    OverwriteOption,
    QuietOption,
)
from segdesk.io import write_labels, write_volume
from segdesk.review import consensus as merge

OutOption = Annotated[Path, typer.Option(help="The consensus mask.", show_default=False)]
MethodOption = Annotated[str, typer.Option(help="majority, quorum or staple.")]
QuorumOption = Annotated[str, typer.Option(help="With --method quorum: a fraction (2/3) or a number of readers.")]
VotesOption = Annotated[Path | None, typer.Option(help="Share of votes of the most chosen label, as an image.")]
UndecidedOption = Annotated[Path | None, typer.Option(help="Where no label won, as a mask.")]


def consensus(
    masks: MasksArgument,
    out: OutOption,
    method: MethodOption = "staple",
    quorum: QuorumOption = "",
    domain: DomainOption = "union",
    margin: MarginOption = 10,
    names: NamesOption = "",
    votes: VotesOption = None,
    undecided: UndecidedOption = None,
    overwrite: OverwriteOption = False,
    allow_large: AllowLargeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Merge the readers' masks by majority, quorum or STAPLE; ties stay undecided."""
    console = Console(json=json, quiet=quiet)
    readers = require_readers(masks, names)
    require_free((out, votes, undecided), overwrite=overwrite, inputs=masks)
    with console.progress("Merging") as report:
        maps = read_masks(masks, report)
        report(len(masks), len(masks) + 1, f"Merging: {method}")
        result = merge(maps, names=readers, method=method, quorum=quorum or None, domain=domain, margin=margin)
    write_labels(result.labels, out, overwrite=overwrite)
    if votes is not None:
        write_volume(result.votes, votes, overwrite=overwrite)
    if undecided is not None:
        write_labels(result.undecided, undecided, overwrite=overwrite)
    payload = result.to_json()
    console.warn(result.warnings)
    console.show(payload, lambda page: _consensus_page(page, payload, out))


def _consensus_page(page: Page, payload: Mapping[str, Any], out: Path) -> None:
    voxels = payload["voxels"]
    page.heading(f"{out}: {payload['method']} of {len(payload['raters'])} readers")
    page.line(
        f"{voxels['consensus']:,} voxels agreed, {voxels['disputed']:,} disputed, {voxels['undecided']:,} undecided"
    )
    rows = [
        (rater["name"], int(value), rater["sensitivity"][value], rater["specificity"][value])
        for rater in payload["raters"]
        for value in rater["sensitivity"]
    ]
    if rows:
        page.table(("Reader", "Label", "Sensitivity", "Specificity"), rows)
    page.line()
    agreement_page(page, payload["agreement"])
