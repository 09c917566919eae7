"""The rule of a thresholds artifact.

| rule | decisions |
| --- | --- |
| a cut-off, binary | bool (n,): score >= threshold |
| a cut-off, binary, with `refer=` | int (n,): 1, 0, or REFER (-2) within the band |
| cut-offs of labels, multi-label | bool (n, K), or int (n, K) with bands |
| cut-offs of classes, multi-class | int (n,): a class, or NONE (-1) |
| keep what is sure (`--abstain`) | int (n,): a class, or REFER (-2) |
| least expected cost (`--cost-matrix`) | int (n,): a class, or REFER (-2) |
| prediction sets (`--coverage`) | bool (n, K): which classes are in the set |
| regions (`--search min-area=…`) | of images: see `core.segmentation.regions.MaskRule` |
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from calibcli.core.decisions.rules import (
    ByGroup,
    ClassCuts,
    CostMatrix,
    Cut,
    Keep,
    LabelCuts,
    LeastCost,
    Rule,
)
from calibcli.core.results.base import Record
from calibcli.core.results.figures import Where
from calibcli.core.results.reading import typed_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.threshold import CutOff

CUT = "score >= threshold"
KEEP = "most probable class when its probability >= threshold, else refer"
SETS = "classes whose nonconformity <= quantile"
COSTS = "least expected cost"
REGIONS = "regions of score >= threshold"


class StoredBand(Record, frozen=True):
    """Scores in [low, high) are referred."""

    low: float
    high: float


class StoredCost(Record, frozen=True):
    """What of costs decides: the band that is referred, if any."""

    band: StoredBand | None = None


class StoredCut(Record, frozen=True, kw_only=True):
    """What decides of a cut-off."""

    slice: Where
    threshold: float | None
    logit: float | None = None
    nms_iou: float | None = None
    min_area: int = 0
    fill_holes: bool = False
    cost: StoredCost | None = None
    weight: float | None = None


class StoredQuantile(Record, frozen=True):
    """The quantile of the prediction sets of a slice; None: every class is in the set."""

    slice: Where
    quantile: float | None


class StoredKept(Record, frozen=True):
    """Rows of this confidence are kept."""

    threshold: float


class StoredMatrix(Record, frozen=True):
    """What decisions cost, by truth, and the ratio of the priors."""

    costs: list[list[float]]
    prior_ratio: list[float] | None


class StoredRegions(Record, frozen=True):
    """How masks are filtered, and the structure that gets what no other claims."""

    connectivity: int = 8
    background: str | None = None


class StoredParams(Record, frozen=True, kw_only=True):
    """What of the options of a choice is used later.

    Attributes:
        raw: how raw scores became logits, as `RawScale.from_dict` reads it.
        cost: of errors, as it was typed; `prior` a prevalence, or one of each class.
        max_detections: boxes of a class that count in an image.
        categories: COCO's ids of classes; `iou` at which boxes were matched.
    """

    score: list[str] | None = None
    positive: str | None = None
    logits: bool = False
    raw: dict[str, Any] | None = None
    cost: str | None = None
    prior: float | list[float] | None = None
    guarantee: float | None = None
    per_group: str | None = None
    equal: Literal["recall", "fpr"] | None = None
    unreachable: str | None = None
    max_detections: int | None = None
    categories: dict[str, Any] | None = None
    iou: float | None = None


class StoredThresholds(Record, frozen=True, kw_only=True):
    """What decides of a thresholds artifact, and what it was chosen by.

    Attributes:
        calibrated: whether calibrated probabilities are cut, of the `calibrator` of this digest.
        sets: as `ConformalSets.from_dict` reads them.
        stats: the scores that it was chosen on, as statistics; `group_stats` those of each value
            of the group column.
    """

    task: str
    classes: tuple[str, ...]
    rule: str = CUT
    objective: str | None = None
    constraints: tuple[str, ...] = ()
    calibrated: bool
    calibrator: str | None = None
    thresholds: tuple[StoredCut, ...] = ()
    abstain: StoredKept | None = None
    sets: dict[str, Any] | None = None
    cost_matrix: StoredMatrix | None = None
    regions: StoredRegions | None = None
    rows: int = 0
    params: StoredParams = StoredParams()
    stats: dict[str, Any] | None = None
    group_stats: dict[str, dict[str, Any]] | None = None
    digest: str | None = None

    @property
    def group(self) -> str | None:
        """The column of groups by which decisions differ, if they do."""
        slices = self.set_slices if self.rule == SETS else self.thresholds
        wheres = (one.slice for one in slices)
        return next((str(where.column) for where in wheres if where.kind == "group"), None)

    @property
    def set_slices(self) -> tuple[StoredQuantile, ...]:
        """The slices of prediction sets."""
        return typed_as((self.sets or {}).get("slices", ()), tuple[StoredQuantile, ...])


def rule_of(stored: StoredThresholds, *, exclusive: bool) -> Rule:
    """Return the rule of a thresholds artifact that decides about rows.

    `exclusive` tells that one of several classes is decided a row.
    """
    if stored.sets is not None and stored.rule == SETS:
        from calibcli.core.decisions.conformal import ConformalSets

        return ConformalSets.from_dict(stored.sets)
    if stored.cost_matrix is not None and stored.rule == COSTS:
        ratio = stored.cost_matrix.prior_ratio
        return LeastCost(
            CostMatrix.from_rows(stored.cost_matrix.costs),
            None if ratio is None else np.array(ratio, np.float64),
        )
    if stored.abstain is not None and stored.rule == KEEP:
        return Keep(stored.abstain.threshold)
    return rule_of_cuts(stored.thresholds, stored.classes, exclusive=exclusive)


def rule_of_cuts(
    cuts: Sequence[StoredCut | CutOff], classes: tuple[str, ...], *, exclusive: bool
) -> Rule:
    """Return the rule of cut-offs, of all rows and of groups."""
    rest = _of_one([one for one in cuts if one.slice.kind != "group"], classes, exclusive)
    by_value: dict[str, list[StoredCut | CutOff]] = {}
    column = None
    for one in cuts:
        if one.slice.kind == "group":
            column = column or str(one.slice.column)
            by_value.setdefault(str(one.slice.value), []).append(one)
    if column is None:
        return rest
    rules = {value: _of_one(some, classes, exclusive) for value, some in by_value.items()}
    return ByGroup(column, rest, rules)


def _of_one(cuts: Sequence[StoredCut | CutOff], classes: tuple[str, ...], exclusive: bool) -> Rule:
    """Return the rule of the cut-offs of all rows, or of one group."""
    if not classes:
        cut = _cut(cuts[0])
        return Cut(math.inf) if cut is None else cut
    by_class = {one.slice.label or one.slice.name: one for one in cuts}
    known = [by_class.get(name) for name in classes]
    found = tuple(None if one is None else _cut(one) for one in known)
    if not exclusive:
        return LabelCuts(found)
    thresholds = np.array([math.nan if cut is None else cut.threshold for cut in found])
    weights = [None if one is None else one.weight for one in known]
    if any(weight is None for weight in weights):
        return ClassCuts(thresholds)
    return ClassCuts(thresholds, np.array(weights, np.float64))


def _cut(one: StoredCut | CutOff) -> Cut | None:
    band = None if one.cost is None else one.cost.band
    if band is not None:
        return Cut(band.high, band.low)
    return None if one.threshold is None else Cut(one.threshold, logit=one.logit)
