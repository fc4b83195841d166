"""`segdesk agree`: how far readers agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segdesk.cli.console import Console, Page
from segdesk.cli.files import reader_names, require_exists
from segdesk.cli.options import (
    AllowLargeOption,
    DomainOption,
    JsonOption,
    MarginOption,
    MasksArgument,
    NamesOption,
    QuietOption,
)
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Progress
from segdesk.errors import UsageError
from segdesk.io import read_labels
from segdesk.review import agreement


def agree(
    masks: MasksArgument,
    names: NamesOption = "",
    domain: DomainOption = "union",
    margin: MarginOption = 10,
    allow_large: AllowLargeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say how far readers agree: Dice of every pair, alpha, kappa. Nothing is written."""
    console = Console(json=json, quiet=quiet)
    readers = require_readers(masks, names)
    with console.progress("Reading masks") as report:
        maps = read_masks(masks, report)
        report(len(masks), len(masks) + 1, "Comparing")
        result = agreement(maps, names=readers, domain=domain, margin=margin)
    payload = result.to_json()
    console.show(payload, lambda page: agreement_page(page, payload))


def require_readers(masks: Sequence[Path], names: str) -> tuple[str, ...]:
    """Return the readers' names; refuse fewer than two masks or missing files."""
    if len(masks) < 2:
        raise UsageError("Two masks or more are needed; name one file per reader.")
    require_exists(*masks)
    return reader_names(masks, names)


def read_masks(masks: Sequence[Path], report: Progress) -> list[LabelMap]:
    """Read one label map per file."""
    maps = []
    for number, path in enumerate(masks):
        report(number, len(masks) + 1, f"Reading {path.name}")
        maps.append(read_labels(path))
    return maps


def agreement_page(page: Page, payload: Mapping[str, Any]) -> None:
    """Write an agreement for people."""
    readers: list[str] = payload["raters"]
    for value, row in payload["labels"].items():
        pairs = row["pairwise_dice"]
        page.heading(f"Label {value}")
        matrix = [
            (name, *(line[n] for n in range(len(readers)))) for name, line in zip(readers, pairs["matrix"], strict=True)
        ]
        page.table(("Dice", *readers), matrix)
        page.table(
            ("mean of pairs", "lowest pair", "generalised conformity index"),
            [(pairs["mean"], pairs["min"], row["gci"])],
        )
        page.line()
    page.table(
        ("Krippendorff alpha", "Fleiss kappa", "domain"),
        [(payload["krippendorff_alpha"], payload["fleiss_kappa"], str(payload["domain"]))],
    )
