"""Foreign models made to do harm: each is refused with one clear line, and none leaves a trace."""

from __future__ import annotations

import builtins
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from segdesk.errors import BadModelFolder, ImportRefused, SegdeskError, UsageError
from segdesk.nn.importing_read import read_checkpoint
from segdesk.zoo.foreign.torch_file import check_torch_file
from tests.nn.foreign import METADATA, Import, bundle, inference, small_unet

CANARY = "executed"


class Call:
    """A pickle that calls something."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self._call


def weights() -> dict[str, Any]:
    return dict(small_unet().state_dict())


def with_tensor(name: str, tensor: object) -> dict[str, Any]:
    return {**weights(), name: tensor}


def first_name() -> str:
    return next(iter(weights()))


def torch_zip(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def opcodes(*parts: bytes) -> bytes:
    """A torch archive around hand-written pickle instructions."""
    return torch_zip({"archive/data.pkl": b"\x80\x02" + b"".join(parts) + b".", "archive/version": b"3\n"})


def saved(content: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def promised(numel: int, shape: tuple[int, ...]) -> bytes:
    """A checkpoint whose pickle promises more numbers than its storage holds."""
    content = pickle_of_tensor("FloatStorage", numel, shape)
    return torch_zip({"archive/data.pkl": content, "archive/version": b"3\n", "archive/data/0": b"\0" * 16})


def pickle_of_tensor(storage: str, numel: int, shape: tuple[int, ...], stride: int = 0) -> bytes:
    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def number(value: int) -> bytes:
        content = value.to_bytes(8, "little", signed=True)
        return b"\x8a" + bytes([len(content)]) + content

    def row(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(number(value) for value in values) + b"t"

    persistent = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text("0") + text("cpu") + number(numel)
    arguments = b"(" + persistent + b"tQK\x00" + row(shape) + row((stride,) * len(shape)) + b"\x89ccollections\n"
    arguments += b"OrderedDict\n)Rt"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"
    return b"\x80\x02}" + text(first_name()) + tensor + b"s."


def scripted() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), buffer)
    return buffer.getvalue()


def legacy_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        content = pickle.dumps(Call(os.mkdir, CANARY), protocol=2)
        entry = tarfile.TarInfo("pickle")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def duplicate_entries() -> bytes:
    inner = {"archive/data.pkl": pickle.dumps({}, protocol=2), "archive/version": b"3"}
    return torch_zip({**inner, "archive/DATA.PKL": pickle.dumps(Call(os.mkdir, CANARY))})


STATE_DICTS: dict[str, Callable[[], bytes]] = {
    "os.system in a state dict": lambda: saved(with_tensor("x", Call(os.system, f"mkdir {CANARY}"))),
    "os.mkdir in place of everything": lambda: saved(Call(os.mkdir, CANARY)),
    "builtins.eval": lambda: saved(Call(eval, f"__import__('os').mkdir({CANARY!r})")),
    "builtins.exec": lambda: saved(Call(exec, f"import os; os.mkdir({CANARY!r})")),
    "builtins.getattr": lambda: saved(with_tensor("x", Call(builtins.getattr, 1, "real"))),
    "subprocess.Popen": lambda: saved(Call(subprocess.Popen, ["mkdir", CANARY])),
    "torch.hub.load": lambda: saved(Call(torch.hub.load, "someone/something", "model")),
    "torch.load of another file": lambda: saved(Call(torch.load, "other.pt")),
    "numpy reconstruct": lambda: saved(with_tensor("x", np.array([1.0, 2.0]))),
    "numpy array of objects": lambda: saved(with_tensor("x", np.array([Call(os.mkdir, CANARY)], dtype=object))),
    "a whole network": lambda: saved(torch.nn.Linear(2, 2)),
    "a pickle without torch": lambda: pickle.dumps(Call(os.mkdir, CANARY)),
    "a pickle of protocol 0": lambda: pickle.dumps(Call(os.mkdir, CANARY), protocol=0),
    "the format before 1.6": lambda: saved(weights(), _use_new_zipfile_serialization=False),
    "a tar of the oldest format": legacy_tar,
    "TorchScript": scripted,
    "a zip in a zip": lambda: torch_zip({"archive/data.pkl": saved(Call(os.mkdir, CANARY))}),
    "a zip of other files": lambda: torch_zip({"archive/__init__.py": b"import os", "archive/data.pkl": b"."}),
    "a zip beside its root": lambda: torch_zip({"../archive/data.pkl": b"."}),
    "a compressed archive": lambda: torch_zip({"archive/data.pkl": b"\0" * 10**6}, zipfile.ZIP_DEFLATED),
    "two entries of one name": duplicate_entries,
    "a global by STACK_GLOBAL": lambda: opcodes(b"\x8c\x02os\x8c\x05mkdir\x93", b"\x8c\x08executed\x85R"),
    "a global by INST": lambda: opcodes(b"(X\x08\x00\x00\x00executedios\nmkdir\n"),
    "an extension code": lambda: opcodes(b"\x82\x01"),
    "a global of an allowed module": lambda: opcodes(b"ctorch\nload\nX\x08\x00\x00\x00executed\x85R"),
    "a tensor subclass by name": lambda: opcodes(b"ctorch._tensor\n_rebuild_from_type_v2\n)R"),
    "a pickle cut short": lambda: torch_zip({"archive/data.pkl": b"\x80\x02}X\xff\xff"}),
    "a stack that underflows": lambda: opcodes(b"RRR"),
    "an archive cut short": lambda: saved(weights())[:-200],
    "more numbers than the storage has": lambda: promised(10, (10,)),
    "a tensor of a tebibyte": lambda: promised(4, (2**40,)),
    "a tensor of one number and no stride": lambda: promised(4, (2**20, 2**20, 2**10)),
    "storage of another kind": lambda: torch_zip(
        {"archive/data.pkl": pickle_of_tensor("ComplexFloatStorage", 2, (2,)), "archive/data/0": b"\0" * 16}
    ),
    "no state dict": lambda: saved([1, 2, 3]),
    "an empty dict": lambda: saved({}),
    "names that are no text": lambda: saved({3: torch.zeros(2)}),
    "two state dicts": lambda: saved({"model": weights(), "state_dict": weights()}),
    "NaN": lambda: saved(with_tensor(first_name(), torch.full_like(weights()[first_name()], float("nan")))),
    "infinity": lambda: saved(with_tensor(first_name(), torch.full_like(weights()[first_name()], float("inf")))),
    "a tensor of another shape": lambda: saved(with_tensor(first_name(), torch.zeros(7))),
    "a tensor of whole numbers": lambda: saved(with_tensor(first_name(), weights()[first_name()].long())),
    "a tensor of complex numbers": lambda: saved(with_tensor(first_name(), weights()[first_name()] + 0j)),
    "a sparse tensor": lambda: saved(with_tensor(first_name(), torch.eye(3).to_sparse())),
    "a quantised tensor": lambda: saved(
        with_tensor(first_name(), torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8))
    ),
    "a tensor without content": lambda: saved(with_tensor(first_name(), torch.zeros(3, device="meta"))),
    "a tensor too many": lambda: saved(with_tensor("x.weight", torch.zeros(1))),
    "a tensor too few": lambda: saved({k: v for k, v in weights().items() if k != first_name()}),
    "a name of control characters": lambda: saved(with_tensor("\x1b[2J\n\u202e", torch.zeros(1))),
    "a name of 100,000 letters": lambda: saved(with_tensor("a" * 100_000, torch.zeros(1))),
    "attributes on a dict": lambda: saved(_dict_with_attributes()),
    "an empty file": lambda: b"",
    "text": lambda: b"hello",
}


def _dict_with_attributes() -> OrderedDict[str, Any]:
    state = OrderedDict(weights())
    vars(state)["run"] = Call(os.mkdir, CANARY)
    return state


@pytest.fixture
def nothing_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Work in an empty folder, and tell whether it is still empty."""
    place = tmp_path / "canary"
    place.mkdir()
    monkeypatch.chdir(place)
    return lambda: not any(place.iterdir())


