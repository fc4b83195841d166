"""Where the sample image is."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from segdesk.errors import MissingExtra

_FILE = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def sample_image() -> Path:
    """Return the MNI152 T1 template that nilearn's wheel carries; nilearn itself is not imported.

    Raises
    ------
    MissingExtra
        If nilearn, or the file in it, is not there.
    """
    spec = find_spec("nilearn")
    for folder in [] if spec is None else spec.submodule_search_locations or []:
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    raise MissingExtra("The sample is the brain template of nilearn, which is not there: pip install nilearn")
