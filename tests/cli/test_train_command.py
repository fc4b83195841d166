from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.nn.toy_sets import TOY_RECIPE, nnunet_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = nnunet_set(tmp_path_factory.mktemp("balls"), range(6))
    (root / "toy.toml").write_text(TOY_RECIPE)
    return root


def _words(data: Path, out: Path, *more: str) -> list[str]:
    recipe = str(data / "toy.toml")
    return [
        "train",
        "--data",
        str(data),
        "--out",
        str(out),
        "--recipe",
        recipe,
        "--steps",
        "2",
        "--threads",
        "1",
        *more,
    ]


def test_train_prints_json_lines_and_ends_with_the_result(run: Run, data: Path, tmp_path: Path) -> None:
    done = run(*_words(data, tmp_path / "m", "--json", "--device", "cpu"))
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert events[-1]["event"] == "result"
    assert {"model", "metrics", "test_cases"} <= set(events[-1])
    assert (tmp_path / "m" / "model.json").is_file()


def test_finetune_tells_people_the_verdict_and_exits_0(run: Run, data: Path, tmp_path: Path) -> None:
    assert run(*_words(data, tmp_path / "base")).code == 0
    done = run(
        "finetune", "--data", str(data), "--model", str(tmp_path / "base"), "--out", str(tmp_path / "new"),
        "--steps", "1", "--threads", "1",
    )  # fmt: skip
    assert done.code == 0
    assert "cannot_judge" in done.out
    assert (tmp_path / "new" / "model.json").is_file()


def test_train_tells_people_the_score_of_the_test_cases(run: Run, data: Path, tmp_path: Path) -> None:
    done = run(*_words(data, tmp_path / "m"))
    assert "is written. Dice on" in done.out
    assert "Warning (patients_unknown)" in done.out


@pytest.mark.parametrize(
    ("more", "text"),
    [(("--time-budget", "5"), "not both"), (("--network", "resnext"), "unknown"), (("--device", "tpu"), "no device")],
)
def test_wrong_settings_are_one_line_and_exit_2(
    run: Run, data: Path, tmp_path: Path, more: tuple[str, ...], text: str
) -> None:
    done = run(*_words(data, tmp_path / "m", *more))
    assert done.code == 2
    assert text in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "m").exists()
