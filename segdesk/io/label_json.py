"""Label tables as JSON, for formats whose headers take free text."""

from __future__ import annotations

import json
from collections.abc import Mapping

from segdesk.core.labels import Code, Concept, Label, LabelTable
from segdesk.errors import InvalidMask

_KEY = "segdesk_labels"


_CODES = ("type", "category", "modifier", "region")


def table_to_json(table: LabelTable) -> str:
    """Return the table as one line of JSON."""
    rows = [
        {"value": each.value, "name": each.name, "colour": list(each.colour_rgb), **concept_to_json(each.concept)}
        for each in table
    ]
    return json.dumps({_KEY: rows}, ensure_ascii=False, separators=(",", ":"))


def table_from_json(text: str) -> LabelTable | None:
    """Return the table, or None when the text is something else or is damaged."""
    try:
        rows = json.loads(text)[_KEY]
        return LabelTable(_label(row) for row in rows)
    except (ValueError, TypeError, KeyError, InvalidMask, AttributeError):
        return None


def concept_to_json(concept: Concept | None) -> dict[str, dict[str, dict[str, str]]]:
    """Return ``{"concept": {...}}`` for a row of labels, nothing for a label without a coded meaning."""
    if concept is None:
        return {}
    codes = {name: getattr(concept, name) for name in _CODES}
    return {
        "concept": {
            name: {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
            for name, code in codes.items()
            if code is not None
        }
    }


def concept_from_json(row: Mapping[str, object]) -> Concept | None:
    """Return the coded meaning of a row; KeyError or TypeError when it is damaged."""
    parts = row.get("concept")
    if parts is None:
        return None
    codes = {
        name: Code(str(code["value"]), str(code["scheme"]), str(code["meaning"]))
        for name, code in parts.items()  # type: ignore[attr-defined]
        if name in _CODES
    }
    return Concept(**codes)


def _label(row: Mapping[str, object]) -> Label:
    red, green, blue = (min(255, max(0, int(part))) for part in row["colour"])  # type: ignore[attr-defined]
    colour = (red, green, blue)
    return Label(int(row["value"]), str(row["name"]), colour, concept_from_json(row))  # type: ignore[call-overload]
