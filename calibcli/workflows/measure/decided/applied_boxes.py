"""Thresholds of boxes in `measure` and `report`: cut-offs, suppression, and what they keep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError
from calibcli.workflows.input.loaded.boxes import BoxCuts, cuts_boxes, load_box_cuts
from calibcli.workflows.measure.decided.applied import MOST_EXACT, Applied, by_value
from calibcli.workflows.measure.decided.boxes import box_decisions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.figures import Where
    from calibcli.core.results.parts.decided import Decided
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator


Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AppliedBoxes(Applied):
    """Thresholds of boxes in use: their suppression comes first, then their cut-offs."""

    chosen: BoxCuts  # type: ignore[assignment]

    @classmethod
    def load(cls, path: str, *, calibrator: bool) -> AppliedBoxes:
        """Read thresholds; `calibrator` tells whether there is one."""
        chosen = load_box_cuts(path, None)
        return cls(path, chosen, chosen.calibrated and calibrator)

    def params(self) -> Result:
        """Return what of the thresholds stands in the result's params."""
        return {"nms": self.chosen.nms_words()}

    @property
    def edges(self) -> tuple[float, ...]:
        """The cut-offs at which counts are to be exact; none where there are too many."""
        whole = () if self.chosen.overall is None else (self.chosen.overall,)
        values = dict.fromkeys((*whole, *self.chosen.by_class.values()))
        edges = tuple(value for value in values if value <= 1.0)
        return edges if len(edges) <= MOST_EXACT else ()

    def reading(self, spec: InputSpec) -> InputSpec:
        """Return the input options with the suppression of the thresholds.

        Raises:
            UsageError: options that name another one.
        """
        if not self.chosen.nms:
            return spec
        if spec.nms_iou is not None:
            raise UsageError(
                f"{self.path} suppresses boxes at an IoU of its own", "leave out --nms-iou"
            )
        return replace(spec, nms_iou=self.chosen.nms)

    def asked(self, found: Gathered, spec: InputSpec) -> Gathered:
        """Return what was gathered: no column is read for decisions alone."""
        return found

    def _at(self, where: Where) -> float | None:
        if where.kind == "class":
            return self.chosen.by_class.get(str(where.name), self.chosen.overall)
        return self.chosen.overall

    def warnings(self, loaded: LoadedCalibrator | None, found: Gathered) -> list[Warning]:
        """Check that the thresholds fit the boxes and the calibrator, and say what is odd."""
        if found.medium != "boxes":
            raise InputError(
                f"{self.path} was chosen for {self.chosen.stored.task}, these are "
                f"{found.name} scores",
                "choose thresholds on scores of this kind: calibcli threshold",
            )
        if self.chosen.overall is None and not set(self.chosen.by_class) & set(found.classes):
            raise InputError(
                f"{self.path} was chosen for other classes than these",
                "choose thresholds on detections of this kind: calibcli threshold --task detection",
            )
        said = []
        if loaded is not None:
            self.chosen.check_calibrator(self.path, loaded)
        if self.chosen.calibrated and loaded is None:
            text = (
                "the cut-offs were chosen on calibrated probabilities, and these are not "
                "calibrated: add --calibrator FILE"
            )
            said.append(Warning("uncalibrated", text))
        iou = self.chosen.stored.params.iou
        now = found.params.get("iou")
        if iou is not None and now is not None and iou != now:
            text = f"the cut-offs were chosen at --iou {iou:g}, not {now:g}"
            said.append(Warning("other-matching", text))
        return said

    def decisions(self, found: Gathered, asked: Asked) -> BoxesKept:
        """Count what `apply` would keep."""
        cuts = self.chosen.cutoffs(found.classes).tolist()
        return BoxesKept(found, cuts, asked.conventions.confidence, self.after)


@dataclass(frozen=True, slots=True)
class BoxesKept:
    """Boxes that the cut-offs keep.

    Attributes:
        found: what suppression leaves.
        cuts: the cut-off of each class; `level` that of the intervals.
        after: whether they cut what the calibrator puts out.
    """

    found: Gathered
    cuts: list[float]
    level: float | None
    after: bool

    def _counted(self, one: Slice) -> Decided:
        population = one.used if self.after else one.population
        return box_decisions(
            [population] * len(self.cuts), self.cuts, self.found.classes, self.level
        )

    def shown(self, columns: Sequence[str]) -> Decided:
        """Return the figures of all boxes, and of each value of the group columns asked for."""
        result = self._counted(self.found.overall)
        parts = self._groups([one for one in self.found.groups if one.column in columns])
        return structs.replace(result, groups=parts) if parts else result

    def _groups(self, groups: Sequence[Slice]) -> tuple[Decided, ...]:
        return tuple(
            structs.replace(self._counted(one), slice=one.where, confusion=None) for one in groups
        )

    def of_periods(self, periods: Sequence[Slice]) -> dict[str, Decided]:
        """Return the figures of decisions by period."""
        return by_value(self._groups(periods))


def applied_of(path: str, *, calibrator: bool) -> Applied:
    """Read thresholds of any medium; `calibrator` tells whether there is one.

    Raises:
        InputError: no such artifact.
    """
    if cuts_boxes(path):
        return AppliedBoxes.load(path, calibrator=calibrator)
    return Applied.load(path, calibrator=calibrator)