def _refused(call: Callable[[], object], nothing_ran: Callable[[], bool]) -> SegdeskError:
    with pytest.raises((ImportRefused, BadModelFolder, UsageError)) as caught:
        call()
    assert nothing_ran()
    error = caught.value
    assert error.code in {"import_refused", "bad_model", "usage", "contract_incomplete", "out_of_memory"}
    assert len(error.message) < 500
    assert error.message.isprintable()
    return error


@pytest.mark.filterwarnings("ignore:.*(deprecated|TypedStorage|jit|quantiz|Sparse).*")
@pytest.mark.parametrize("kind", STATE_DICTS)
def test_weights_that_are_more_or_less_than_weights_are_refused(
    kind: str, tmp_path: Path, nothing_ran: Callable[[], bool], import_here: Import
) -> None:
    source = bundle(tmp_path / "b")
    (source / "models" / "model.pt").write_bytes(STATE_DICTS[kind]())
    _refused(lambda: import_here(source), nothing_ran)
    assert not (tmp_path / "imported").exists()


def _config(**changes: Any) -> Callable[[Path], None]:
    def write(source: Path) -> None:
        (source / "configs" / "inference.json").write_text(json.dumps(inference(**changes)))

    return write


def _network(**changes: Any) -> Callable[[Path], None]:
    return _config(network_def={**inference()["network_def"], **changes})


