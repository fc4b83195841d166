"""Draw a `Document` as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from segdesk import paths
from segdesk.report.document import Document, Drawing, Notice, Picture, Share, Table

_DASH = "–"


def render(document: Document) -> str:
    """Return the report as HTML: pictures embedded, no script, nothing loaded from elsewhere.

    Parameters
    ----------
    document : Document
        Texts are escaped: names of files and readers may hold anything.

    Returns
    -------
    str
        A complete page, to be written as UTF-8.
    """
    environment = Environment(
        loader=FileSystemLoader(paths.resources() / "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["text"] = number_text
    environment.filters["base64"] = lambda png: base64.b64encode(png).decode("ascii")
    kinds = {"picture": Picture, "table": Table, "drawing": Drawing, "notice": Notice, "share": Share}
    environment.tests.update({name: _is_a(kind) for name, kind in kinds.items()})
    return environment.get_template("report.html.j2").render(document=document)


def number_text(value: object) -> str:
    """Return a cell's text: three decimals for small numbers, a dash for undefined."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return _DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_a(kind: type) -> Callable[[object], bool]:
    def test(value: object) -> bool:
        return isinstance(value, kind)

    return test
