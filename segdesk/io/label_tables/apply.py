"""Giving the labels of a mask the names and colours of a table."""

from __future__ import annotations

from dataclasses import replace

from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.errors import UsageError, Warn

_NAMED = 8
"""Numbers listed in a message before it says how many more there are."""


def with_table(labels: LabelMap, table: LabelTable) -> LabelMap:
    """Return the map with names, colours and codes of a table, by label value.

    Only labels that the mask has or lists are taken over: a lookup table of a whole atlas
    does not make a thousand empty labels. Codes are kept where the table has none.

    Parameters
    ----------
    labels : LabelMap
        Its arrays are shared with the result.
    table : LabelTable

    Returns
    -------
    LabelMap
        With a warning when the table does not name all labels.

    Raises
    ------
    UsageError
        If it names none of them: the table of another mask.
    """
    own = labels.table.merged(LabelTable.for_values(labels.values()))
    unnamed = [label.value for label in own if label.value not in table]
    if len(own) and len(unnamed) == len(own):
        raise UsageError(
            f"The table names none of the mask's labels ({_listed(unnamed)}); give the table of this mask."
        )
    rows = LabelTable(_taken_over(label, table) for label in own)
    warnings = labels.warnings
    if unnamed:
        message = f"The table does not name {_listed(unnamed)}; their own names were kept."
        warnings = (*warnings, Warn("labels_unnamed", message))
    return replace(labels, table=rows, warnings=warnings)


def _taken_over(label: Label, table: LabelTable) -> Label:
    if label.value not in table:
        return label
    row = table[label.value]
    return replace(row, concept=row.concept or label.concept)


def _listed(values: list[int]) -> str:
    more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
    return ", ".join(map(str, values[:_NAMED])) + more
