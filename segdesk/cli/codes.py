"""Write the table of codes: ``python -m segdesk.cli.codes docs/codes.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from segdesk.errors import CODES, CodeKind

_INTRO = """# Codes

Every error, refusal and warning of segdesk has one of these codes, in the window, on stderr and in JSON. A code never
changes its meaning. This page is made from `segdesk/errors.py`: `python -m segdesk.cli.codes docs/codes.md`.

Exit codes: 0 done, 2 wrong usage or input refused, 1 internal failure, 130 cancelled.
"""

_TITLES = {
    CodeKind.ERROR: ("Errors", "The command did nothing; nothing was written."),
    CodeKind.REFUSAL: (
        "Refusals",
        "This image or series is not opened, because its geometry or pixels cannot be trusted.",
    ),
    CodeKind.WARNING: ("Warnings", "The work went on; you should know."),
}


def codes_markdown() -> str:
    """Return the page: one table per kind, codes in the order of `CODES`."""
    parts = [_INTRO]
    for kind, (title, meaning) in _TITLES.items():
        rows = [f"| `{c.name}` | {c.meaning} | {c.what_to_do} |" for c in CODES if c.kind is kind]
        parts.append(
            "\n".join([f"## {title}\n\n{meaning}\n", "| code | meaning | what to do |", "|---|---|---|", *rows])
        )
    return "\n".join(f"{part}\n" if part is not _INTRO else part for part in parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(codes_markdown(), encoding="utf-8")
