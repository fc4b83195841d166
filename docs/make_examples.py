"""Write ``docs/examples/``: what each command prints with ``--json``, on phantoms.

Run from the checkout: ``python docs/make_examples.py``.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT))

import numpy as np

from segdesk.cli.main import main
from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.volume import Volume
from segdesk.io import write_labels, write_volume
from tests.builders import ball_mask
from tests.nn.toys import threshold_model

EXAMPLES: dict[str, str] = {
    "models-list": "models list --folder models",
    "models-show": "models show models/toy",
    "models-verify": "models verify models/toy",
    "info": "info scan.nii.gz",
    "info-refused": "info broken",
    "convert": "convert scan.nii.gz scan.nrrd",
    "predict": "predict scan.nii.gz mask.nii.gz --model models/toy --device cpu",
    "predict-folder": "predict cases masks --model models/toy --device cpu",
    "evaluate": "evaluate readers/anna.nii.gz readers/ben.nii.gz",
    "evaluate-folders": "evaluate readers references",
    "agree": "agree readers/anna.nii.gz readers/ben.nii.gz readers/carla.nii.gz",
    "consensus": "consensus readers/anna.nii.gz readers/ben.nii.gz readers/carla.nii.gz --out agreed.nii.gz",
    "project-create": "project create study --name Study",
    "project-add": "project add study scan.nii.gz",
    "project-status": "project status study",
    "project-verify": "project verify study",
    "error": "convert scan.nii.gz scan.docx",
}
"""File name without extension, and the words behind ``segdesk``."""

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
    table = LabelTable([Label(1, "tumour", (230, 159, 0))])
    for name, shift in (("anna", 0.0), ("ben", 1.0), ("carla", 2.0)):
        mask = ball_mask(_GRID.shape_kji, (4, 15, 14 + shift), 8.0, _GRID).astype(np.uint8)
        write_labels(LabelMap.of(mask, _GRID, table), folder / "readers" / f"{name}.nii.gz")
        write_labels(LabelMap.of(mask, _GRID, table), folder / "references" / f"{name}.nii.gz")


def example(words: str, folder: Path) -> Any:
    """Return what a command prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        main([*words.split(), "--json"])
    return json.loads(out.getvalue().replace(str(folder), "/data"))


if __name__ == "__main__":
    import os

    with tempfile.TemporaryDirectory() as name:
        write_inputs(Path(name))
        os.chdir(name)
        for title, words in EXAMPLES.items():
            found = {"command": f"segdesk {words} --json", "prints": example(words, Path(name))}
            text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
            (_ROOT / "docs" / "examples" / f"{title}.json").write_text(text, encoding="utf-8")
