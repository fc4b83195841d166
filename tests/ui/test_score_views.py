from __future__ import annotations

import math
from types import SimpleNamespace

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from segdesk.ui.models.columns import Column
from segdesk.ui.views.dot_plot import DotGroup, DotPlot
from segdesk.ui.views.matrix_view import MatrixView, mixed, readable_on
from segdesk.ui.views.row_table import RowTable

COLUMNS = (
    Column("Name", lambda row: str(row[0]), width_px=0),
    Column("Value", lambda row: f"{row[1]:.1f}", lambda row: float(row[1]), lambda row: "why", is_number=True),
)
Row = tuple[str, float]


def table(qtbot: QtBot, rows: list[Row]) -> RowTable[Row]:
    view: RowTable[Row] = RowTable(COLUMNS)
    qtbot.addWidget(view)
    view.set_rows(rows)
    return view


def test_sorting_by_a_number_puts_the_undefined_last(qtbot: QtBot) -> None:
    view = table(qtbot, [("a", math.nan), ("b", 10.0), ("c", 9.0)])
    view.sort_by(1)
    assert [row[0] for row in view.shown_rows()] == ["c", "b", "a"]


def test_new_values_of_as_many_rows_keep_the_selection(qtbot: QtBot) -> None:
    view = table(qtbot, [("a", 1.0), ("b", 2.0)])
    view.select_position(1)
    view.set_rows([("a", 3.0), ("b", 4.0)])
    assert view.selected_row() == ("b", 4.0)


def test_another_number_of_rows_selects_none(qtbot: QtBot) -> None:
    view = table(qtbot, [("a", 1.0), ("b", 2.0)])
    view.select_position(1)
    view.set_rows([("a", 3.0)])
    assert view.selected_row() is None


def test_a_cell_tells_its_reason_and_a_header_its_definition(qtbot: QtBot) -> None:
    view = table(qtbot, [("a", 1.0)])
    model = view.model()
    assert model.index(0, 1).data(Qt.ItemDataRole.ToolTipRole) == "why"
    assert model.headerData(1, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole) == "Value"
    assert model.headerData(1, Qt.Orientation.Vertical, Qt.ItemDataRole.DisplayRole) is None


def test_a_tick_is_announced_and_shown_as_the_owner_says(qtbot: QtBot) -> None:
    ticked: set[str] = set()
    view: RowTable[Row] = RowTable(COLUMNS, is_ticked=lambda row: row[0] in ticked)
    qtbot.addWidget(view)
    view.set_rows([("a", 1.0)])
    view.ticked.connect(lambda row, on: ticked.add(row[0]) if on else ticked.discard(row[0]))
    index = view.model().index(0, 0)
    assert index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Unchecked
    view.model().setData(index, Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)
    assert ticked == {"a"}
    assert index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
    assert not view.model().setData(index, "x", Qt.ItemDataRole.EditRole)


def test_a_selected_and_an_activated_row_are_handed_out(qtbot: QtBot) -> None:
    view = table(qtbot, [("a", 1.0)])
    with qtbot.waitSignal(view.current_row) as selected:
        view.select_position(0)
    with qtbot.waitSignal(view.activated_row) as activated:
        view.activated.emit(view.currentIndex())
    assert selected.args == activated.args == [("a", 1.0)]


def test_a_dot_that_is_clicked_names_rater_and_key(qtbot: QtBot) -> None:
    plot = DotPlot("Dice", (0.0, 1.0))
    qtbot.addWidget(plot)
    plot.set_groups([DotGroup("Reader 1", (0.8, 0.9, 0.85, 0.7, math.nan), ("a", "b", "c", "d", "e"), (230, 159, 0))])
    scatter = next(item for item in plot.getPlotItem().items if hasattr(item, "sigClicked") and hasattr(item, "points"))
    point = SimpleNamespace(data=lambda: "b")
    with qtbot.waitSignal(plot.dot_clicked) as clicked:
        scatter.sigClicked.emit(scatter, [point], None)
    assert clicked.args == ["Reader 1", "b"]


def test_undefined_values_are_counted_in_the_name_not_drawn(qtbot: QtBot) -> None:
    plot = DotPlot("Dice", (0.0, 1.0))
    qtbot.addWidget(plot)
    plot.resize(600, 200)
    plot.show()
    plot.set_groups([DotGroup("Reader 1", (math.nan, math.nan), ("a", "b"), (230, 159, 0))])
    ((_, name),) = plot.getPlotItem().getAxis("bottom")._tickLevels[0]
    assert name == "Reader 1\n2 undefined"


def test_the_axis_begins_just_below_the_lowest_value(qtbot: QtBot) -> None:
    plot = DotPlot("Dice", (0.0, 1.0))
    qtbot.addWidget(plot)
    plot.set_groups([DotGroup("a", (0.86, 0.95), ("x", "y"), (1, 2, 3))])
    low, high = plot.getPlotItem().viewRange()[1]
    assert 0.75 < low <= 0.8
    assert high >= 1.0


def matrix(qtbot: QtBot, names: list[str], width_px: int = 400) -> MatrixView:
    view = MatrixView()
    qtbot.addWidget(view)
    n = len(names)
    view.set_matrix(names, [[1.0 if i == j else (math.nan if i + j == 1 else 0.5) for j in range(n)] for i in range(n)])
    view.resize(width_px, view.sizeHint().height())
    view.show()
    view.grab()
    return view


def test_a_pair_is_named_under_the_pointer_and_undefined_is_a_dash(qtbot: QtBot) -> None:
    view = matrix(qtbot, ["Ann", "Bob", "Cy"])
    tips = {view.tip_at(QPoint(x, y)) for x in range(0, 400, 4) for y in range(0, view.height(), 4)}
    assert "Dice of Ann and Bob: -" in tips
    assert "Dice of Cy and Ann: 0.500" in tips
    assert not any("Ann and Ann" in tip for tip in tips)


def test_ten_raters_fit_into_a_narrow_panel(qtbot: QtBot) -> None:
    view = matrix(qtbot, [f"Reader number {n}" for n in range(10)], 330)
    assert view.minimumSizeHint().width() < 330
    last = [
        x for x in range(330) if view.tip_at(QPoint(x, 40)).startswith("Dice of Reader number 0 and Reader number 9")
    ]
    assert last
    assert max(last) < 330


def test_an_empty_matrix_is_only_a_header(qtbot: QtBot) -> None:
    view = matrix(qtbot, [])
    assert view.tip_at(QPoint(5, 5)) == ""


def test_text_stands_out_on_any_cell() -> None:
    assert readable_on(QColor("white")).lightness() < 60
    assert readable_on(QColor("black")).lightness() > 200
    assert mixed(QColor("black"), QColor("white"), 0.5) == QColor(128, 128, 128)