def _metadata(**changes: Any) -> Callable[[Path], None]:
    def write(source: Path) -> None:
        (source / "configs" / "metadata.json").write_text(json.dumps({**METADATA, **changes}))

    return write


def _raw(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda source: _overwrite(source / name, content)


def _overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _link(name: str) -> Callable[[Path], None]:
    def link(source: Path) -> None:
        path = source / name
        target = source.parent / "outside"
        path.rename(target)
        path.symlink_to(target)

    return link


def _only_torchscript(source: Path) -> None:
    (source / "models" / "model.pt").unlink()
    (source / "models" / "model.ts").write_bytes(b"PK")


_RUN = f"$__import__('os').mkdir('{CANARY}')"

BUNDLES: dict[str, Callable[[Path], None]] = {
    "expression as the network": _config(network_def={"_target_": _RUN}),
    "expression as a number of the network": _network(in_channels=_RUN),
    "expression deep in the network": _network(norm=["batch", {"affine": _RUN}]),
    "expression as a name": _network(**{_RUN: 1}),
    "reference in the network": _network(out_channels="@number"),
    "macro in the network": _network(channels="%/etc/passwd::x"),
    "os.system as the network": _config(network_def={"_target_": "os.system", "command": f"mkdir {CANARY}"}),
    "a network of somebody's": _config(network_def={"_target_": "scripts.net.Net"}),
    "an object to be made in the network": _network(act={"_target_": "os.mkdir", "path": CANARY}),
    "a required call": _network(_requires_=_RUN),
    "a call instead of an object": _network(_mode_="callable"),
    "no name of a network": _config(network_def={"spatial_dims": 3}),
    "a network of four dimensions": _network(spatial_dims=4),
    "a negative width": _network(channels=[-2, 4, 6]),
    "a width of a billion": _network(channels=[2, 4, 10**9]),
    "an activation of somebody's": _network(act="os.system"),
    "a norm option of somebody's": _network(norm=["batch", {"hook": "x"}]),
    "another network's own builder": _config(
        network_def={"_target_": "segdesk.nn.bundle_network.build", "name": "os.system", "dimensions": 3,
                     "in_channels": 1, "out_channels": 3, "parameters": {}}),
    "the own builder with text for numbers": _config(
        network_def={"_target_": "segdesk.nn.bundle_network.build", "name": "unet", "dimensions": "3"}),
    "a table nested a thousand deep": _raw("configs/inference.json", b'{"a":' * 900 + b"1" + b"}" * 900),
    "brackets without end": _raw("configs/metadata.json", b"[" * 200_000),
    "a key twice": _raw("configs/inference.json", b'{"network_def": {}, "network_def": {}}'),
    "NaN in the metadata": _raw("configs/metadata.json", b'{"version": NaN}'),
    "metadata that is a list": _raw("configs/metadata.json", b"[]"),
    "metadata that is no text": _raw("configs/metadata.json", b"\xff\xfe\x00"),
    "a contract in the metadata that says nonsense": _metadata(segdesk={"name": "../../etc"}),
    "a contract in the metadata with code": _metadata(segdesk={"run": _RUN}),
    "weights behind a link": _link("models/model.pt"),
    "metadata behind a link": _link("configs/metadata.json"),
    "configurations behind a link": _link("configs"),
    "TorchScript alone": _only_torchscript,
    "no weights": lambda source: (source / "models" / "model.pt").unlink(),
    "channels that do not fit": _network(in_channels=2, out_channels=5),
}  # fmt: skip


@pytest.mark.parametrize("kind", BUNDLES)
def test_a_bundle_that_would_run_something_or_lies_is_refused(
    kind: str, tmp_path: Path, nothing_ran: Callable[[], bool], import_here: Import
) -> None:
    source = bundle(tmp_path / "b")
    BUNDLES[kind](source)
    _refused(lambda: import_here(source), nothing_ran)


def test_expressions_beside_what_is_read_are_never_evaluated(
    tmp_path: Path, nothing_ran: Callable[[], bool], import_here: Import
) -> None:
    hostile = {"imports": ["$import os", _RUN], "run": [_RUN], "device": _RUN, "initialize": [_RUN]}
    source = bundle(tmp_path / "b", config=inference(**hostile, evaluator={"_target_": "os.mkdir", "path": CANARY}))
    (source / "scripts").mkdir()
    (source / "scripts" / "__init__.py").write_text(f"import os; os.mkdir({CANARY!r})")
    (source / "sitecustomize.py").write_text(f"import os; os.mkdir({CANARY!r})")
    import_here(source)
    assert nothing_ran()


@pytest.mark.parametrize("suffix", [".ts", ".pkl", ".onnx", ".txt", ".py", ""])
def test_files_of_other_kinds_are_refused_unopened(
    suffix: str, tmp_path: Path, nothing_ran: Callable[[], bool], import_here: Import
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Call(os.mkdir, CANARY)))
    _refused(lambda: import_here(path), nothing_ran)


