"""What every part of the window shares."""

from __future__ import annotations

from dataclasses import dataclass

from segdesk.core.settings import Settings
from segdesk.ui.actions import Actions
from segdesk.ui.jobs import Jobs
from segdesk.ui.theme import Theme


@dataclass(frozen=True, slots=True, eq=False)
class Ui:
    """Jobs, theme, settings and actions of one window."""

    jobs: Jobs
    theme: Theme
    settings: Settings
    actions: Actions
