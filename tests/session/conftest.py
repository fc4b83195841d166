from pathlib import Path

import pytest

from segdesk.session import Session, SessionSettings
from tests.session.toys import FakeTrainer, ToyPredictor, toy_model, write_scan


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "images" / "head.nii.gz")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return toy_model(tmp_path / "zoo" / "toy").path


@pytest.fixture
def predictor() -> ToyPredictor:
    return ToyPredictor()


@pytest.fixture
def trainer() -> FakeTrainer:
    return FakeTrainer()


@pytest.fixture
def session(tmp_path: Path, predictor: ToyPredictor, trainer: FakeTrainer) -> Session:
    """A session on a project that needs two reads, nothing open yet."""
    settings = SessionSettings(
        rater_name="Ann", desk_folder=tmp_path / "desk", required_reads=2, run_times_file=tmp_path / "times.json"
    )
    session = Session(predictor, trainer, settings)
    session.create_project(tmp_path / "project", "Heads").run()
    return session


@pytest.fixture
def opened(session: Session, scan: Path) -> Session:
    """The session with the scan open."""
    (case,) = session.add_images([scan]).run()
    session.open_case(case.id).run()
    return session
