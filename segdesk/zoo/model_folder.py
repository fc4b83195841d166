"""Model folders: ``model.json``, ``weights.safetensors``, ``MODEL_CARD.md``; read without torch, nothing executed."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from segdesk.errors import BadModelFolder
from segdesk.zoo.plain_json import parse_json
from segdesk.zoo.problem import first_problem
from segdesk.zoo.spec import FORMAT_VERSION, ModelSpec
from segdesk.zoo.weights_header import TensorEntry, read_weights_header

SPEC_NAME = "model.json"
WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "MODEL_CARD.md"

MAX_SPEC_BYTES = 32 << 20
"""Two hashes a case: room for more than 100,000 training cases."""

MAX_ENTRIES = 256
"""A model folder holds a handful of files; more is something else."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A checked model folder.

    Parameters
    ----------
    path : Path
        The folder.
    spec : ModelSpec
        What ``model.json`` says.
    tensors : tuple of TensorEntry
        Names and shapes of the weights, from the file's header.
    """

    path: Path
    spec: ModelSpec
    tensors: tuple[TensorEntry, ...]

    @classmethod
    def load(cls, path: Path | str) -> ModelFolder:
        """Read and check a model folder; the weights' header only, not their hash.

        Raises
        ------
        BadModelFolder
            If anything is missing, damaged or not allowed.
        """
        folder = Path(path)
        _check_entries(folder)
        spec = _read_spec(folder / SPEC_NAME)
        return cls(folder, spec, read_weights_header(folder / WEIGHTS_NAME))

    @property
    def weights_path(self) -> Path:
        """The file of the weights."""
        return self.path / WEIGHTS_NAME

    @property
    def card_path(self) -> Path:
        """The model card, in Markdown."""
        return self.path / CARD_NAME

    @property
    def sha256(self) -> str:
        """The hash of the weights as ``model.json`` gives it; `verify` holds the file against it."""
        return self.spec.weights_sha256

    @property
    def parameter_count(self) -> int:
        """How many numbers the weights hold."""
        total = 0
        for tensor in self.tensors:
            size = 1
            for length in tensor.shape:
                size *= length
            total += size
        return total

    def verify(self) -> None:
        """Hash the weights and compare; raises BadModelFolder when they are not those of ``model.json``."""
        self.check_hash(sha256_of_file(self.weights_path))

    def check_hash(self, weights_sha256: str) -> None:
        """Raise BadModelFolder unless the hash is that of ``model.json``."""
        if weights_sha256 != self.sha256:
            raise BadModelFolder(
                f"The weights of {self.spec.identity} are not those its model.json names "
                f"(sha256 {weights_sha256[:12]} instead of {self.sha256[:12]}); get the folder again.",
                path=self.path,
            )


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_entries(folder: Path) -> None:
    """Refuse a folder with links, devices, too many files, or without its parts."""
    if not folder.is_dir():
        raise BadModelFolder(f"There is no model folder {folder.name!r} here; check the name.", path=folder)
    try:
        entries = {entry.name: entry for _, entry in zip(range(MAX_ENTRIES + 1), folder.iterdir(), strict=False)}
        modes = {name: entry.lstat().st_mode for name, entry in entries.items()}
    except OSError as exc:
        raise BadModelFolder(f"The model folder cannot be read ({exc.strerror}).", path=folder) from exc
    if len(entries) > MAX_ENTRIES:
        raise BadModelFolder(f"More than {MAX_ENTRIES} files: {folder.name!r} is no model folder.", path=folder)
    odd = [name for name, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))]
    if odd:
        raise BadModelFolder(f"The model folder holds a link or device ({odd[0][:60]!r}) and is refused.", path=folder)
    for name in (SPEC_NAME, WEIGHTS_NAME):
        if not stat.S_ISREG(modes.get(name, 0)):
            raise BadModelFolder(f"{folder.name!r} is no model folder: {name} is missing.", path=folder)


def _read_spec(path: Path) -> ModelSpec:
    """Parse and check ``model.json``."""
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise BadModelFolder(f"{SPEC_NAME} is larger than {MAX_SPEC_BYTES >> 20} MiB and is refused.", path=path)
        text = path.read_bytes()
    except OSError as exc:
        raise BadModelFolder(f"{SPEC_NAME} cannot be read ({exc.strerror}).", path=path) from exc
    plain = parse_json(text, SPEC_NAME)
    version = plain.get("format_version", FORMAT_VERSION) if isinstance(plain, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise BadModelFolder("The model was written by a newer segdesk; update segdesk.", path=path)
    try:
        return ModelSpec.model_validate_json(text, strict=True)
    except ValidationError as exc:
        raise BadModelFolder(f"{SPEC_NAME} is not valid: {first_problem(exc)}.", path=path) from exc
