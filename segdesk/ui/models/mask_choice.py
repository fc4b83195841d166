"""A mask file that was compared with the open case: what is said of it, and whose it becomes."""

from __future__ import annotations

from dataclasses import dataclass

from segdesk.core.events import Signal
from segdesk.core.geometry import Geometry, Grid, SliceStackGeometry
from segdesk.session import Session
from segdesk.session.mask_fit import Relation
from segdesk.session.mask_import import FoundLabel, FoundMask, MaskTarget
from segdesk.store.records import RaterKind
from segdesk.ui.models.number_text import UNDEFINED, count, volume

_LOSS = 0.005
"""A volume that changes by more than this fraction deserves a look."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the comparison of the two grids."""

    name: str
    mask: str
    image: str


@dataclass(frozen=True, slots=True)
class LabelLine:
    """One label: its size in the file, and as it would lie on the image."""

    label: FoundLabel
    in_file: str
    on_image: str
    is_striking: bool


class MaskChoice:
    """The choices of one import.

    Parameters
    ----------
    session : Session
        With the case it was compared with.
    found : FoundMask
        The mask.

    Signals
    -------
    changed
        A choice is another.
    """

    changed = Signal()

    def __init__(self, session: Session, found: FoundMask) -> None:
        self.found = found
        present = session.rater.value
        self.reader_name = "" if present is None else present.name
        self.has_own_mask = bool(found.case.labels.array.any())
        self.other_readers = tuple(
            rater.name for rater in session.raters if rater.kind is not RaterKind.MODEL and rater != present
        )
        self._target = MaskTarget.MINE
        self._names = {MaskTarget.READER: "", MaskTarget.MODEL: found.path.name.split(".")[0]}
        self._agreed = False

    @property
    def target(self) -> MaskTarget:
        """Whose mask it becomes."""
        return self._target

    @property
    def name(self) -> str:
        """Name of the reader or model, for those targets."""
        return self._names.get(self._target, "")

    @property
    def agreed(self) -> bool:
        """Whether the user wants it brought onto the image's grid."""
        return self._agreed

    @property
    def relation(self) -> Relation:
        """How the grids lie to each other."""
        return self.found.fit.relation

    @property
    def headline(self) -> str:
        """The relation in a sentence."""
        distance = self.found.fit.corner_mm
        apart = "" if distance is None else f"corners up to {distance:.3g} mm apart"
        return {
            Relation.SAME: "Its voxels are voxels of the image: it fits.",
            Relation.ELSEWHERE: f"It has as many voxels as the image, but lies elsewhere in the patient: {apart}.",
            Relation.OTHER: f"It lies on another grid than the image: {apart}.",
            Relation.UNPLACED: "Neither file says where it lies in the patient; they have as many pixels.",
            Relation.IMPOSSIBLE: self.found.fit.reason,
        }[self.relation]

    @property
    def question(self) -> str:
        """What must be agreed to, "" for nothing."""
        if self.relation is Relation.UNPLACED:
            return "Lay it over the image pixel by pixel"
        return "Resample it onto the image's grid (nearest neighbour)" if self.found.fit.needs_resampling else ""

    @property
    def comparison(self) -> tuple[Comparison, ...]:
        """The two grids side by side; empty when they are the same."""
        if self.relation is Relation.SAME:
            return ()
        mask, image = self.found.source.geometry, self.found.case.volume.geometry
        return tuple(
            Comparison(name, text(mask), text(image))
            for name, text in (
                ("Voxels", _voxels), ("Spacing", _spacing), ("Axes", _axes), ("Place from", lambda grid: grid.source),
            )
        )  # fmt: skip

    @property
    def lines(self) -> tuple[LabelLine, ...]:
        """Every label with its sizes."""
        grid = self.found.case.volume.geometry
        image_mm3 = grid.voxel_volume_mm3 if isinstance(grid, Geometry) and grid.spacing_known else None
        return tuple(self._line(label, image_mm3) for label in self.found.labels)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be read before it is added."""
        found = self.found
        texts = [warning.message for warning in found.source.warnings]
        if found.overlap_voxels:
            many = count(found.overlap_voxels, "voxel carries several labels", "voxels carry several labels")
            is_flat = self._target in (MaskTarget.MINE, MaskTarget.MODEL)
            what = (
                "the label listed first keeps them" if is_flat else "all are kept, tools show and edit the first layer"
            )
            texts.append(f"{many}: {what}.")
        if self._target is MaskTarget.MINE:
            texts += [f"Label {value} is called {here} here and {there} in the file; {here} stays."
                      for value, here, there in found.renamed]  # fmt: skip
        return tuple(texts)

    @property
    def consequence(self) -> str:
        """What will happen, in a sentence."""
        if self._target is MaskTarget.MINE:
            after = (
                "takes the place of your mask, as one step that can be undone"
                if self.has_own_mask
                else "becomes your mask"
            )
            return f"It is shown first; accepted with Enter, it {after}."
        if self._target is MaskTarget.READER:
            return "It becomes that reader's mask of this case; a mask they have already is never replaced."
        if self._target is MaskTarget.MODEL:
            return "It is stored as that model's draft, scored under its name, and shown to be accepted or rejected."
        return "Readers and models are scored against it."

    @property
    def can_be_added(self) -> bool:
        """Whether any way leads onto the image's grid."""
        return self.found.on_image is not None

    @property
    def problem(self) -> str:
        """Why it cannot be added now, "" when it can."""
        if not self.can_be_added:
            return "It cannot be added to this image."
        if self.question and not self._agreed:
            return "Tick that it may be brought onto the image's grid."
        is_named = self._target in (MaskTarget.READER, MaskTarget.MODEL)
        return f"Give the {self._target.value} a name." if is_named and not self.name.strip() else ""

    def choose_target(self, target: MaskTarget) -> None:
        """Say whose mask it becomes."""
        self._target = target
        self.changed.emit()

    def choose_name(self, target: MaskTarget, name: str) -> None:
        """Name the reader or the model; chooses that target, too."""
        self._names[target] = name
        self.choose_target(target)

    def agree(self, agreed: bool) -> None:
        """Allow it to be brought onto the image's grid, or not."""
        self._agreed = agreed
        self.changed.emit()

    def _line(self, label: FoundLabel, image_mm3: float | None) -> LabelLine:
        before_mm3, after_mm3 = self.found.voxel_mm3_in_file, image_mm3
        in_file, on_image = _size(label.voxels_in_file, before_mm3), _size(label.voxels_on_image, after_mm3)
        if self.found.on_image is None:
            return LabelLine(label, in_file, UNDEFINED, False)
        if before_mm3 is None or after_mm3 is None:
            return LabelLine(label, in_file, on_image, label.voxels_in_file != label.voxels_on_image)
        before, after = label.voxels_in_file * before_mm3, label.voxels_on_image * after_mm3
        return LabelLine(label, in_file, on_image, abs(after - before) > _LOSS * max(before, after))


def _size(voxels: int, voxel_mm3: float | None) -> str:
    return count(voxels, "voxel") if voxel_mm3 is None else volume(voxels * voxel_mm3)


def _voxels(grid: Grid) -> str:
    return " × ".join(str(n) for n in reversed(grid.shape_kji))


def _spacing(grid: Grid) -> str:
    if not grid.spacing_known:
        return "not known"
    if isinstance(grid, SliceStackGeometry):
        row_mm, column_mm = grid.spacing_ji_mm
        return f"{column_mm:.4g} × {row_mm:.4g} × uneven mm"
    return " × ".join(f"{step:.4g}" for step in reversed(grid.spacing_kji_mm)) + " mm"


def _axes(grid: Grid) -> str:
    if isinstance(grid, SliceStackGeometry):
        return "slice by slice"
    return grid.orientation if grid.orientation_known else "not known"
