"""The page of codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from segdesk.cli.codes import codes_markdown
from segdesk.errors import CODES

_PAGE = Path(__file__).parents[2] / "docs" / "codes.md"


def test_the_page_of_codes_is_up_to_date() -> None:
    assert _PAGE.read_text(encoding="utf-8") == codes_markdown(), "run: python -m segdesk.cli.codes docs/codes.md"


def test_every_code_is_on_the_page_once() -> None:
    page = codes_markdown()
    assert all(page.count(f"| `{code.name}` |") == 1 for code in CODES)


def test_the_page_can_be_written_from_the_command_line(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "segdesk.cli.codes", str(tmp_path / "codes.md")], check=True)
    assert (tmp_path / "codes.md").read_text(encoding="utf-8") == codes_markdown()
