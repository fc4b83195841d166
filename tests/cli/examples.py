"""Write ``docs/examples/``: what each command prints with ``--json``, on phantoms.

Run from the checkout: ``python -m tests.cli.examples``.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from segdesk.cli.main import main
from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.volume import Volume
from segdesk.io import write_labels, write_volume
from tests.builders import ball_mask
from tests.nn.toy_sets import TOY_RECIPE, nnunet_set
from tests.nn.toys import threshold_model

FOLDER = Path(__file__).parents[2] / "docs" / "examples"

EXAMPLES: dict[str, str] = {
    "models-list": "models list --folder models",
    "models-show": "models show models/toy",
    "models-verify": "models verify models/toy",
    "models-export": "models export models/toy toy.zip",
    "models-import": "models import toy.zip --name copy --to imported",
    "info": "info scan.nii.gz",
    "info-refused": "info broken",
    "convert": "convert scan.nii.gz scan.nrrd",
    "predict": "predict scan.nii.gz mask.nii.gz --model models/toy --device cpu",
    "predict-folder": "predict cases masks --model models/toy --device cpu",
    "cache-info": "cache info",
    "cache-clear": "cache clear",
    "explain": "explain scan.nii.gz heat.nii.gz --model models/toy --label 7 --method gradcam --device cpu",
    "evaluate": "evaluate readers/anna.nii.gz readers/ben.nii.gz",
    "evaluate-folders": "evaluate readers references",
    "agree": "agree readers/anna.nii.gz readers/ben.nii.gz readers/carla.nii.gz",
    "consensus": "consensus readers/anna.nii.gz readers/ben.nii.gz readers/carla.nii.gz --out agreed.nii.gz",
    "project-create": "project create study --name Study",
    "project-add": "project add study scan.nii.gz",
    "project-status": "project status study",
    "project-verify": "project verify study",
    "train": "train --data dataset --out model --recipe recipe.toml --steps 4 --device cpu --threads 1",
    "finetune": "finetune --data dataset --model model --out better --recipe recipe.toml --steps 2 --device cpu",
    "error": "convert scan.nii.gz scan.docx",
}
"""File name without extension, and the words behind ``segdesk``; a training's last line is shown."""

_GRID = Geometry.from_spacing((9, 31, 31), (3.0, 0.8, 0.8))


def write_inputs(folder: Path) -> None:
    """Make the scan, the model and the readers' masks that the examples use."""
    rng = np.random.default_rng(5)
    array = rng.uniform(0, 20, _GRID.shape_kji).astype(np.float32)
    array[ball_mask(_GRID.shape_kji, (4, 15, 15), 8.0, _GRID)] += 100
    write_volume(Volume(array, _GRID), folder / "scan.nii.gz")
    threshold_model(folder / "models" / "toy")
    for name in ("readers", "references", "cases", "broken"):
        (folder / name).mkdir()
    shutil.copy(folder / "scan.nii.gz", folder / "cases" / "case1.nii.gz")
    (folder / "broken" / "cut.nii.gz").write_bytes((folder / "scan.nii.gz").read_bytes()[:200])
    nnunet_set(folder / "dataset")
    (folder / "recipe.toml").write_text(TOY_RECIPE)
    table = LabelTable([Label(1, "tumour", (230, 159, 0))])
    for name, shift in (("anna", 0.0), ("ben", 1.0), ("carla", 2.0)):
        mask = ball_mask(_GRID.shape_kji, (4, 15, 14 + shift), 8.0, _GRID).astype(np.uint8)
        write_labels(LabelMap.of(mask, _GRID, table), folder / "readers" / f"{name}.nii.gz")
        write_labels(LabelMap.of(mask, _GRID, table), folder / "references" / f"{name}.nii.gz")


def example(words: str, folder: Path) -> Any:
    """Return what a command prints; of several JSON lines the last."""
    out = io.StringIO()
    with redirect_stdout(out):
        main([*words.split(), "--json"])
    text = out.getvalue().replace(str(folder), "/data").replace(str(FOLDER.parents[1]), "/data/segdesk")
    return json.loads(text.splitlines()[-1])


def all_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Run every command in a folder of its own and yield name and content of the example."""
    before, cache = Path.cwd(), os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        write_inputs(folder)
        os.chdir(folder)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        try:
            for title, words in EXAMPLES.items():
                yield title, {"command": f"segdesk {words} --json", "prints": example(words, folder)}
        finally:
            os.chdir(before)
            os.environ.pop("XDG_CACHE_HOME")
            if cache is not None:
                os.environ["XDG_CACHE_HOME"] = cache


if __name__ == "__main__":
    for title, content in all_examples():
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{title}.json").write_text(text, encoding="utf-8")
