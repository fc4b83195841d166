"""Data set layouts: nnU-Net, Medical Segmentation Decathlon, and any other by a recipe."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdesk.errors import Warn
from segdesk.nn.dataset import CaseFiles, Dataset, bad_dataset
from segdesk.nn.recipe import Layout, RecipeLabel
from segdesk.nn.split import read_table, subject_of

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".tiff", ".bmp")
"""File endings that belong together as one case name plus an ending."""

_PARTS = {"train": "train", "training": "train", "val": "test", "validation": "test", "test": "test"}


def read_dataset(root: Path, layout: Layout | None = None, split: Path | None = None) -> Dataset:
    """Find the cases of a data set; no image is read.

    Parameters
    ----------
    root : Path
        Folder with ``dataset.json`` (nnU-Net or MSD), or described by `layout`.
    layout : Layout, optional
        From a recipe; wins over ``dataset.json``.
    split : Path, optional
        CSV with case,split; wins over the data set's own. Cases it does not name are left out.

    Raises
    ------
    SegdeskError
        Code ``bad_dataset`` (or ``not_found``), with the file concerned.
    """
    if not root.is_dir():
        raise bad_dataset(f"There is no data folder {root.name!r}; check the path.", root)
    dataset = _from_layout(root, layout) if layout else _from_json(root)
    own = root / layout.split if layout and layout.split else None
    table = split or own
    if table is not None:
        dataset = _with_parts(dataset, read_table(table, "case", "split"))
    if not dataset.cases:
        raise bad_dataset(f"No case was found in {root.name!r}; check the folder or the recipe's patterns.", root)
    dataset = _with_drafts(dataset, root / "manifest.json")
    return _with_patients(dataset, root / (layout.patients if layout and layout.patients else "patients.csv"))


def _from_layout(root: Path, layout: Layout) -> Dataset:
    found = {name: _matches(root, pattern) for name, pattern in layout.channels.items()}
    masks = _matches(root, layout.label_pattern)
    images = [set(each) for each in found.values()]
    complete = set.intersection(*images) & set(masks)
    warnings = [
        Warn("case_excluded", f"{case}: {'the mask' if case not in masks else 'an image'} is missing.")
        for case in sorted(set.union(*images, set(masks)) - complete)
    ]
    warnings += [
        Warn("case_excluded", f"{path.relative_to(root).as_posix()}: the recipe says it is no case.")
        for pattern in layout.refused
        for path in sorted(root.glob(pattern))
    ]
    cases = [
        CaseFiles(case, tuple(files[case] for files in found.values()), masks[case], case) for case in sorted(complete)
    ]
    labels = tuple(sorted(layout.labels, key=lambda label: label.value))
    return Dataset(
        root, layout.name or root.name, layout.licence or "unknown", tuple(layout.channels), labels, tuple(cases),
        threshold=layout.threshold, ignore=layout.ignore, background=layout.background, warnings=tuple(warnings),
    )  # fmt: skip


def _matches(root: Path, pattern: str) -> dict[str, Path]:
    """Map case names to files; `{case}` stands for one path part or a piece of it."""
    before, after = pattern.split("{case}")
    regex = re.compile("(?P<case>[^/]+)".join(_as_regex(part) for part in (before, after)) + r"\Z")
    found: dict[str, Path] = {}
    for path in sorted(root.glob(pattern.replace("{case}", "*"))):
        match = regex.match(path.relative_to(root).as_posix())
        if match and path.is_file():
            case = match.group("case")
            if case in found:
                raise bad_dataset(f"Two files match case {case!r} of {pattern!r}; make the pattern narrower.", path)
            found[case] = path
    return found


def _as_regex(glob: str) -> str:
    return "".join("[^/]*" if char == "*" else "[^/]" if char == "?" else re.escape(char) for char in glob)


def _from_json(root: Path) -> Dataset:
    path = root / "dataset.json"
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise bad_dataset(f"{root.name!r} has no dataset.json; describe it with --recipe.", root) from exc
    except (OSError, ValueError) as exc:
        raise bad_dataset("dataset.json cannot be read as JSON.", path) from exc
    if not isinstance(description, dict):
        raise bad_dataset("dataset.json is no JSON object.", path)
    names = description.get("channel_names") or description.get("modality") or {"0": "image"}
    labels, ignore = _json_labels(description.get("labels"), path)
    if not isinstance(names, dict) or not all(str(key).isdigit() for key in names):
        raise bad_dataset('dataset.json needs channel_names, for example {"0": "T1"}.', path)
    channels = tuple(_slug(str(names[key])) for key in sorted(names, key=int))
    listed = description.get("training")
    cases, warnings = (
        _listed(root, listed, channels) if isinstance(listed, list) and listed else _nnunet(root, channels)
    )
    return Dataset(
        root, str(description.get("name") or root.name)[:300], str(description.get("licence") or "unknown")[:300],
        channels, labels, tuple(cases), ignore=ignore, warnings=tuple(warnings),
    )  # fmt: skip


def _json_labels(labels: Any, path: Path) -> tuple[tuple[RecipeLabel, ...], int | None]:
    """Read both ways round: nnU-Net's {name: value}, MSD's {"value": name}; "ignore" is nnU-Net's word."""
    if not isinstance(labels, dict) or not labels:
        raise bad_dataset('dataset.json needs labels, for example {"background": 0, "liver": 1}.', path)
    try:
        by_value = all(str(key).isdigit() for key in labels)
        pairs = {int(k): str(v) for k, v in labels.items()} if by_value else {int(v): str(k) for k, v in labels.items()}
    except (TypeError, ValueError) as exc:
        raise bad_dataset(
            "dataset.json: regions (lists of labels) are not supported; give one value each.", path
        ) from exc
    ignore = next((value for value, name in pairs.items() if name == "ignore"), None)
    kept = tuple(RecipeLabel(value, pairs[value]) for value in sorted(pairs) if value != 0 and value != ignore)
    if not kept:
        raise bad_dataset("dataset.json names no label besides background.", path)
    return kept, ignore


