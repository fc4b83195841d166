"""What a session can be told in advance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segdesk import paths


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Settings of a session.

    Parameters
    ----------
    rater_name : str
        Reader who works until another is chosen.
    desk_folder : Path, optional
        Project that takes images opened without a project; the user's own by default.
    required_reads : int
        Reads a case needs, for projects created here.
    undo_mib : int
        Memory for undo, in MiB.
    run_times_file : Path, optional
        Where it is kept how long models took; the user's cache by default.
    """

    rater_name: str = "Reader 1"
    desk_folder: Path | None = None
    required_reads: int = 3
    undo_mib: int = 256
    run_times_file: Path | None = None

    @property
    def desk(self) -> Path:
        """Folder of the user's desk project."""
        return self.desk_folder or paths.user_projects() / "desk"

    @property
    def run_times(self) -> Path:
        """File of the times that models took here."""
        return self.run_times_file or paths.user_cache_folder() / "run_times.json"
