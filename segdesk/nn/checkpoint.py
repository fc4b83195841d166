"""Training states on disk: safetensors and a JSON manifest, the last two kept, never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from segdesk.io.atomic import replace_file

MANIFEST = "checkpoint.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training state.

    Parameters
    ----------
    step : int
        Steps done.
    tensors : mapping of str to Tensor
        Weights, averaged weights, best weights, optimiser moments, by dotted name.
    numbers : mapping
        JSON-able: seconds spent, best score, history.
    """

    step: int
    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


def save_checkpoint(folder: Path, state: Checkpoint, run_id: str) -> None:
    """Write a state beside the one before; the manifest names both, and is replaced last.

    Parameters
    ----------
    folder : Path
        The run's own folder; it is created.
    state : Checkpoint
        What to keep.
    run_id : str
        Hash of everything the run depends on; only the same run resumes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    payload = save({name: tensor.contiguous() for name, tensor in state.tensors.items()})
    name = f"state-{state.step:08d}.safetensors"
    _write(folder / name, payload)
    entry = {
        "file": name,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "step": state.step,
        "numbers": dict(state.numbers),
    }
    kept = [each for each in _entries(folder, run_id) if each["file"] != name][:1]
    text = json.dumps({"run_id": run_id, "states": [entry, *kept]})
    _write(folder / MANIFEST, text.encode())
    names = {each["file"] for each in (entry, *kept)}
    for old in folder.glob("state-*.safetensors"):
        if old.name not in names:
            old.unlink(missing_ok=True)


def load_checkpoint(folder: Path, run_id: str) -> Checkpoint | None:
    """Return the newest whole state of this run; a truncated or damaged one is passed over.

    None when there is none, or the folder holds another run's.
    """
    for entry in _entries(folder, run_id):
        try:
            payload = (folder / entry["file"]).read_bytes()
            if hashlib.sha256(payload).hexdigest() == entry["sha256"]:
                return Checkpoint(int(entry["step"]), load(payload), entry["numbers"])
        except (OSError, SafetensorError, KeyError):
            continue
    return None


def _write(path: Path, content: bytes) -> None:
    def put(partial: Path) -> None:
        partial.write_bytes(content)

    replace_file(path, put, overwrite=True)


def _entries(folder: Path, run_id: str) -> list[dict[str, Any]]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        states = manifest["states"] if manifest["run_id"] == run_id else []
        return [each for each in states if Path(each["file"]).name == each["file"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
