"""Asks before something very large is read."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QMessageBox, QWidget

from segdesk.errors import NeedsConsent, code_named


def ask_consent(
    error: NeedsConsent, window: QWidget, agreed: Callable[[], object], declined: Callable[[], object]
) -> None:
    """Say how large the image is, and go on as the user decides; returns at once.

    Parameters
    ----------
    error : NeedsConsent
        What the reader said.
    window : QWidget
        Above which the question stands.
    agreed, declined : callable
        What happens then; closing the question declines.
    """
    box = QMessageBox(window)
    box.setWindowTitle("A very large image")
    box.setIcon(QMessageBox.Icon.Warning)
    box.setText(error.message.partition(";")[0] + ".")
    box.setInformativeText(
        f"{code_named(error.code).meaning} The computer may run out of memory. Read it all the same?"
    )
    read = box.addButton("Read it", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton("Leave it", QMessageBox.ButtonRole.RejectRole))
    box.finished.connect(lambda result: agreed() if box.clickedButton() is read else declined())
    box.finished.connect(box.deleteLater)
    box.open()
