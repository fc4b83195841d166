"""Label tables as JSON, for formats whose headers take free text."""

from __future__ import annotations

import json

from segdesk.core.labels import Label, LabelTable
from segdesk.errors import InvalidMask

_KEY = "segdesk_labels"


def table_to_json(table: LabelTable) -> str:
    """Return the table as one line of JSON."""
    rows = [{"value": each.value, "name": each.name, "colour": list(each.colour_rgb)} for each in table]
    return json.dumps({_KEY: rows}, ensure_ascii=False, separators=(",", ":"))


def table_from_json(text: str) -> LabelTable | None:
    """Return the table, or None when the text is something else or is damaged."""
    try:
        rows = json.loads(text)[_KEY]
        return LabelTable(_label(row) for row in rows)
    except (ValueError, TypeError, KeyError, InvalidMask):
        return None


def _label(row: dict[str, object]) -> Label:
    red, green, blue = (min(255, max(0, int(part))) for part in row["colour"])  # type: ignore[attr-defined]
    return Label(int(row["value"]), str(row["name"]), (red, green, blue))  # type: ignore[call-overload]
