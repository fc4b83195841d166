"""The child that opens foreign weights: ``python -m segdesk.nn.importing FOLDER``.

It is started by `segdesk.workers.model_import` with a ``job.json`` in the folder, and leaves
``result.json`` and, where all went well, ``weights.safetensors`` there. It limits its own
memory and time before it opens the file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segdesk.errors import ImportRefused, SegdeskError
from segdesk.nn.device import is_out_of_memory
from segdesk.nn.importing_limits import limit_this_process
from segdesk.nn.importing_names import in_our_axes, names_of_nnunet, without_training_heads, without_wrapper
from segdesk.nn.importing_read import Checkpoint, read_checkpoint
from segdesk.nn.loaded_model import windows_of
from segdesk.nn.networks.ensemble import joined_weights
from segdesk.nn.networks.registry import network_of
from segdesk.zoo.foreign.conversion import OUTPUT_NAME, ConversionJob, ConversionResult, read_job, write_result
from segdesk.zoo.foreign.found import one_line
from segdesk.zoo.spec import FLIP_AXES, FlipAxis, ModelSpec
from segdesk.zoo.weights_header import MAX_WEIGHT_BYTES


def convert(job: ConversionJob, out: Path) -> ConversionResult:
    """Fit foreign weights into our network and write them as safetensors.

    Every tensor of the network must be there with its shape, and none may be left over; the
    network then answers one small random image. Each file is a network of its own, opened after
    the one before it is closed; several become the members of one model.

    Parameters
    ----------
    job : ConversionJob
        What to open and what it must fit.
    out : Path
        New file.

    Raises
    ------
    ImportRefused, BadModelFolder, ModelError
        If the file holds more than tensors, or they do not fit.
    """
    wanted = _shapes_of(job.spec)
    parts = [_member(job, path, wanted) for path in job.weights]
    joined = joined_weights([part.network.state_dict() for part in parts])
    # Some networks name a tensor twice; safetensors stores each name on its own.
    save_file({name: tensor.clone().contiguous() for name, tensor in joined.items()}, out)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return ConversionResult(tensors=len(joined), notes=notes, flip_axes=_common_axes(parts))


@dataclass(frozen=True, slots=True)
class _Member:
    """One network with its weights, and what its file said of it."""

    network: nn.Module
    notes: tuple[str, ...]
    flip_axes: tuple[FlipAxis, ...] | None


def _member(job: ConversionJob, path: Path, wanted: Mapping[str, Tensor]) -> _Member:
    """Fit one file into one network, which answers then."""
    checkpoint = read_checkpoint(path, job.state_dict)
    _check_words(job, path, checkpoint)
    foreign = dict(in_our_axes(_named(job, checkpoint.tensors, wanted), job.axes))
    _check_fit(foreign, wanted, job.spec)
    network = _filled(foreign, job.spec)
    _check_answer(network, job.spec)
    return _Member(network, _notes(checkpoint), _flip_axes(job, checkpoint))


def _common_axes(parts: Sequence[_Member]) -> tuple[FlipAxis, ...] | None:
    """Return the axes along which every network was mirrored; None where one does not say."""
    said = [part.flip_axes for part in parts]
    if any(axes is None for axes in said):
        return None
    return tuple(axis for axis in FLIP_AXES if all(axis in (axes or ()) for axes in said))


def _single(spec: ModelSpec) -> ModelSpec:
    """Return the model as if it had one network."""
    return spec.model_copy(update={"members": 1})


def _named(job: ConversionJob, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under our names."""
    if job.names == "nnunet":
        return names_of_nnunet(without_wrapper(tensors, job.prefix), job.spec)
    named = without_wrapper(tensors, job.prefix, wanted)
    return without_training_heads(named) if job.spec.network.name == "dyn_unet" else named