def test_a_safetensors_file_that_is_a_pickle_is_refused(
    tmp_path: Path, nothing_ran: Callable[[], bool], import_here: Import
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Call(os.mkdir, CANARY)) + b"x" * 64)
    error = _refused(lambda: import_here(path), nothing_ran)
    assert "pickle" in error.message


def test_two_names_of_one_tensor_cannot_differ(tmp_path: Path, import_here: Import) -> None:
    from monai.networks.nets import DynUNet

    numbers: dict[str, Any] = {
        "kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [2, 4, 4],
    }  # fmt: skip
    network = DynUNet(3, 1, 3, **numbers)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    twin = next(name for name in state if name.startswith("skip_layers."))
    state[twin] += 1
    definition = {"_target_": "DynUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, **numbers}
    source = bundle(tmp_path / "b", state, config=inference(network_def=definition))
    with pytest.raises(ImportRefused, match="twice with different numbers"):
        import_here(source)


@pytest.mark.parametrize("kind", ["os.system in a state dict", "builtins.eval", "a global of an allowed module"])
def test_torchs_own_lock_holds_without_our_look_before_it(
    kind: str, tmp_path: Path, nothing_ran: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdesk.nn.importing_read.check_torch_file", lambda _: None)
    path = tmp_path / "model.pt"
    path.write_bytes(STATE_DICTS[kind]())
    _refused(lambda: read_checkpoint(path, None), nothing_ran)


@pytest.mark.parametrize("kind", ["os.system in a state dict", "numpy reconstruct", "a whole network"])
def test_what_a_pickle_would_call_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(STATE_DICTS[kind]())
    with pytest.raises(ImportRefused, match=r"system|_reconstruct|Linear"):
        check_torch_file(path)


def test_a_checkpoint_with_a_log_of_numpy_numbers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"network_weights": weights(), "log": [np.float64(0.5), np.float32(1)]}, path)
    assert read_checkpoint(path, None).tensors.keys() == weights().keys()


def test_links_to_weights_are_refused(tmp_path: Path, import_here: Import) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "real.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "real.pt")
    for suffix in (".safetensors", ".pt"):
        link = tmp_path / f"link{suffix}"
        link.symlink_to(tmp_path / f"real{suffix}")
        with pytest.raises((ImportRefused, BadModelFolder), match="link"):
            import_here(link)


def test_a_child_that_needs_too_much_memory_is_refused_and_not_killed(tmp_path: Path) -> None:
    limits = "segdesk.nn.importing_limits"
    code = (
        f"import {limits} as limits; limits.MEMORY_BASE_BYTES = 1 << 28; import torch; limits.limit_this_process(0)\n"
        "try:\n    torch.zeros(1 << 30)\nexcept RuntimeError as exc:\n    print('refused', 'memory' in str(exc))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused True"
