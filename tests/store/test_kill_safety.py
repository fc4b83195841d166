"""A process killed at any moment while it saves leaves the old mask or the new one, never half."""

import subprocess
import sys

import pytest

from segdesk.store.project import Project

_SAVER = """
import sys
from pathlib import Path
import numpy as np
from segdesk.core.labels import LabelMap
from segdesk.core.provenance import Origin, OriginKind
from segdesk.store.project import Project
from segdesk.store.records import MaskRole

project = Project.open(Path(sys.argv[1]))
case = project.cases()[0]
rater = project.raters.get_or_add("Ann")
grid = next(iter(project.images.read_channels(case.id).values())).geometry
value = 0
while True:
    value = value % 250 + 1
    labels = LabelMap.of(np.full(grid.shape_kji, value, np.uint8), grid)
    labels.origin = Origin(OriginKind.HUMAN, "Ann", parameters={"value": value})
    project.masks.save(labels, case.id, MaskRole.WORKING, rater.id)
    print(value, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("saves", [1, 2, 3, 5])
@pytest.mark.parametrize("bytes_later", [0, 1])
def test_a_killed_save_leaves_the_old_or_the_new_mask(project, case, saves, bytes_later):
    project.close()
    child = subprocess.Popen(
        [sys.executable, "-c", _SAVER, str(project.folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    acknowledged = 0
    with child, child.stdout as lines:
        for _ in range(saves):
            acknowledged = int(lines.readline())
        if bytes_later:
            # The next save is under way; wait until it has written something, not for a time.
            folder = project.folder / "masks"
            before = set(folder.rglob("*"))
            while set(folder.rglob("*")) == before and child.poll() is None:
                pass
        child.kill()
        acknowledged = max([acknowledged, *map(int, lines.read().split())])
    again = Project.open(project.folder)
    assert again.verify() == ()
    (ann,) = again.raters.all()
    record = again.masks.working(case.id, ann.id)
    labels = again.masks.load(record.sha256)
    assert record.parameters["value"] in (acknowledged, acknowledged + 1)
    assert (labels.array == record.parameters["value"]).all()
