"""Widgets and properties stay equal, whoever changes."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QSlider
from pytestqt.qtbot import QtBot

from segdesk.core.events import Property
from segdesk.ui.bind import bind_check, bind_choice, bind_slider, bind_spin


def test_a_spin_box_takes_range_and_unit_and_follows(qtbot: QtBot) -> None:
    radius, spin = Property(5.0, minimum=0.5, maximum=50.0, unit="mm"), QDoubleSpinBox()
    qtbot.addWidget(spin)
    bind_spin(spin, radius)
    assert (spin.value(), spin.maximum(), spin.suffix()) == (5.0, 50.0, " mm")
    radius.value = 7.5
    assert spin.value() == 7.5
    spin.setValue(3.0)
    assert radius.value == 3.0


def test_a_change_comes_back_once(qtbot: QtBot) -> None:
    seen: list[float] = []
    prop, spin = Property(1.0), QDoubleSpinBox()
    qtbot.addWidget(spin)
    bind_spin(spin, prop)
    prop.changed.connect(seen.append)
    spin.setValue(2.0)
    assert seen == [2.0]


def test_a_slider_has_steps_per_unit(qtbot: QtBot) -> None:
    prop, slider = Property(0.5, minimum=0.0, maximum=1.0), QSlider(Qt.Orientation.Horizontal)
    qtbot.addWidget(slider)
    bind_slider(slider, prop, steps_per_unit=100)
    assert (slider.value(), slider.maximum()) == (50, 100)
    slider.setValue(25)
    assert prop.value == 0.25


def test_a_tick_and_a_choice_follow(qtbot: QtBot) -> None:
    flag, box = Property(False), QCheckBox()
    qtbot.addWidget(box)
    bind_check(box, flag)
    box.click()
    assert flag.value is True
    chosen, combo = Property("b"), QComboBox()
    qtbot.addWidget(combo)
    for each in "abc":
        combo.addItem(each.upper(), each)
    bind_choice(combo, chosen)
    assert combo.currentText() == "B"
    combo.setCurrentIndex(2)
    assert chosen.value == "c"


def test_a_bond_dies_with_its_widget(qtbot: QtBot) -> None:
    prop, spin = Property(1.0), QDoubleSpinBox()
    bind_spin(spin, prop)
    with qtbot.waitSignal(spin.destroyed):
        spin.deleteLater()
    del spin
    prop.value = 2.0
