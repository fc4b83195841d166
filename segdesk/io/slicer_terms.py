"""Coded meanings as 3D Slicer writes them into a segment's tags.

One tag of ``Segment0_Tags`` is ``TerminologyEntry:`` and seven fields between ``~``: name of the
terminology, category, type, modifier of the type, name of the anatomic list, region, modifier
of the region; a code is ``scheme^value^meaning`` (slicer.readthedocs.io, "Segmentations",
terminology).
"""

from __future__ import annotations

from urllib.parse import unquote

from segdesk.core.labels import Code, Concept

_ENTRY = "TerminologyEntry:"
_LIST = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGIONS = "Anatomic codes - DICOM master list"
_SEPARATORS = frozenset("~^|%\r\n")


def tags_of_concept(concept: Concept) -> str:
    """Return the value of ``SegmentN_Tags``."""
    fields = (_LIST, _text(concept.category), _text(concept.type), _text(concept.modifier))
    return f"{_ENTRY}{'~'.join((*fields, _REGIONS, _text(concept.region), _text(None)))}|"


def concept_of_tags(tags: str) -> Concept | None:
    """Return the coded meaning among a segment's tags; None where there is none."""
    for tag in tags.split("|"):
        if tag.startswith(_ENTRY):
            fields = [*tag.removeprefix(_ENTRY).split("~"), *[""] * 7]
            kind = _code(fields[2])
            return None if kind is None else Concept(kind, _code(fields[1]), _code(fields[3]), _code(fields[5]))
    return None


def _text(code: Code | None) -> str:
    return "^^" if code is None else "^".join(_escaped(part) for part in (code.scheme, code.value, code.meaning))


def _escaped(part: str) -> str:
    """Percent-encode what would end a field; Slicer's own terms hold none of these."""
    return "".join(f"%{ord(char):02X}" if char in _SEPARATORS else char for char in part)


def _code(text: str) -> Code | None:
    scheme, value, meaning = ([unquote(part) for part in text.split("^")] + ["", "", ""])[:3]
    return Code(value, scheme, meaning) if scheme and value else None
