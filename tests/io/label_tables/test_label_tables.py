"""Tables as other programs write them; the texts follow Slicer's, ITK-SNAP's and FreeSurfer's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Code, Concept, Label, LabelMap, LabelTable
from segdesk.errors import ReadError, UnsupportedFormat, UsageError, WriteError
from segdesk.io import write_labels
from segdesk.io.label_tables import TableFormat, files, read_label_table, write_label_table

_SLICER = """# Color table file C:/Users/x/Segmentation-label_ColorTable.ctbl
# 4 values
0 Background 0 0 0 0
1 artery 216 101 79 255
2 bone 241 214 145 255

3 connective_tissue 111 184 210 255
"""

_ITKSNAP = """################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   230   25   75        1  1  1    "VL"
    2    60  180   75      0.5  0  1    "Inner ERC/CS"
  300   255  225   25        1  1  1    "VM, "left" side"
"""

_FREESURFER = """#$Id: FreeSurferColorLUT.txt,v 1.105 2015/07/29 18:23:03 greve Exp $

#No. Label Name:                            R   G   B   A

0   Unknown                                 0   0   0   0
4   Left-Lateral-Ventricle                  120 18  134 0
10  Left-Thalamus-Proper*                   0   118 14  0
#  a comment between
11101  ctx_lh_G_and_S_frontomargin           23 220  60   0
"""

_SLICER_CSV = """LabelValue,Name,Color_R,Color_G,Color_B,Color_A
1,left_kidney,185,102,83,255
5,"kidney, right",185,102,84,255
"""


def _rows(table: LabelTable) -> list[tuple[int, str, tuple[int, int, int]]]:
    return [(each.value, each.name, each.colour_rgb) for each in table]


def _read(tmp_path: Path, text: str, name: str = "table.txt") -> LabelTable:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_label_table(path)


def test_slicers_table_has_spaces_for_underscores(tmp_path: Path) -> None:
    assert _rows(_read(tmp_path, _SLICER)) == [
        (1, "artery", (216, 101, 79)),
        (2, "bone", (241, 214, 145)),
        (3, "connective tissue", (111, 184, 210)),
    ]


def test_itk_snaps_descriptions_may_hold_spaces_and_quotation_marks(tmp_path: Path) -> None:
    assert _rows(_read(tmp_path, _ITKSNAP)) == [
        (1, "VL", (230, 25, 75)),
        (2, "Inner ERC/CS", (60, 180, 75)),
        (300, 'VM, "left" side', (255, 225, 25)),
    ]


def test_freesurfers_names_keep_their_underscores(tmp_path: Path) -> None:
    assert _rows(_read(tmp_path, _FREESURFER, "FreeSurferColorLUT.txt")) == [
        (4, "Left-Lateral-Ventricle", (120, 18, 134)),
        (10, "Left-Thalamus-Proper*", (0, 118, 14)),
        (11101, "ctx_lh_G_and_S_frontomargin", (23, 220, 60)),
    ]


def test_slicers_newer_table_is_comma_separated(tmp_path: Path) -> None:
    table = _read(tmp_path, _SLICER_CSV, "table.csv")
    assert _rows(table) == [(1, "left_kidney", (185, 102, 83)), (5, "kidney, right", (185, 102, 84))]


@pytest.mark.parametrize("name", ["table.ctbl", "table.csv", "table.label", "table", "FreeSurferColorLUT.txt"])
@pytest.mark.parametrize("text", [_SLICER, _ITKSNAP, _FREESURFER, _SLICER_CSV])
def test_the_content_decides_whatever_the_file_is_called(tmp_path: Path, text: str, name: str) -> None:
    assert _rows(_read(tmp_path, text, name)) == _rows(_read(tmp_path, text, "other.txt"))


def test_the_extension_decides_where_two_formats_would_fit(tmp_path: Path) -> None:
    bare = "1 left_lung 1 2 3 255\n"
    assert _read(tmp_path, bare, "a.ctbl")[1].name == "left lung"
    assert _read(tmp_path, bare, "a.txt")[1].name == "left_lung"


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ('7 "upper lobe" 1 2 3 255', "upper lobe"),
        ("7 upper lobe of lung 1 2 3 255", "upper lobe of lung"),
        ("7 'lobe' 1 2 3 255", "lobe"),
        ("7 _ 1 2 3 255", ""),
        ("7 lobe 1 2 3", "lobe"),
        ("7 lobe 1.0 2.0 2.6 255", "lobe"),
        ("7\tlobe\t1\t2\t3\t255", "lobe"),
    ],
)
def test_rows_that_people_write_by_hand_are_understood(tmp_path: Path, row: str, name: str) -> None:
    table = _read(tmp_path, f"# Color table file\n{row}\n", "hand.ctbl")
    assert _rows(table) == [(7, name, (1, 2, 3))]


def test_windows_line_ends_and_byte_order_marks_do_not_matter(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(_SLICER_CSV.replace("\n", "\r\n").encode(encoding))
        assert len(read_label_table(path)) == 2


def test_columns_of_the_newer_table_come_in_any_order_and_may_be_missing(tmp_path: Path) -> None:
    text = "Color_B\tName\tLabelValue\tColor_R\tColor_G\n3\ta_b\t9\t1\t2\n"
    assert _rows(_read(tmp_path, text, "a.tsv")) == [(9, "a_b", (1, 2, 3))]
    assert list(_read(tmp_path, "LabelValue\n4\n", "b.csv")) == [Label.default(4)]


def test_a_name_over_two_lines_keeps_the_line_numbers_right(tmp_path: Path) -> None:
    text = 'LabelValue,Name,Color_R,Color_G,Color_B\n1,"two\nlines",1,2,3\n\n2,b,1,2,300\n'
    with pytest.raises(ReadError, match="line 5"):
        _read(tmp_path, text, "a.csv")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.ctbl", "# Color table file\n1 a 1 2 3 255\n1 b 1 2 3 255\n", 3),
        ("a.ctbl", "# Color table file\n0 a 1 2 3 255\n0 b 1 2 3 255\n", 3),
        ("a.ctbl", "# Color table file\n\n65536 a 1 2 3 255\n", 3),
        ("a.ctbl", "# Color table file\n-1 a 1 2 3 255\n", 2),
        ("a.ctbl", "# Color table file\nx a 1 2 3 255\n", 2),
        ("a.ctbl", "# Color table file\n1 a 1 2 256 255\n", 2),
        ("a.ctbl", "# Color table file\n1 a red 2 3 255\n", 2),
        ("a.ctbl", "# Color table file\n1 a 1 2\n", 2),
        ("a.label", _ITKSNAP + '  2    60  180   75        1  1  1    "twice"\n', 10),
        ("a.label", _ITKSNAP + "  4    60  180   75        1  1  1    unquoted\n", 10),
        ("a.label", _ITKSNAP + '  4    60  180   75        2  1  1    "too opaque"\n', 10),
        ("a.label", _ITKSNAP + '  4    60  180   75        1  2  1    "seen twice"\n', 10),
        ("a.txt", _FREESURFER + "4 again 1 2 3 0\n", 10),
        ("a.csv", _SLICER_CSV + "5,again,1,2,3,255\n", 4),
        ("a.csv", _SLICER_CSV + "6,short\n", 4),
        ("a.csv", _SLICER_CSV + '6,"open,1,2,3,255\n', 4),
        ("a.csv", "LabelValue,Name,Name\n1,a,b\n", 1),
        ("a.csv", "Number,LabelValues\n1,2\n", 1),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, name: str, text: str, line: int) -> None:
    with pytest.raises(ReadError, match=rf"line {line}\b") as caught:
        _read(tmp_path, text, name)
    assert caught.value.code == "bad_label_table"


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "old.ctbl"
    path.write_bytes("# Color table file\n1 Größe 1 2 3 255\n".encode("latin-1"))
    with pytest.raises(ReadError, match="line 2"):
        read_label_table(path)


@pytest.mark.parametrize(
    "text", ["hello\n", "# Color procedural file /x\n0 0 0 0\n63 0 0.5 0.5\n", "{}", "a\0b", "# only a comment\n"]
)
def test_other_text_is_no_table(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnsupportedFormat):
        _read(tmp_path, text, "a.dat")


def test_a_table_far_too_large_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_TABLE_BYTES", 20)
    with pytest.raises(UnsupportedFormat):
        _read(tmp_path, _SLICER, "a.ctbl")


def test_what_reads_back_differently_never_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "read_label_table", lambda path: LabelTable())
    with pytest.raises(WriteError) as caught:
        write_label_table(LabelTable([Label(1, "a", (1, 2, 3))]), tmp_path / "t.ctbl")
    assert caught.value.code == "verify_failed"
    assert not (tmp_path / "t.ctbl").exists()


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as caught:
        read_label_table(tmp_path / "none.ctbl")
    assert caught.value.code == "not_found"


_AWKWARD = (
    "left_lung", "left lung", 'O\'Brien "x"', "Über, größe 肺", "", "_", " lead ", "'tick'", '"all"', "a\nb", "tab\tx",
    "#no", "3 4", "x # y", "Lung\u2028x", 'ends with "', "a,b;c",
)  # fmt: skip
_SUFFIXES = (".ctbl", ".csv", ".tsv", ".label", ".txt", ".lut", ".ctab", "LUT.txt")


@pytest.mark.parametrize("suffix", _SUFFIXES)
def test_numbers_names_and_colours_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    values = (1, 2, 255, 256, 300, 65535, *range(1000, 1011))
    table = LabelTable(
        Label(value, name, (n, 255 - n, 0)) for n, (value, name) in enumerate(zip(values, _AWKWARD, strict=True))
    )
    path = tmp_path / f"table{suffix}"
    write_label_table(table, path)
    assert read_label_table(path) == table


# Slicer's own example, from its developer guide (one line of it).
_CODED = """LabelValue,Name,Color_R,Color_G,Color_B,Color_A,Category_CodingScheme,Category_CodeValue,\
Category_CodeMeaning,Type_CodingScheme,Type_CodeValue,Type_CodeMeaning,TypeModifier_CodingScheme,TypeModifier_CodeValue,\
TypeModifier_CodeMeaning,Region_CodingScheme,Region_CodeValue,Region_CodeMeaning,RegionModifier_CodingScheme,\
RegionModifier_CodeValue,RegionModifier_CodeMeaning
1,left_kidney,185,102,83,255,SCT,123037004,Anatomical Structure,SCT,64033007,Kidney,SCT,7771000,Left,,,,,,
2,cranial lobe,128,174,128,255,,Tissue,,,Tissue,,,,,,,,,,
"""
_KIDNEY = Concept(
    Code("64033007", "SCT", "Kidney"),
    Code("123037004", "SCT", "Anatomical Structure"),
    Code("7771000", "SCT", "Left"),
)


def test_codes_of_the_newer_table_are_kept_where_they_are_whole(tmp_path: Path) -> None:
    table = _read(tmp_path, _CODED, "coded.csv")
    assert [each.concept for each in table] == [_KIDNEY, None]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_codes_come_back_from_the_newer_table(tmp_path: Path, suffix: str) -> None:
    mass = Concept(Code("4147007", "SCT", 'Mass, "solid"'), region=Code("64033007", "SCT", "Kidney"))
    table = LabelTable([Label(1, "a", (1, 2, 3), _KIDNEY), Label(2, "b", (1, 2, 3)), Label(3, "c", (1, 2, 3), mass)])
    write_label_table(table, tmp_path / f"t{suffix}")
    assert read_label_table(tmp_path / f"t{suffix}") == table


def test_a_format_without_codes_keeps_the_rest(tmp_path: Path) -> None:
    write_label_table(LabelTable([Label(1, "a", (1, 2, 3), _KIDNEY)]), tmp_path / "t.label")
    assert list(read_label_table(tmp_path / "t.label")) == [Label(1, "a", (1, 2, 3))]


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    table = LabelTable([Label(3, name, (1, 2, 3)), Label(4, "next", (1, 2, 3))])
    for suffix in (".ctbl", ".csv", ".label", ".lut"):
        write_label_table(table, folder / f"t{suffix}")
        assert read_label_table(folder / f"t{suffix}") == table


@pytest.mark.parametrize("suffix", _SUFFIXES)
def test_an_empty_table_is_a_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    write_label_table(LabelTable(), path)
    assert len(read_label_table(path)) == 0


def test_what_slicer_reads_is_a_plain_token_and_the_comment_yields_to_a_later_name(tmp_path: Path) -> None:
    path = tmp_path / "table.ctbl"
    write_label_table(LabelTable([Label(1, "left_lung", (1, 2, 3))]), path)
    text = path.read_text(encoding="utf-8")
    assert "1 left_lung 1 2 3 255" in text.splitlines()
    path.write_text(text.replace("1 left_lung", "1 right_lung"), encoding="utf-8")
    assert read_label_table(path)[1].name == "right lung"


def test_a_damaged_comment_is_only_a_comment(tmp_path: Path) -> None:
    table = _read(tmp_path, '# Color table file\n# segdesk 1 "a\\q"\n1 b 1 2 3 255\n', "a.ctbl")
    assert table[1].name == "b"


def test_the_format_can_be_named_against_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    write_label_table(LabelTable([Label(1, "a b", (1, 2, 3))]), path, TableFormat.SLICER)
    assert path.read_text(encoding="utf-8").startswith("# Color table file")


def test_an_existing_table_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "table.ctbl"
    path.write_text("precious")
    with pytest.raises(WriteError) as caught:
        write_label_table(LabelTable(), path)
    assert caught.value.code == "exists"
    assert path.read_text() == "precious"


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write_label_table(LabelTable(), tmp_path / "table.xml")
    assert caught.value.code == "unsupported_format"


def test_a_mask_gives_its_own_table(tmp_path: Path) -> None:
    table = LabelTable([Label(2, "liver", (1, 2, 3)), Label(7, "spleen", (4, 5, 6))])
    labels = LabelMap.of(np.full((2, 3, 4), 2, np.uint8), Geometry.from_spacing((2, 3, 4)), table)
    write_labels(labels, tmp_path / "mask.seg.nrrd")
    assert _rows(read_label_table(tmp_path / "mask.seg.nrrd")) == _rows(table)