def _check_words(job: ConversionJob, path: Path, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that says of itself that it is another one."""
    words = checkpoint.words.get("init_args")
    for key, value in job.expected:
        said = words.get(key) if isinstance(words, Mapping) else None
        if isinstance(said, str) and said != value:
            raise ImportRefused(
                f"The checkpoint is one of {key} {one_line(said, 40)!r}, the folder says {value[:40]!r}; "
                f"declare the {key} in a contract file.",
                path=path,
            )


def _notes(checkpoint: Checkpoint) -> tuple[str, ...]:
    trainer = checkpoint.words.get("trainer_name")
    return (f"Trained by {one_line(trainer, 100)}.",) if isinstance(trainer, str) else ()


def _flip_axes(job: ConversionJob, checkpoint: Checkpoint) -> tuple[FlipAxis, ...] | None:
    """Return the axes an nnU-Net was mirrored along in training; None where it does not say."""
    said = checkpoint.words.get("inference_allowed_mirroring_axes")
    if job.names != "nnunet" or not isinstance(said, list | tuple):
        return None
    ours = {job.axes[axis] for axis in said if type(axis) is int and 0 <= axis < len(job.axes)}
    return tuple(FLIP_AXES[3 - len(job.axes) + axis] for axis in sorted(ours))


def _shapes_of(spec: ModelSpec) -> dict[str, Tensor]:
    """Return the network's tensors without content: nothing is allocated before all shapes fit."""
    with torch.device("meta"):
        wanted = network_of(_single(spec)).state_dict()
    size = sum(tensor.numel() * tensor.element_size() for tensor in wanted.values())
    if size * spec.members > MAX_WEIGHT_BYTES:
        raise ImportRefused(f"The network would have more than {MAX_WEIGHT_BYTES >> 30} GiB of weights.")
    return wanted


def _check_fit(foreign: Mapping[str, Tensor], wanted: Mapping[str, Tensor], spec: ModelSpec) -> None:
    """Refuse tensors that are missing, left over, or of another shape or kind."""
    missing, extra = sorted(set(wanted) - set(foreign)), sorted(set(foreign) - set(wanted))
    if missing or extra:
        parts = [f"{len(missing)} missing (first {missing[0][:60]!r})"] if missing else []
        parts += [f"{len(extra)} left over (first {one_line(extra[0], 60)!r})"] if extra else []
        raise _no_fit(spec, " and ".join(parts))
    for name, tensor in foreign.items():
        shape = tuple(wanted[name].shape)
        if tuple(tensor.shape) != shape:
            raise _no_fit(spec, f"{name[:60]!r} has the shape {tuple(tensor.shape)} instead of {shape}")
        if tensor.is_floating_point() != wanted[name].is_floating_point():
            raise _no_fit(spec, f"{name[:60]!r} holds {str(tensor.dtype).removeprefix('torch.')} numbers")


def _filled(foreign: Mapping[str, Tensor], spec: ModelSpec) -> nn.Module:
    """Return the network with the weights in it, each of them checked."""
    network = network_of(_single(spec)).eval().requires_grad_(requires_grad=False)
    network.load_state_dict(foreign, strict=True)
    for name, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise ImportRefused(f"The weights hold NaN or infinite numbers ({name[:60]!r}).")
        # Where two names share one tensor of the network, a file can give them different numbers.
        if not bool(torch.equal(tensor, foreign[name].to(tensor.dtype))):
            raise ImportRefused(f"Tensor {name[:60]!r} is given twice with different numbers.")
    return network


@torch.inference_mode()
def _check_answer(network: nn.Module, spec: ModelSpec) -> None:
    """Let the network answer the smallest image of two cells along each axis."""
    window, margin, divisor = windows_of(network, spec)
    smallest = tuple(min(w, 2 * d) if m == 0 else w for w, m, d in zip(window, margin, divisor, strict=True))
    size = [n + 2 * m for n, m in zip(smallest, margin, strict=True)][3 - spec.dimensions :]
    image = torch.randn((1, spec.input_channels, *size), generator=torch.Generator().manual_seed(0))
    answer = network(image)
    wanted = (1, len(spec.label_values), *smallest[3 - spec.dimensions :])
    if tuple(answer.shape) != wanted or not bool(torch.isfinite(answer).all()):
        raise ImportRefused(f"The network answers {tuple(answer.shape)} instead of {wanted}, or with NaN.")


def _no_fit(spec: ModelSpec, why: str) -> ImportRefused:
    return ImportRefused(
        f"The weights do not fit {spec.network.name!r} with {spec.input_channels} channel(s) and "
        f"{len(spec.labels)} label(s): {why}."
    )


def run(folder: Path) -> ConversionResult:
    """Do the job of a folder; every failure becomes a result."""
    try:
        job = read_job(folder)
        limit_this_process(sum(path.stat().st_size for path in job.weights))
        return convert(job, folder / OUTPUT_NAME)
    except SegdeskError as exc:
        return ConversionResult(error=exc.to_json())
    except (MemoryError, RuntimeError, ValueError, OSError) as exc:
        if isinstance(exc, MemoryError) or is_out_of_memory(exc):
            return _failed("out_of_memory", "The file asks for far more memory than its size explains; it is refused.")
        return _failed("import_refused", f"The weights cannot be used: {one_line(exc, 160)}.")


def _failed(code: str, message: str) -> ConversionResult:
    return ConversionResult(error={"code": code, "message": message, "path": None})


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m segdesk.nn.importing FOLDER``; 0 when weights were written, 2 when refused."""
    folder = Path((sys.argv[1:] if argv is None else argv)[0])
    torch.set_num_threads(1)
    result = run(folder)
    write_result(result, folder)
    return 0 if result.error is None else 2


if __name__ == "__main__":
    sys.exit(main())
