"""Label tables as files: Slicer's colour tables, ITK-SNAP's descriptions, FreeSurfer's lookup table."""

from __future__ import annotations

from segdesk.io.label_tables.apply import with_table
from segdesk.io.label_tables.dialects import TABLE_SUFFIXES, TableFormat
from segdesk.io.label_tables.files import read_label_table, write_label_table

__all__ = ["TABLE_SUFFIXES", "TableFormat", "read_label_table", "with_table", "write_label_table"]
