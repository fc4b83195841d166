"""How progress is put into words."""

from __future__ import annotations


def time_text(seconds: float) -> str:
    """Return a duration as m:ss, or h:mm:ss from an hour on."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, rest_s = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest_s:02d}" if hours else f"{minutes}:{rest_s:02d}"


def progress_text(what: str, done: int, total: int, remaining_s: float | None) -> str:
    """Return "predicting 62 % · 0:08 left"; without a total only what is going on."""
    parts = [what] if what else []
    if total > 0:
        percent = f"{100 * min(done, total) // total} %"
        parts = [f"{what} {percent}" if what else percent]
    if remaining_s is not None:
        parts.append(f"{time_text(remaining_s)} left")
    return " · ".join(parts)
