from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.metrics import CohortScores, evaluate
from segdesk.metrics.table import safe_cell

GRID = Geometry.from_spacing((4, 10, 30), (2.0, 1.0, 1.0))
TABLE = LabelTable([Label(1, "=HYPERLINK(1)", (1, 2, 3))])


def bar(start, stop, value=1):
    array = np.zeros(GRID.shape_kji, np.uint8)
    array[:, 2:8, start:stop] = value
    return LabelMap((array,), GRID, TABLE if start < stop and value == 1 else LabelTable())


@pytest.fixture
def cohort():
    reference = bar(5, 15)
    candidates = {"good": bar(5, 15), "fair": bar(7, 17), "+bad": bar(14, 24), "missed": bar(0, 0)}
    cases = [(name, evaluate(candidate, reference)) for name, candidate in candidates.items()]
    return CohortScores((*cases, ("other", evaluate(bar(3, 6, value=2), bar(3, 6, value=2)))))


def test_a_mean_stands_beside_median_spread_worst_and_counts(cohort):
    dice = cohort.summary()[1]["dice"]
    values = [1.0, 0.8, 0.1, 0.0]
    assert dice.mean == pytest.approx(np.mean(values))
    assert dice.median == pytest.approx(np.median(values))
    assert dice.iqr == pytest.approx(np.subtract(*np.percentile(values, (75, 25))))
    assert (dice.worst, dice.worst_case) == (0.0, "missed")
    assert (dice.n, dice.n_undefined) == (4, 1)


def test_the_worst_distance_is_the_largest_and_a_missed_case_is_undefined(cohort):
    hd95 = cohort.summary()[1]["hd95_mm"]
    assert (hd95.worst, hd95.worst_case) == (pytest.approx(9.0), "+bad")
    assert (hd95.n, hd95.n_undefined) == (3, 2)


def test_the_worst_volume_error_is_the_largest_either_way(cohort):
    assert cohort.summary()[1]["volume_error_mm3"].worst == pytest.approx(-4 * 6 * 10 * 2.0)


def test_the_whole_set_is_scored_on_its_pooled_voxels(cohort):
    shared, total = 10 + 8 + 1 + 0, 4 * 10 + 3 * 10
    assert cohort.pooled()[1].dice == pytest.approx(2 * shared / total)
    assert cohort.to_json()["summary"]["1"]["pooled"]["dice"] == pytest.approx(2 * shared / total)


def test_a_measure_that_is_defined_nowhere_is_null(cohort):
    alone = CohortScores(cohort.cases[3:4])
    statistics = alone.summary()[1]["hd95_mm"]
    assert math.isnan(statistics.mean)
    assert (statistics.n, statistics.n_undefined) == (0, 1)
    payload = alone.to_json()["summary"]["1"]["hd95_mm"]
    assert payload["worst"] is None
    assert payload["worst_case"] is None


def test_json_has_every_case_and_no_nan(cohort):
    payload = json.loads(json.dumps(cohort.to_json(), allow_nan=False))
    assert [case["case"] for case in payload["cases"]] == ["good", "fair", "+bad", "missed", "other"]
    assert payload["summary"].keys() == {"1", "2"}
    assert {"mean", "median", "iqr", "worst", "n", "n_undefined"} <= payload["summary"]["1"]["dice"].keys()


def test_csv_has_a_row_per_case_and_label_and_runs_no_formula(cohort):
    rows = list(csv.DictReader(io.StringIO(cohort.to_csv())))
    assert len(rows) == 5
    assert rows[0]["name"] == "'=HYPERLINK(1)"
    assert rows[2]["case"] == "'+bad"
    missed = rows[3]
    assert (missed["status"], missed["dice"], missed["hd95_mm"]) == ("missed", "0.0", "")
    assert "missed" in missed["reason"]
    assert float(missed["volume_error_mm3"]) < 0


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_what_a_spreadsheet_would_run_is_quoted(start):
    assert safe_cell(f"{start}1+1") == f"'{start}1+1"
    assert safe_cell(f"a{start}") == f"a{start}"
