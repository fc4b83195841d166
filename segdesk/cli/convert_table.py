"""The part of `segdesk convert` that writes tables of labels."""

from __future__ import annotations

from pathlib import Path

from segdesk.cli.console import Console, Json, Page
from segdesk.io.label_tables import read_label_table, write_label_table


def convert_table(src: Path, dst: Path, console: Console, *, overwrite: bool) -> None:
    """Write the labels of a table or a mask as a table in another format, and show them."""
    table = read_label_table(src)
    write_label_table(table, dst, overwrite=overwrite)
    rows = [{"value": each.value, "name": each.name, "colour_rgb": list(each.colour_rgb)} for each in table]
    payload: Json = {"path": dst, "labels": rows, "warnings": []}

    def show(page: Page) -> None:
        page.line(f"{dst}: {len(rows)} labels")

    console.show(payload, show)
