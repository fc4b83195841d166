"""The classic U-Net with random weights, as a model folder: ``python -m segdesk.nn.untrained FOLDER``.

It shows the two-dimensional path of the program where no trained model is at
hand. Its masks mean nothing, and model.json, card and title say so.
"""

from __future__ import annotations

import sys
from pathlib import Path

import safetensors.torch
import torch

from segdesk.core.labels import PALETTE
from segdesk.nn.networks.registry import network_of
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, LabelSpec, ModelSpec, NetworkSpec, Normalisation
from segdesk.zoo.writer import write_model_folder

_CARD = """# {name}

The U-Net of 2015 (Ronneberger et al.) with **random weights**. It has learned nothing and segments nothing; it is
there to show that a single image takes the same path through segdesk as a volume. Not a medical device.
"""


def write_untrained(folder: Path, *, width: int = 16, seed: int = 0) -> ModelFolder:
    """Write an untrained classic U-Net for one grey channel and one label.

    Parameters
    ----------
    folder : Path
        New model folder.
    width : int
        Channels of the first stage (64 in the paper; 16 is quick on a CPU).
    seed : int
        The same weights every time.

    Raises
    ------
    WriteError
        If the folder exists or cannot be written.
    """
    spec = ModelSpec(
        name=folder.name,
        title="Classic 2D U-Net, untrained",
        dimensions=2,
        network=NetworkSpec(name="classic_unet", parameters={"width": width, "depth": 4}),
        channels=(Channel(name="image", normalisation=Normalisation(kind="percentiles", low=0.5, high=99.5)),),
        labels=(LabelSpec(value=1, name="untrained output", colour_rgb=PALETTE[0]),),
        patch_kji=(1, 388, 388),
        weights_sha256="0" * 64,
        untrained=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = network_of(spec)
    weights = safetensors.torch.save(dict(network.state_dict()))
    return write_model_folder(folder, spec, weights, _CARD.format(name=folder.name))


if __name__ == "__main__":
    write_untrained(Path(sys.argv[1]))
