"""Real panels whose answers were worked out by others."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdesk.io import read_labels
from segdesk.review import agreement, consensus
from tests.review.reads import read

MELANOMA_SETS = (4, 5)
"""Sets of three experts whose gold standard is exactly their pixel majority."""


def drawn_black(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return (np.asarray(image.convert("L")) == 0).astype(np.uint8)[None]


def gold_files(shared_data: Path) -> list[Path]:
    folders = [shared_data / "multirater-bubil" / f"BU-BIL_Dataset{number}" for number in MELANOMA_SETS]
    return sorted(path for folder in folders for path in folder.glob("GoldStandard/*.png"))


def test_the_gold_standard_of_the_melanoma_sets_is_our_majority(shared_data: Path):
    found = gold_files(shared_data)
    assert found
    for gold in found:
        experts = sorted((gold.parents[1] / "ExpertsAnnotations").glob("Expert*"))
        reads = [read(drawn_black(folder / gold.name)) for folder in experts]
        result = consensus(reads, names=[folder.name for folder in experts], method="majority")
        assert len(reads) == 3
        np.testing.assert_array_equal(result.labels.array, drawn_black(gold), err_msg=gold.name)
        assert not result.undecided.array.any()


def nodules(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "lidc-readers" / "votes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def nodule_reads(shared_data: Path, name: str):
    return [read_labels(path) for path in sorted((shared_data / "lidc-readers" / "masks").glob(f"{name}_reader*"))]


def test_votes_and_dice_of_lung_nodules_are_those_of_plain_counting(shared_data: Path):
    rows = nodules(shared_data)
    assert len(rows) == 67
    for row in rows:
        reads = nodule_reads(shared_data, row["nodule"])
        count = len(reads)
        assert count == int(row["n_readers"])
        votes = consensus(reads, method="majority").votes.array
        for least in range(1, count + 1):
            n_voxels = np.count_nonzero(votes * count >= least - 0.5)
            assert n_voxels == int(row[f"vox_ge{least}"]), row["nodule"]
        label = agreement(reads).labels[0]
        assert label.mean_dice == pytest.approx(float(row["mean_pair_dice"]), abs=1e-6)
        assert label.least_dice == pytest.approx(float(row["min_pair_dice"]), abs=1e-6)


@pytest.mark.parametrize("quorum", ["1/4", "2/4", "3/4", "4/4"])
def test_a_quorum_of_four_readers_is_the_count_of_votes(shared_data: Path, quorum: str):
    for row in nodules(shared_data)[:10]:
        if row["n_readers"] != "4":
            continue
        reads = nodule_reads(shared_data, row["nodule"])
        result = consensus(reads, method="quorum", quorum=quorum)
        settled = result.labels.array.astype(bool)
        # Up to a half, background reaches the quorum as well, and neither wins.
        expected = {"1/4": "vox_ge4", "2/4": "vox_ge3", "3/4": "vox_ge3", "4/4": "vox_ge4"}[quorum]
        assert np.count_nonzero(settled) == int(row[expected])
