"""Build the parser of the command line from the table of commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from segdesk.cli.catalogue import CATALOGUE, Command
from segdesk.cli.console import Console

_ABOUT = "Draft, correct, vote on, merge and score segmentations, and teach the model that drafts them."
_GROUP_HELP = {
    "cache": "Results of models that are kept, so that none runs twice on the same image.",
    "models": "The models segdesk can run.",
    "project": "A folder with cases, readers, masks and votes.",
}


def build(word: str) -> typer.Typer:
    """Return the parser for the command that starts with `word`; for an option, all of them."""
    chosen: Sequence[Command] = [each for each in CATALOGUE if each.group == word] or CATALOGUE
    if word == "--version":
        chosen = ()
    app = _typer(_ABOUT, "segdesk [PATH...] opens the window.")
    app.callback()(_options)
    for group in dict.fromkeys(each.group for each in chosen):
        _add(app, group, [each for each in chosen if each.group == group])
    return app


def _typer(about: str, epilog: str | None = None) -> typer.Typer:
    return typer.Typer(
        name="segdesk",
        help=about,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )


def _add(app: typer.Typer, group: str, commands: Iterable[Command]) -> None:
    if group in _GROUP_HELP:
        inner = _typer(_GROUP_HELP[group])
        app.add_typer(inner, name=group)
        app = inner
    for each in commands:
        app.command(each.words.split()[-1], epilog=f"Example: {each.example}")(each.load())


def _show_version(wanted: bool) -> None:
    if wanted:
        Console(json=False, quiet=True).show({}, lambda page: page.line(f"segdesk {version('segdesk')}"))
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a command."""
