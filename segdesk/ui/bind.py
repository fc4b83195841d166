"""Two-way bonds between a `Property` and a widget, echo blocked.

A bond is a child of its widget and dies with it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from PySide6.QtCore import QObject, QSignalBlocker
from PySide6.QtWidgets import QAbstractButton, QComboBox, QDoubleSpinBox, QSlider, QSpinBox, QWidget

from segdesk.core.events import Property


class Bond(QObject):
    """Keeps one widget and one property equal.

    Parameters
    ----------
    widget : QWidget
        Shows and edits the value; owns the bond.
    prop : Property
        The value.
    show : callable
        Puts a value into the widget.
    """

    def __init__(self, widget: QWidget, prop: Property[Any], show: Callable[[Any], None]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._prop = prop
        self._show = show
        prop.changed.connect(self.show_value)
        self.show_value(prop.value)

    def show_value(self, value: object) -> None:
        """Put the value into the widget without its signals."""
        blocker = QSignalBlocker(self._widget)
        self._show(value)
        blocker.unblock()

    def take_value(self, value: object) -> None:
        """Put the widget's value into the property; show what came of it (it may be clipped)."""
        self._prop.value = value
        self.show_value(self._prop.value)


def bind_spin(spin: QSpinBox | QDoubleSpinBox, prop: Property[Any]) -> Bond:
    """Bind a spin box; range and unit come from the property."""
    if prop.minimum is not None:
        spin.setMinimum(prop.minimum)
    if prop.maximum is not None:
        spin.setMaximum(prop.maximum)
    if prop.unit:
        spin.setSuffix(f" {prop.unit}")
    bond = Bond(spin, prop, spin.setValue)
    spin.valueChanged.connect(bond.take_value)
    return bond


def bind_slider(slider: QSlider, prop: Property[Any], *, steps_per_unit: float = 1.0) -> Bond:
    """Bind a slider; `steps_per_unit` slider steps make one unit of the property."""

    def show(value: float) -> None:
        slider.setValue(round(value * steps_per_unit))

    def take(step: int) -> None:
        bond.take_value(type(prop.value)(step / steps_per_unit))

    if prop.minimum is not None and prop.maximum is not None:
        slider.setRange(round(prop.minimum * steps_per_unit), round(prop.maximum * steps_per_unit))
    bond = Bond(slider, prop, show)
    slider.valueChanged.connect(take)
    return bond


def bind_check(button: QAbstractButton, prop: Property[bool]) -> Bond:
    """Bind a checkable button."""
    bond = Bond(button, prop, button.setChecked)
    button.toggled.connect(bond.take_value)
    return bond


def bind_choice(combo: QComboBox, prop: Property[Any]) -> Bond:
    """Bind a combo box whose items carry the values as their data."""

    def show(value: object) -> None:
        combo.setCurrentIndex(combo.findData(value))

    def take(row: int) -> None:
        chosen = combo.itemData(row)
        # Qt keeps a StrEnum's text and forgets the enum.
        bond.take_value(type(prop.value)(chosen) if isinstance(prop.value, Enum) else chosen)

    bond = Bond(combo, prop, show)
    combo.currentIndexChanged.connect(take)
    return bond
