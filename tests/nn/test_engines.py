"""ONNX Runtime, OpenVINO and bf16 draw torch's mask; which of them runs is decided by rules that are tested here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from segdesk.core.geometry import Geometry
from segdesk.core.prediction import EngineChoice, Precision, Prediction, PredictOptions, Uncertainty
from segdesk.core.progress import Cancelled, silent
from segdesk.core.volume import Volume
from segdesk.errors import MissingExtra, ModelError, UsageError
from segdesk.nn import loaded_model
from segdesk.nn.engines import choice, converted
from segdesk.nn.engines.agreement import agreement, middle_window
from segdesk.nn.engines.choice import Job, choose
from segdesk.nn.engines.converted import OnnxRuntimeRunner, OpenVinoRunner, convert
from segdesk.nn.engines.runner import CPU, Runner, TorchRunner, computes_bf16
from segdesk.nn.exporting_onnx import as_onnx
from segdesk.nn.loaded_model import LoadedModel, load_model
from segdesk.nn.networks.ensemble import joined_weights
from segdesk.nn.networks.registry import network_of
from segdesk.nn.predict import predict
from segdesk.nn.window_cost import window_cost
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import NetworkSpec
from segdesk.zoo.writer import write_model_folder
from tests.nn.foreign import unsettled
from tests.nn.toys import classic_model, save_model, threshold_model, toy_spec

torch.set_num_threads(1)

CONVERTED = (EngineChoice.ONNXRUNTIME, EngineChoice.OPENVINO)
ALLOWED = {"bf16": {"largest_change": 0.0004}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFolder]:
    """One of each kind: padded with norms in 3D, valid convolutions in 2D, and an ensemble of these."""
    folder = tmp_path_factory.mktemp("models")
    spec = toy_spec(network=NetworkSpec(name="residual_unet", parameters={"widths": [2, 4]}), flip_axes=("k", "j", "i"))
    torch.manual_seed(2)
    residual = save_model(folder / "residual", spec, unsettled(network_of(spec)))
    classic = classic_model(folder / "classic", flip_axes=("j", "i"))
    torch.manual_seed(4)
    members = [network_of(classic.spec).eval().state_dict() for _ in range(2)]
    joined = classic.spec.model_copy(update={"members": 2})
    weights = {name: tensor.contiguous() for name, tensor in joined_weights(members).items()}
    ensemble = write_model_folder(folder / "ensemble", joined, save(weights), "# Two\n")
    return {"residual": residual, "classic": classic, "ensemble": ensemble}


@pytest.fixture(autouse=True)
def no_network_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timings and conversions live as long as a network is warm; writing ONNX takes seconds, once is enough."""
    monkeypatch.setattr("segdesk.nn.predict.warm_models", loaded_model.ModelCache())
    monkeypatch.setattr(converted, "as_onnx", lambda model: _written(model.folder.path))


@cache
def _written(folder: Path) -> bytes:
    return as_onnx(load_model(ModelFolder.load(folder)))


def noise(shape: tuple[int, int, int] = (6, 20, 18)) -> Volume:
    array = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    return Volume(array, Geometry.from_spacing(shape, (2.0, 1.0, 1.0)))


def run(model: ModelFolder, **options: Any) -> Prediction:
    return predict({"image": noise()}, model.path, PredictOptions("cpu", **options), silent)


@pytest.mark.parametrize("name", ["residual", "classic", "ensemble"])
@pytest.mark.parametrize("engine", CONVERTED)
def test_every_engine_gives_torchs_probabilities(
    name: str, engine: EngineChoice, models: dict[str, ModelFolder]
) -> None:
    ours = run(models[name], engine=EngineChoice.TORCH, precision=Precision.FP32, probabilities=True)
    theirs = run(models[name], engine=engine, probabilities=True)
    assert ours.manifest["engine"] == "torch-fp32"
    assert theirs.manifest["engine"] == f"{engine.value}-fp32"
    assert theirs.labels.origin.parameters["engine"] == f"{engine.value}-fp32"
    assert theirs.manifest["software"][engine.value] == version(engine.value)
    np.testing.assert_allclose(theirs.probabilities, ours.probabilities, atol=2e-5)


@pytest.mark.parametrize("engine", CONVERTED)
def test_flips_and_their_spread_work_in_every_engine(engine: EngineChoice, models: dict[str, ModelFolder]) -> None:
    options = {"flips": True, "uncertainty": Uncertainty.FLIPS}
    ours = run(models["residual"], engine=EngineChoice.TORCH, **options)
    theirs = run(models["residual"], engine=engine, **options)
    assert ours.uncertainty.max() > 0
    np.testing.assert_allclose(theirs.uncertainty, ours.uncertainty, atol=2e-5)


