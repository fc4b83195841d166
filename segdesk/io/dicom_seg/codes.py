"""Coded meanings of segments: items of code sequences, and what stands where none is known."""

from __future__ import annotations

from pydicom.dataset import Dataset

from segdesk.core.labels import Code, Concept
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.values import item_of, text_of

TISSUE = Code("85756007", "SCT", "Tissue")
"""Category and type of a segment whose label has no code: CID 7150, the widest one, as in dcmqi and Slicer."""

BACKGROUND = Code("125040", "DCM", "Background")
"""Category and type of what is no segment in a label map (CID 7150)."""

SEGMENTATION = Code("113076", "DCM", "Segmentation")
"""DerivationCodeSequence of a frame (CID 7203)."""

SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
"""PurposeOfReferenceCodeSequence of the image a frame was drawn on (CID 7202)."""

_SHORT_VALUE = 16
_URN = ("urn:", "http:", "https:")


def concept_of(segment: Header) -> Concept | None:
    """Return the coded meaning of an item of SegmentSequence; None when it has no type."""
    kind = item_of(segment, "SegmentedPropertyTypeCodeSequence")
    code = _code(kind)
    if code is None:
        return None
    return Concept(
        code,
        _code(item_of(segment, "SegmentedPropertyCategoryCodeSequence")),
        _code(item_of(kind, "SegmentedPropertyTypeModifierCodeSequence")),
        _code(item_of(segment, "AnatomicRegionSequence")),
    )


def add_concept(segment: Dataset, concept: Concept | None) -> None:
    """Describe an item of SegmentSequence; `TISSUE` where a code is not known."""
    known = concept or Concept(TISSUE)
    kind = code_item(known.type)
    if known.modifier is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = [code_item(known.modifier)]
    segment.SegmentedPropertyCategoryCodeSequence = [code_item(known.category or TISSUE)]
    segment.SegmentedPropertyTypeCodeSequence = [kind]
    if known.region is not None:
        segment.AnatomicRegionSequence = [code_item(known.region)]


def code_item(code: Code) -> Dataset:
    """Return a code sequence item (PS3.3 8.8): long and URN values have elements of their own."""
    item = Dataset()
    if code.value.startswith(_URN):
        item.URNCodeValue = code.value
    elif len(code.value) > _SHORT_VALUE:
        item.LongCodeValue = code.value
        item.CodingSchemeDesignator = code.scheme
    else:
        item.CodeValue = code.value
        item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning[:64]
    return item


def _code(item: Header) -> Code | None:
    value = text_of(item, "CodeValue") or text_of(item, "LongCodeValue") or text_of(item, "URNCodeValue")
    return Code(value, text_of(item, "CodingSchemeDesignator"), text_of(item, "CodeMeaning")) if value else None
