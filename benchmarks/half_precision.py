"""What bf16 does to the scores of a model that exists: the record `segdesk train` leaves, for older models.

    python -m benchmarks.half_precision --model hippocampus-unet3d --data hippocampus --recipe hippocampus.toml
    ... --record          and write it into the model's model.json

Cases the weights were fitted to are refused. By default the fold is looked at, the training patients that
chose the state; `--part test` takes the cases kept for the score.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from segdesk.core.progress import silent
from segdesk.nn.dataset import LoadedCase, load_cases
from segdesk.nn.layouts import read_dataset
from segdesk.nn.loaded_model import load_model
from segdesk.nn.precision import LARGEST_CHANGE, half_precision_record, moves_little
from segdesk.nn.prepare import divide
from segdesk.nn.recipe_file import read_recipe
from segdesk.zoo.catalogue import find_model
from segdesk.zoo.model_folder import CARD_NAME, SPEC_NAME, WEIGHTS_NAME, ModelFolder
from segdesk.zoo.spec import ModelSpec
from segdesk.zoo.writer import write_model_folder


def held_out_cases(words: argparse.Namespace, spec: ModelSpec) -> list[LoadedCase]:
    """Read the cases of the part that was asked for, without those the weights were fitted to."""
    recipe = read_recipe(words.recipe)
    dataset = read_dataset(words.data, recipe.layout, words.split)
    parts = divide(dataset, recipe.training.fold)
    loaded, _ = load_cases(dataset, parts.test if words.part == "test" else parts.fold, silent)
    fitted = {case.image_sha256 for case in spec.training.training_cases} if spec.training else set()
    kept = [case for case in loaded if case.image_sha256 not in fitted]
    print(
        f"{len(kept)} cases of the {words.part}; {len(loaded) - len(kept)} left out: the weights were fitted to them."
    )
    return kept


def record(model: ModelFolder, spec: ModelSpec) -> None:
    """Write a model folder again with another model.json."""
    parts = (WEIGHTS_NAME, CARD_NAME, SPEC_NAME)
    extras = {path.name: path.read_bytes() for path in model.path.iterdir() if path.name not in parts}
    card = model.card_path.read_text(encoding="utf-8")
    write_model_folder(model.path, spec, model.weights_path.read_bytes(), card, extras, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="name or folder")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--split", type=Path)
    parser.add_argument("--part", choices=("fold", "test"), default="fold")
    parser.add_argument("--record", action="store_true")
    words = parser.parse_args()
    folder = find_model(words.model)
    model = load_model(folder)
    found = half_precision_record(model.network, model.spec, held_out_cases(words, model.spec), [])
    if not found:
        parser.error("nothing was measured: no case is left, or this device has no bf16 instructions")
    spec = model.spec.model_copy(update={"metrics": {**model.spec.metrics, **found}})
    print(json.dumps(found))
    print(f"bf16 is {'' if moves_little(spec) else 'not '}used unasked (largest change allowed: {LARGEST_CHANGE}).")
    if words.record:
        record(folder, spec)


if __name__ == "__main__":
    main()