@pytest.mark.parametrize("engine", [EngineChoice.TORCH, EngineChoice.OPENVINO])
def test_bf16_draws_nearly_the_same_and_says_what_is_known_of_it(
    engine: EngineChoice, models: dict[str, ModelFolder]
) -> None:
    full = run(models["residual"], engine=EngineChoice.TORCH, precision=Precision.FP32, probabilities=True)
    half = run(models["residual"], engine=engine, precision=Precision.BF16, probabilities=True)
    computed_in = "fp32" if engine is EngineChoice.OPENVINO and not computes_bf16(CPU) else "bf16"
    assert half.manifest["engine"] == f"{engine.value}-{computed_in}"
    assert half.manifest["notes"] == ["How bf16 changes the scores of this model was not measured."]
    difference = np.abs(half.probabilities - full.probabilities)
    assert difference.mean() < 0.01
    if computes_bf16(CPU):
        assert difference.max() > 1e-5


def test_the_distance_of_a_models_scores_in_bf16_is_told(tmp_path: Path) -> None:
    metrics = {"bf16": {"largest_change": 0.004}}
    model = threshold_model(tmp_path / "m", metrics=metrics)
    notes = run(model, precision=Precision.BF16).manifest["notes"]
    assert notes == ["In bf16 this model's own validation Dice moves by 0.0040."]
    calm = threshold_model(tmp_path / "calm", metrics=ALLOWED)
    assert run(calm, precision=Precision.BF16).manifest["notes"] == []


