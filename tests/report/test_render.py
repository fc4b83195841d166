"""Reports on one page."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import pytest

from segdesk.report.document import Document, Figure, Notice, Picture, Section, Share, Table, Tone
from segdesk.report.histogram import BINS, histogram
from segdesk.report.render import number_text, render

_VOID = {"meta", "link", "img", "br", "hr", "input", "rect", "line"}


class _Tags(HTMLParser):
    """Checks that tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _document(**parts: object) -> Document:
    whole = {"title": "T", "lead": "L", "notices": (), "figures": (), "sections": ()}
    return Document(**{**whole, **parts})  # type: ignore[arg-type]


def _page(*items: object) -> str:
    return render(_document(sections=(Section("S", items),)))  # type: ignore[arg-type]


def test_the_page_is_well_formed_and_loads_nothing() -> None:
    page = render(
        _document(
            notices=(Notice("careful", Tone.CAUTION),),
            figures=(Figure("0.89", "Dice", "n = 31"),),
            sections=(
                Section("S", ("text", Table(("A",), (("x",),), "c"), Picture(b"png", "p"), histogram([0.5], "h"))),
            ),
            colophon=(("segdesk", "1"),),
        )
    )
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_names_cannot_smuggle_markup_in() -> None:
    page = _page(Table(("<b>",), (("<script>alert(1)</script>",),), "<i>"), "<u>")
    assert "<script>" not in page
    assert "<u>" not in page
    assert "&lt;script&gt;" in page


def test_a_picture_is_embedded() -> None:
    assert 'src="data:image/png;base64,cG5n"' in _page(Picture(b"png", "caption"))


def test_an_undefined_value_is_a_dash_and_not_zero() -> None:
    page = _page(Table(("A", "B"), ((None, Share(None)),), "c"))
    assert page.count('<td class="undefined">–</td>') == 2


def test_the_page_says_what_it_is_not() -> None:
    assert "Not a medical device" in render(_document())


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (math.nan, "–"), (0.12345, "0.123"), (12.34, "12.3"), (1234.5, "1,234"), (12345, "12,345"),
     (True, "yes"), ("x", "x")],
)  # fmt: skip
def test_numbers(value: object, text: str) -> None:
    assert number_text(value) == text


def test_a_histogram_counts_every_value_once_and_keeps_one_in_the_last_bin() -> None:
    svg = histogram([0.0, 0.04, 0.5, 0.96, 1.0], "c").svg
    counts = [int(n) for n in re.findall(r'text-anchor="middle">(\d+)</text>', svg)]
    assert sum(counts) == 5
    assert svg.count('class="bar"') == 3
    assert "median 0.500" in svg
    assert BINS == 20


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    assert "median 0.300" in histogram([0.2, 0.4], "c").svg


def test_an_empty_histogram_has_axes_only() -> None:
    svg = histogram([], "c").svg
    assert 'class="bar"' not in svg
    assert 'class="axis"' in svg
