"""One line about what a validation found."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(exc: ValidationError) -> str:
    """Return the place and the words of the first problem, and how many more there are."""
    first = exc.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part)[:40] for part in first["loc"]) or "the whole"
    rest = exc.error_count() - 1
    more = f" (and {rest} more)" if rest else ""
    return f"{place}: {' '.join(first['msg'].split())[:200]}{more}"
