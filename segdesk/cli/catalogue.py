"""All commands in one table.

The table is read before the window opens, so nothing slow is imported here; of
the commands' modules only that of the one that runs is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Parameters
    ----------
    words : str
        What the user types behind ``segdesk``: "info", "models list".
    module, function : str
        Where it is.
    example : str
        Shown at the end of its ``--help``.
    """

    words: str
    module: str
    function: str
    example: str

    @property
    def group(self) -> str:
        """The first word."""
        return self.words.split()[0]

    def load(self) -> Callable[..., Any]:
        """Import the module and return the function."""
        function: Callable[..., Any] = getattr(import_module(self.module), self.function)
        return function


CATALOGUE = (
    Command("demo", "segdesk.cli.demo", "demo", "segdesk demo --headless --dir my-demo"),
    Command("info", "segdesk.cli.info", "info", "segdesk info scans/ --json"),
    Command("convert", "segdesk.cli.convert", "convert", "segdesk convert dicom-folder/ scan.nii.gz"),
    Command("models list", "segdesk.cli.models", "list_", "segdesk models list"),
    Command("models show", "segdesk.cli.models", "show", "segdesk models show hippocampus-unet3d"),
    Command("models verify", "segdesk.cli.models", "verify", "segdesk models verify hippocampus-unet3d"),
    Command(
        "models import",
        "segdesk.cli.model_exchange",
        "import_",
        "segdesk models import spleen_ct_segmentation.zip --name spleen --contract spleen.toml",
    ),
    Command(
        "models export",
        "segdesk.cli.model_exchange",
        "export",
        "segdesk models export hippocampus-unet3d hippocampus.onnx",
    ),
    Command(
        "predict",
        "segdesk.cli.predict",
        "predict",
        "segdesk predict scan.nii.gz mask.nii.gz --model hippocampus-unet3d",
    ),
    Command("cache info", "segdesk.cli.cache", "info", "segdesk cache info"),
    Command("cache clear", "segdesk.cli.cache", "clear", "segdesk cache clear"),
    Command(
        "explain",
        "segdesk.cli.explain",
        "explain",
        "segdesk explain scan.nii.gz heat.nii.gz --model hippocampus-unet3d --label 1 --method gradcam",
    ),
    Command(
        "evaluate",
        "segdesk.cli.evaluate",
        "evaluate",
        "segdesk evaluate predictions/ references/ --csv scores.csv --report scores.html",
    ),
    Command("agree", "segdesk.cli.agree", "agree", "segdesk agree anna.nii.gz ben.nii.gz carla.nii.gz --json"),
    Command(
        "consensus",
        "segdesk.cli.consensus",
        "consensus",
        "segdesk consensus anna.nii.gz ben.nii.gz carla.nii.gz --out agreed.nii.gz --method staple",
    ),
    Command("project create", "segdesk.cli.project", "create", "segdesk project create study/ --name 'Liver study'"),
    Command("project add", "segdesk.cli.project", "add", "segdesk project add study/ scan1.nii.gz dicom-folder/"),
    Command("project status", "segdesk.cli.project", "status", "segdesk project status study/ --json"),
    Command("project verify", "segdesk.cli.project", "verify", "segdesk project verify study/"),
    Command(
        "train", "segdesk.cli.train", "train", "segdesk train --data Task04_Hippocampus/ --out my-model/ --steps 5000"
    ),
    Command(
        "finetune",
        "segdesk.cli.train",
        "finetune",
        "segdesk finetune --data corrected/ --model hippocampus-unet3d --out better-model/",
    ),
    Command("bench", "segdesk.cli.bench", "bench", "segdesk bench startup"),
)
"""Every command of this program."""

GROUPS = frozenset(each.group for each in CATALOGUE)
"""First words that are commands even when a file is called the same (``./demo`` opens the file)."""