@pytest.mark.parametrize("engine", CONVERTED)
def test_a_missing_package_is_one_error_that_names_the_extra(
    engine: EngineChoice, models: dict[str, ModelFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converted, "find_spec", lambda name: None if name == engine.value else object())
    extra = "onnx" if engine is EngineChoice.ONNXRUNTIME else "openvino"
    with pytest.raises(MissingExtra, match=rf"{engine.value}: pip install 'segdesk\[{extra}\]'"):
        run(models["residual"], engine=engine)


def test_what_an_engine_cannot_do_is_refused(models: dict[str, ModelFolder]) -> None:
    with pytest.raises(UsageError, match="ONNX Runtime computes in fp32"):
        run(models["residual"], engine=EngineChoice.ONNXRUNTIME, precision=Precision.BF16)
    options = PredictOptions("cuda", engine=EngineChoice.OPENVINO)
    with pytest.raises(ModelError, match="runs on the CPU") as caught:
        predict({"image": noise()}, models["residual"].path, options, silent)
    assert caught.value.code == "device_unavailable"


def test_an_engine_that_draws_another_mask_is_refused(
    models: dict[str, ModelFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "convert", lambda model, *_: Fake("openvino-fp32", lambda x: -model.network(x)))
    with pytest.raises(ModelError, match="otherwise than torch") as caught:
        run(models["residual"], engine=EngineChoice.OPENVINO)
    assert caught.value.code == "engine_differs"


def test_a_network_is_converted_and_compared_once(
    models: dict[str, ModelFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def counted(model: LoadedModel, engine: EngineChoice, _: Precision) -> Runner:
        calls.append(engine)
        return Fake("openvino-fp32", model.network)

    def compared(*_: Any) -> float:
        calls.append("compared")
        return 1.0

    monkeypatch.setattr(choice, "convert", counted)
    monkeypatch.setattr(choice, "agreement", compared)
    run(models["residual"], engine=EngineChoice.OPENVINO)
    run(models["residual"], engine=EngineChoice.OPENVINO)
    assert calls == [EngineChoice.OPENVINO, "compared"]


def test_cancelling_works_between_the_windows_of_every_engine(
    models: dict[str, ModelFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "convert", lambda model, *_: Fake("openvino-fp32", model.network))

    def report(done: int, total: int, text: str = "") -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict({"image": noise()}, models["residual"].path, PredictOptions(engine=EngineChoice.OPENVINO), report)


def test_an_engine_that_runs_out_of_memory_leaves_the_work_to_torch(
    models: dict[str, ModelFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def starve(model: LoadedModel, *_: Any) -> Runner:
        runner = Fake("openvino-fp32", model.network)
        runner.breath = 1  # enough for the comparison with torch
        return runner

    monkeypatch.setattr(choice, "convert", starve)
    prediction = run(models["classic"], engine=EngineChoice.OPENVINO)
    assert prediction.manifest["engine"] == "torch-fp32"
    assert [note.split(";")[0] for note in prediction.manifest["notes"]] == [
        "Memory ran out on cpu (openvino-fp32) with 4 window(s) at once",
        "Memory ran out on cpu (openvino-fp32) with 1 window(s) at once",
    ]


def test_memory_that_runs_out_while_engines_are_compared_is_no_failure(
    models: dict[str, ModelFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(choice, "convert", lambda model, *_: Fake("openvino-fp32", model.network, breath=0))
    prediction = run(models["classic"], engine=EngineChoice.OPENVINO)
    assert prediction.manifest["engine"] == "torch-fp32"
    assert "before the run began" in prediction.manifest["notes"][0]
    monkeypatch.setattr(choice, "agreement", broken)
    with pytest.raises(RuntimeError, match="multiplied"):
        run(models["classic"], engine=EngineChoice.OPENVINO)


@pytest.mark.parametrize("kind", [OnnxRuntimeRunner, OpenVinoRunner])
def test_the_engines_own_words_for_lack_of_memory_are_understood(kind: type[Any]) -> None:
    def starve(*_: Any, **__: Any) -> None:
        raise RuntimeError("Failed to allocate memory for requested buffer of size 9000000000")

    runner = object.__new__(kind)
    runner._session = type("Session", (), {"run": starve})()
    runner._compiled = starve
    with pytest.raises(MemoryError):
        runner(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("kind", [OnnxRuntimeRunner, lambda content: OpenVinoRunner(content, Precision.FP32)])
def test_a_network_that_an_engine_does_not_take_is_one_error(kind: Callable[[bytes], Runner]) -> None:
    with pytest.raises(ModelError, match=r"cannot run this network .*use --engine torch"):
        kind(b"no network")


def test_openvino_that_does_not_follow_the_hint_says_what_it_computes_in(
    models: dict[str, ModelFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = converted._openvino().Core()

    class WithoutHalf:
        read_model = core.read_model

        def compile_model(self, network: Any, device: str, settings: dict[str, Any]) -> Any:
            return core.compile_model(network, device, {**settings, "INFERENCE_PRECISION_HINT": "f32"})

    monkeypatch.setattr(converted, "_openvino", lambda: SimpleNamespace(Core=WithoutHalf))
    assert OpenVinoRunner(_written(models["residual"].path), Precision.BF16).name == "openvino-fp32"


def test_openvino_is_imported_without_its_telemetry() -> None:
    script = (
        "import sys, socket\n"
        "from segdesk.nn.engines.converted import _openvino\n"
        "print(_openvino().Core().available_devices, sys.modules['openvino_telemetry'])\n"
        "from openvino.tools.ovc import telemetry\n"
        "print(type(telemetry).__module__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['CPU'] None", "openvino.tools.ovc.telemetry_stub"]


@dataclass(eq=False)
class Fake:
    """A runner whose speed and answers are known."""

    name: str
    network: Any
    breath: float = float("inf")
    device: torch.device = CPU

    def make_ready(self) -> None: ...

    def __call__(self, windows: Tensor) -> Tensor:
        self.breath -= 1
        if self.breath < 0:
            raise MemoryError("bad allocation")
        answer: Tensor = self.network(windows)
        return answer


@dataclass
class Machine:
    """What the choice is told about speed, and what was timed."""

    seconds: dict[str, float]
    timed: list[str]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A CPU with bfloat16 on which every speed is given; OpenVINO is there and agrees."""
    known = Machine({"torch-fp32": 1.0, "torch-bf16": 0.5, "openvino-fp32": 0.6}, [])

    def seconds(runner: Runner, *_: Any) -> float:
        known.timed.append(runner.name)
        return known.seconds[runner.name]

    monkeypatch.setattr(choice, "computes_bf16", lambda device: True)
    monkeypatch.setattr(choice, "is_installed", lambda engine: True)
    monkeypatch.setattr(choice, "seconds_per_pass", seconds)
    monkeypatch.setattr(choice, "convert", lambda model, *_: Fake("openvino-fp32", model.network))
    return known


def chosen(model: LoadedModel, passes: int = 100, **options: Any) -> choice.Choice:
    job = Job(passes, torch.ones(1, 1, *model.window))
    return choose(model, PredictOptions("cpu", **options), CPU, job, silent)


def loaded(folder: Path, **changes: Any) -> LoadedModel:
    return load_model(threshold_model(folder, **changes))


def test_the_fastest_runs_and_is_measured_once_in_the_life_of_a_network(machine: Machine, tmp_path: Path) -> None:
    model = loaded(tmp_path / "m", metrics=ALLOWED)
    found = chosen(model)
    assert found.runner.name == "torch-bf16"
    assert found.seconds == {"torch-fp32": 1.0, "torch-bf16": 0.5, "openvino-fp32": 0.6}
    chosen(model)
    assert machine.timed == ["torch-fp32", "torch-bf16", "openvino-fp32"]
    machine.seconds["torch-bf16"] = 0.95
    assert chosen(loaded(tmp_path / "slow", metrics=ALLOWED)).runner.name == "openvino-fp32"
    machine.seconds["openvino-fp32"] = 0.92
    assert chosen(loaded(tmp_path / "even", metrics=ALLOWED)).runner.name == "torch-fp32"


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"bf16": {"largest_change": 0.0011}},
        {"bf16": {"largest_change": None}},
        {"bf16": {"largest_change": True}},
        {"bf16": {"largest_change": "0"}},
        {"bf16": {"largest_change": -1}},
        {"bf16": {}},
        {"bf16": [0.0]},
        {"bf16": None},
    ],
)
def test_without_scores_that_allow_it_bf16_is_never_used_unasked(
    metrics: dict[str, Any], machine: Machine, tmp_path: Path
) -> None:
    assert chosen(loaded(tmp_path / "m", metrics=metrics)).runner.name == "openvino-fp32"
    assert "torch-bf16" not in machine.timed


@pytest.mark.parametrize(("has_instructions", "wanted"), [(True, "torch-bf16"), (False, "torch-fp32")])
def test_a_short_run_stays_with_torch_and_is_not_timed(
    has_instructions: bool, wanted: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "has_bf16_instructions", lambda device: has_instructions)
    model = loaded(tmp_path / "m", metrics=ALLOWED)
    assert chosen(model, passes=31).runner.name == wanted
    assert chosen(model, passes=31, precision=Precision.FP32).runner.name == "torch-fp32"
    assert chosen(loaded(tmp_path / "n"), passes=31).runner.name == "torch-fp32", "no score allows it"
    assert machine.timed == []


def test_a_run_that_torch_does_soon_is_not_worth_a_conversion(machine: Machine, tmp_path: Path) -> None:
    machine.seconds["torch-fp32"] = 0.1
    assert chosen(loaded(tmp_path / "m"), passes=299).runner.name == "torch-fp32"
    assert chosen(loaded(tmp_path / "n"), passes=301).runner.name == "torch-fp32"
    assert machine.timed == ["torch-fp32", "torch-fp32", "openvino-fp32"], "timed, and not faster"


def test_what_was_asked_for_is_not_changed(machine: Machine, tmp_path: Path) -> None:
    model = loaded(tmp_path / "m", metrics=ALLOWED)
    assert chosen(model, engine=EngineChoice.TORCH, precision=Precision.FP32).runner.name == "torch-fp32"
    assert chosen(model, precision=Precision.FP32).runner.name == "openvino-fp32"
    assert chosen(model, engine=EngineChoice.TORCH).runner.name == "torch-bf16"
    assert chosen(model, passes=1, precision=Precision.BF16).runner.name == "torch-bf16"
    assert chosen(model, passes=1, engine=EngineChoice.OPENVINO).runner.name == "openvino-fp32"


@pytest.mark.parametrize("fault", ["differs", "cannot be expressed", "fails"])
def test_an_engine_that_differs_or_cannot_be_had_is_passed_over_and_not_tried_again(
    fault: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def bad(model: LoadedModel, *_: Any) -> Runner:
        calls.append(fault)
        if fault == "differs":
            return Fake("openvino-fp32", lambda windows: -model.network(windows))
        if fault == "fails":
            return Fake("openvino-fp32", fail)
        raise ModelError("Network 'x' cannot be written as ONNX.")

    def fail(windows: Tensor) -> Tensor:
        raise ModelError("OpenVINO cannot run this network (no such kernel).")

    monkeypatch.setattr(choice, "convert", bad)
    model = loaded(tmp_path / "m")
    assert [chosen(model).runner.name for _ in range(2)] == ["torch-fp32", "torch-fp32"]
    assert calls == [fault]


def test_an_estimate_made_of_noise_leaves_the_comparison_to_the_image(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[Tensor] = []

    def counted(runner: Runner, reference: Runner, windows: Tensor) -> float:
        compared.append(windows)
        return 1.0

    cache = loaded_model.ModelCache()
    monkeypatch.setattr("segdesk.nn.predict.warm_models", cache)
    monkeypatch.setattr("segdesk.nn.window_cost.warm_models", cache)
    monkeypatch.setattr(choice, "agreement", counted)
    model, image = threshold_model(tmp_path / "m"), noise((8, 40, 40))
    options = PredictOptions("cpu", precision=Precision.FP32)
    cost = window_cost({"image": image}, model.path, options, silent, calibrate=True)
    assert cost.seconds_per_window == machine.seconds["openvino-fp32"]
    assert predict({"image": image}, model.path, options, silent).manifest["engine"] == "openvino-fp32"
    assert torch.equal(compared[-1], middle_window(image.array[None], (4, 8, 8)))


def test_without_bf16_instructions_or_openvino_nothing_is_timed(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "computes_bf16", lambda device: False)
    monkeypatch.setattr(choice, "is_installed", lambda engine: False)
    assert chosen(loaded(tmp_path / "m", metrics=ALLOWED)).runner.name == "torch-fp32"
    assert machine.timed == []


def test_the_manifest_says_what_was_compared(machine: Machine, tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m", metrics=ALLOWED)
    manifest = run(model).manifest
    assert manifest["windows"] >= 32
    assert manifest["engine"] == "torch-bf16"
    assert manifest["seconds_per_window"] == {"torch-fp32": 1.0, "torch-bf16": 0.5}


def test_a_pass_is_timed_on_the_runner_itself(tmp_path: Path) -> None:
    model = loaded(tmp_path / "m")
    runner = Fake("torch-fp32", model.network)
    seconds = choice.seconds_per_pass(runner, torch.zeros(1, 1, *model.window), silent)
    assert 0 < seconds < 60
    assert runner.breath == float("inf")


def test_ties_count_as_agreement_and_other_answers_do_not() -> None:
    window = torch.ones(1, 2, 1, 2, 2)
    first = Fake("torch-fp32", lambda x: torch.tensor([[1.0, 5.0], [1.0, 2.0]]).reshape(1, 2, 1, 1, 2))
    tied = Fake("x", lambda x: torch.tensor([[0.9, 5.0], [1.0, 2.0]]).reshape(1, 2, 1, 1, 2))
    other = Fake("x", lambda x: torch.tensor([[1.0, 1.0], [0.0, 2.0]]).reshape(1, 2, 1, 1, 2))
    broken = Fake("x", lambda x: torch.full((1, 2, 1, 1, 2), torch.nan))
    smaller = Fake("x", lambda x: torch.ones(1, 2, 1, 1, 1))
    assert [agreement(each, first, window) for each in (tied, other, broken, smaller)] == [1.0, 0.5, 0.0, 0.0]


def test_the_middle_window_is_cut_from_a_large_image_and_padded_round_a_small_one() -> None:
    image = np.arange(2 * 6 * 3 * 4, dtype=np.float32).reshape(2, 6, 3, 4)
    window = middle_window(image, (2, 5, 4)).numpy()[0]
    assert np.array_equal(window[:, :, 1:4], image[:, 2:4])
    assert not window[:, :, [0, 4]].any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_cuda_draws_the_mask_of_the_cpu(precision: Precision, models: dict[str, ModelFolder]) -> None:
    """With channels last, batches of windows, and the classes decided on the device."""
    for model in models.values():
        options = PredictOptions("cuda", engine=EngineChoice.TORCH, precision=precision, flips=True)
        there = predict({"image": noise()}, model.path, options, silent)
        here = predict({"image": noise()}, model.path, replace(options, device="cpu"), silent)
        assert there.manifest["engine"] == f"torch-{precision.value}"
        assert (there.labels.array == here.labels.array).mean() > (0.999 if precision is Precision.FP32 else 0.97)


def test_a_network_keeps_its_answers_after_its_runners_moved_it(models: dict[str, ModelFolder]) -> None:
    model = load_model(models["residual"])
    windows = torch.randn(2, 1, *model.window)
    with torch.inference_mode():
        expected = model.network(windows)
        runner = TorchRunner(model.network, CPU)
        runner.make_ready()
        assert torch.equal(runner(windows), expected)


def test_onnx_runtime_and_openvino_take_any_batch(models: dict[str, ModelFolder]) -> None:
    model = load_model(models["classic"])
    size = [n + 2 * m for n, m in zip(model.window, model.margin, strict=True)][1:]
    windows = torch.randn(3, 1, *size)
    runners = [convert(model, engine, Precision.FP32) for engine in CONVERTED]
    with torch.inference_mode():
        for runner in runners:
            whole = runner(windows)
            parts = torch.cat([runner(windows[:1]).clone(), runner(windows[1:]).clone()])
            torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(whole, model.network(windows), atol=1e-4, rtol=1e-4)
