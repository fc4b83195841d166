"""Where the program starts: a command, or the window.

What to do is decided on the words alone, before anything slow is imported:
the window must be there in less than a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from segdesk.cli.catalogue import GROUPS


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command or open the window.

    Parameters
    ----------
    argv : sequence of str, optional
        Words behind the program's name; those of this process by default.

    Returns
    -------
    int
        Exit code: 0 done, 2 wrong usage or input refused, 1 internal failure, 130 cancelled.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and (words[0] in GROUPS or (words[0].startswith("-") and words[0] != "--")):
        from segdesk.cli.runner import run

        return run(words)
    return _open_window([word for word in words if word != "--"])


def _open_window(words: Sequence[str]) -> int:
    missing = next((word for word in words if not os.path.lexists(word)), None)
    if missing is not None:
        return _refuse_word(missing, as_json="--json" in words)
    from segdesk.app import run as open_window

    return open_window([Path(word) for word in words])


def _refuse_word(word: str, *, as_json: bool) -> int:
    from difflib import get_close_matches

    from segdesk.cli.console import report_error
    from segdesk.errors import UsageError

    close = get_close_matches(word, sorted(GROUPS), 1)
    hint = f"did you mean 'segdesk {close[0]}'?" if close else "see 'segdesk --help'."
    message = f"'{word}' is neither a command nor a file or folder; {hint}"
    return report_error(UsageError(message, code="not_found", path=word), as_json=as_json)
