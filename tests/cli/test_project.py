"""`segdesk project`."""

from __future__ import annotations

from pathlib import Path

from segdesk.core.labels import LabelMap
from segdesk.core.provenance import Origin, OriginKind
from segdesk.store.judgements import Decision
from segdesk.store.project import Project
from segdesk.store.records import MaskRole, Verdict
from tests.io.dicom_maker import axial, write_series


def test_a_project_is_made_filled_shown_and_verified(run, scan_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert run("project", "create", folder, "--name", "Liver", "--reads", "2", "--json").json["name"] == "Liver"
    added = run("project", "add", folder, scan_file, "--json").json["added"]
    assert [case["name"] for case in added] == ["scan"]
    shown = run("project", "status", folder, "--json").json
    assert shown["cases"][0]["reads_done"] == 0
    assert shown["cases"][0]["reads_needed"] == 2
    assert shown["cases"][0]["shape_kji"] == [9, 20, 17]
    assert run("project", "verify", folder, "--json").json == {"project": str(folder), "ok": True, "problems": []}
    assert "scan" in run("project", "status", folder).out


def test_the_status_counts_what_became_of_drafts(run, scan_file: Path, tmp_path: Path) -> None:
    run("project", "create", tmp_path / "p")
    run("project", "add", tmp_path / "p", scan_file)
    assert run("project", "status", tmp_path / "p", "--json").json["drafts"] == []
    project = Project.open(tmp_path / "p")
    (case,) = project.cases()
    labels = LabelMap.empty(case.grid)
    labels.origin = Origin(OriginKind.MODEL, "toy@1", weights_sha256="a" * 64)
    draft = project.masks.save(labels, case.id, MaskRole.CANDIDATE)
    ann = project.raters.get_or_add("Ann")
    project.judgements.append(Decision(draft.sha256, ann.id, Verdict.REJECTED, (), ()))
    project.close()
    (counts,) = run("project", "status", tmp_path / "p", "--json").json["drafts"]
    assert counts == {
        "model": "toy@1", "weights_sha256": "a" * 64, "accepted": 0, "accepted_in_part": 0, "rejected": 1, "open": 0,
    }  # fmt: skip
    assert "Drafts by" in run("project", "status", tmp_path / "p").out


def test_a_folder_in_use_is_not_made_a_project(run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run("project", "create", tmp_path).code == 2
    assert run("project", "create", tmp_path / "file").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_one_name_twice_is_refused(run, scan_file: Path, tmp_path: Path) -> None:
    run("project", "create", tmp_path / "p")
    assert run("project", "add", tmp_path / "p", scan_file).code == 0
    done = run("project", "add", tmp_path / "p", scan_file, "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "exists"
    assert done.json["added"] == []


def test_a_folder_of_several_images_becomes_several_cases(run, scan_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        (folder / name).write_bytes(scan_file.read_bytes())
    run("project", "create", tmp_path / "p")
    added = run("project", "add", tmp_path / "p", folder, "--patient", "k1", "--json").json["added"]
    assert [case["name"] for case in added] == ["images-1", "images-2"]


def test_a_damaged_mask_store_is_found(run, tmp_path: Path, monkeypatch) -> None:
    run("project", "create", tmp_path / "p")
    monkeypatch.setattr("segdesk.store.project.Project.verify", lambda self: ("Mask 12ab: damaged",))
    done = run("project", "verify", tmp_path / "p", "--json")
    assert done.code == 2
    assert done.json["problems"] == ["Mask 12ab: damaged"]


def test_an_irregular_series_is_added_as_slices_when_asked(run, tmp_path: Path) -> None:
    write_series(tmp_path / "uneven", axial(0, 2, 3.1, 5))
    assert run("project", "create", tmp_path / "p").code == 0
    refused = run("project", "add", tmp_path / "p", tmp_path / "uneven", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (2, "irregular_spacing")
    added = run("project", "add", tmp_path / "p", tmp_path / "uneven", "--as-stack", "--json")
    assert added.code == 0, added.err
    assert [case["shape_kji"] for case in added.json["added"]] == [[4, 5, 6]]