def _nnunet(root: Path, channels: tuple[str, ...]) -> tuple[list[CaseFiles], list[Warn]]:
    masks = {_stem(path): path for path in _files(root / "labelsTr")}
    images = {_stem(path): path for path in _files(root / "imagesTr")}
    cases: list[CaseFiles] = []
    warnings: list[Warn] = []
    for name, mask in masks.items():
        wanted = [images.get(f"{name}_{index:04d}") for index in range(len(channels))]
        present = [path for path in wanted if path is not None]
        if len(present) == len(channels):
            cases.append(CaseFiles(name, tuple(present), mask, name))
        else:
            warnings.append(Warn("case_excluded", f"{name}: an image of a channel is missing."))
    without = sorted({stem.rpartition("_")[0] for stem in images} - set(masks))
    warnings += [Warn("case_excluded", f"{name}: the mask is missing.") for name in without]
    return cases, warnings


def _listed(root: Path, listed: list[Any], channels: tuple[str, ...]) -> tuple[list[CaseFiles], list[Warn]]:
    """Read MSD's list of {image, label}; a file with several modalities has them in a fourth axis."""
    cases: list[CaseFiles] = []
    warnings: list[Warn] = []
    if len(channels) > 1:
        raise bad_dataset("MSD data with several modalities in one file: convert them to nnU-Net's layout.", root)
    for row in listed:
        if not isinstance(row, dict) or not {"image", "label"} <= set(row):
            raise bad_dataset("dataset.json: each training row needs image and label.", root / "dataset.json")
        image, label = (_inside(root, str(row[key])) for key in ("image", "label"))
        name = _stem(image)
        if image.is_file() and label.is_file():
            cases.append(CaseFiles(name, (image,), label, name))
        else:
            warnings.append(Warn("case_excluded", f"{name}: the {'mask' if image.is_file() else 'image'} is missing."))
    return sorted(cases, key=lambda case: case.name), warnings


def _inside(root: Path, relative: str) -> Path:
    path = root / relative
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise bad_dataset(f"dataset.json names {relative!r} outside the data folder.", root / "dataset.json")
    return path


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise bad_dataset(f"The folder {folder.name} is missing.", folder)
    return sorted(p for p in folder.iterdir() if p.name.lower().endswith(ENDINGS) and not p.name.startswith("."))


def _stem(path: Path) -> str:
    lower = path.name.lower()
    ending = next((each for each in ENDINGS if lower.endswith(each)), path.suffix)
    return path.name[: len(path.name) - len(ending)]


def _slug(name: str) -> str:
    """Make a channel name that may stand in a model folder and on a command line."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:64].lower() or "image"


def _with_parts(dataset: Dataset, table: Mapping[str, str]) -> Dataset:
    unknown = sorted({word for word in table.values() if word.lower() not in _PARTS})
    if unknown:
        raise bad_dataset(f"The split names a part {unknown[0]!r}; use train, val or test.", dataset.root)
    absent = sorted(set(table) - {case.name for case in dataset.cases})
    left_out = [case.name for case in dataset.cases if case.name not in table]
    warnings = [Warn("case_excluded", f"{name}: in the split, but not in the data.") for name in absent]
    warnings += [Warn("case_excluded", f"{name}: not in the split.") for name in left_out]
    cases = [replace(c, part=_PARTS[table[c.name].lower()]) for c in dataset.cases if c.name in table]
    return replace(dataset, cases=tuple(cases), warnings=(*dataset.warnings, *warnings))


def _with_drafts(dataset: Dataset, manifest: Path) -> Dataset:
    """Mark the cases whose mask began as a model's draft, as segdesk's own export tells."""
    try:
        rows = json.loads(manifest.read_text(encoding="utf-8"))
        drafts = {name: tuple(map(str, row.get("began_as_draft_of", ()))) for name, row in rows.items()}
    except FileNotFoundError:
        return dataset
    except (OSError, ValueError, AttributeError, TypeError) as exc:
        raise bad_dataset("manifest.json cannot be read; export the training set again.", manifest) from exc
    return replace(dataset, cases=tuple(replace(c, drafted_by=drafts.get(c.name, ())) for c in dataset.cases))


def _with_patients(dataset: Dataset, table: Path) -> Dataset:
    """Give every case its patient: patients.csv, else BIDS ``sub-``, else the case name with a warning."""
    known = read_table(table, "case", "patient") if table.is_file() else {}
    cases: list[CaseFiles] = []
    guessed = 0
    for case in dataset.cases:
        subject = known.get(case.name) or subject_of(case.images[0].relative_to(dataset.root).as_posix())
        guessed += subject is None
        cases.append(replace(case, patient=subject or case.name))
    warnings = dataset.warnings
    if guessed:
        text = f"Patients of {guessed} of {len(cases)} cases are not known; each case counts as one patient."
        warnings = (*warnings, Warn("patients_unknown", text))
    return replace(dataset, cases=tuple(cases), warnings=warnings)
