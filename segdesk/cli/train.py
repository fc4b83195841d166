"""``segdesk train`` and ``segdesk finetune``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from segdesk.cli.console import Console
from segdesk.cli.options import DeviceOption, JsonOption, OverwriteOption, QuietOption
from segdesk.core.progress import Progress
from segdesk.errors import UsageError

Event = Mapping[str, Any]

DataOption = Annotated[Path, typer.Option(help="Data set: nnU-Net or MSD folder, or any other with --recipe.")]
OutOption = Annotated[Path, typer.Option(help="Model folder to write.")]
RecipeOption = Annotated[Path | None, typer.Option(help="TOML file: files, labels, network, loss, augmentation.")]
SplitOption = Annotated[Path | None, typer.Option(help="CSV with case,split; val and test are kept for the score.")]
StepsOption = Annotated[
    int | None, typer.Option(help="Number of steps (of each fold); reproducible on the CPU.", min=1)
]
TimeOption = Annotated[float | None, typer.Option(help="Seconds of the training loop (of each fold).", min=1)]
SeedOption = Annotated[int, typer.Option(help="Seed of every random choice.", min=0)]
ThreadsOption = Annotated[int, typer.Option(help="CPU threads; 0: all cores.", min=0)]

DEFAULT_SECONDS = 1800.0
"""Budget where none is given: about what a small 3D model needs on a desktop."""


def train(
    data: DataOption,
    out: OutOption,
    recipe: RecipeOption = None,
    network: Annotated[str, typer.Option(help="Network by name; else the recipe's.")] = "",
    split: SplitOption = None,
    steps: StepsOption = None,
    time_budget: TimeOption = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    threads: ThreadsOption = 0,
    folds: Annotated[int, typer.Option(help="Cross-validate: one network per fold, averaged. 0: one network.")] = 0,
    fold: Annotated[int, typer.Option(help="Train this one of --folds only, from 1.")] = 0,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a model from scratch; started again after a break, it goes on where it was."""
    from segdesk.nn.fit import Budget
    from segdesk.nn.train import TrainSettings
    from segdesk.nn.train import train as run

    budget = Budget(*_budget(steps, time_budget))
    settings = TrainSettings(
        data, out, budget, recipe, network, split, device, seed, threads, overwrite, folds=folds, fold=fold
    )
    _run(lambda emit, report: run(settings, emit, report), Console(json=json, quiet=quiet), "Training")


def finetune(
    data: DataOption,
    model: Annotated[str, typer.Option(help="Base model: a name or a folder; it is never changed.")],
    out: OutOption,
    recipe: RecipeOption = None,
    split: SplitOption = None,
    steps: StepsOption = None,
    time_budget: TimeOption = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    threads: ThreadsOption = 0,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Teach a model more, and compare the result with it on patients neither has seen."""
    from segdesk.nn.finetune import FinetuneSettings
    from segdesk.nn.finetune import finetune as run
    from segdesk.nn.fit import Budget

    settings = FinetuneSettings(
        data, model, out, Budget(*_budget(steps, time_budget)), recipe, split, device, seed, threads, overwrite
    )
    _run(lambda emit, report: run(settings, emit, report), Console(json=json, quiet=quiet), "Fine-tuning")


def _budget(steps: int | None, seconds: float | None) -> tuple[int | None, float | None]:
    if steps is not None and seconds is not None:
        raise UsageError("Give --steps or --time-budget, not both.")
    return (steps, None) if steps is not None else (None, seconds or DEFAULT_SECONDS)


def _run(work: Callable[[Callable[[Event], None], Progress], None], console: Console, title: str) -> None:
    with console.progress(title) as report:

        def emit(event: Event) -> None:
            if console.json:
                console.event(event)
            else:
                for line in _told(event).splitlines():
                    console.note(line)

        work(emit, report)


def _told(event: Event) -> str:
    """Return the line people are shown for an event, "" for none."""
    teller = _TELLERS.get(str(event["event"]))
    return teller(event) if teller else ""


def _progress(event: Event) -> str:
    """Return an event's own words; steps and time left are the bar's business."""
    return str(event.get("text", ""))


def _validation(event: Event) -> str:
    fold = f"Fold {event['fold']} of {event['folds']}, step" if "fold" in event else "Step"
    return f"{fold} {event['step']}: Dice {event['mean_dice']:.4f} on {event['n_cases']} validation cases."


def _result(event: Event) -> str:
    if "verdict" in event:
        return f"{event['model']}: {event['verdict']}. {event['reason']}"
    test = event["metrics"].get("test")
    if not test:
        return f"{event['model']} is written; no case was kept for a score."
    labels = ", ".join(f"{row['name']} {row['dice']['mean']}" for row in test["labels"].values())
    return f"{event['model']} is written. Dice on {test['cases']} test cases: {labels}."


def _warning(event: Event) -> str:
    return f"Warning ({event['code']}): {event['message']}"


_TELLERS: dict[str, Callable[[Event], str]] = {
    "plan": _progress,
    "progress": _progress,
    "validation": _validation,
    "warning": _warning,
    "result": _result,
}
