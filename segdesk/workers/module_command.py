"""How a child process is started."""

from __future__ import annotations

import sys


def module_command(module: str, *words: str) -> tuple[str, ...]:
    """Return the command line that runs a module of ours in a Python process of its own.

    With ``-P`` Python does not look for modules in the working folder: a file called ``numpy.py``
    among somebody's scans would else run.
    """
    return (sys.executable, "-P", "-m", module, *words)
