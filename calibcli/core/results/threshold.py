"""The result of `threshold`: cut-offs, or another decision, and what they reach."""

from __future__ import annotations

from typing import Any, Literal

from calibcli.core.results.base import UNSET, Number, Record, UnsetType, always, field
from calibcli.core.results.envelope import Envelope, GateResult, Input
from calibcli.core.results.figures import Confusion, Figure, Where
from calibcli.core.results.parts.choices import Abstain, CostMatrix, Sets
from calibcli.core.results.parts.decided import Decided
from calibcli.core.results.parts.searches import (
    Regions,
    TradeOff,
)
from calibcli.core.results.warning import Code

Kind = Literal["empirical", "certified", "conformal"]
"""Best on these rows; holding on new rows with a confidence; holding whatever the model."""


class Resamples(Record, frozen=True):
    """In how many of the resamples a cut-off met the constraints."""

    met: int
    of: int


class Guarantee(Record, frozen=True):
    """What a cut-off is certified for, and the range of cut-offs that are.

    Attributes:
        most: as how many false boxes an image counts at most, and `clipped` images with more.
        within: the column in each of whose groups bounds hold.
    """

    confidence: float
    constraints: tuple[str, ...]
    low: float | None
    high: float | None
    unit: str | None = None
    images: int | None = None
    mean_precision: float | None = None
    units: int | None = None
    means: dict[str, float | None] | None = None
    most: float | None = None
    clipped: int | None = None
    within: str | None = None


class ReferralBand(Record, frozen=True):
    """Scores in [low, high) are referred: its cost a row, and what is decided outside of it."""

    low: float
    high: float
    cost: float
    referred: Number
    tp: Number
    fp: Number
    fn: Number
    tn: Number


class CutCost(Record, frozen=True):
    """The expected cost a row at a cut-off, beside that of the closed form."""

    expected: float
    closed_form_threshold: float
    closed_form_cost: float
    p_value: float | None
    closed_form_band: tuple[float, float] | UnsetType | None = UNSET
    band: ReferralBand | None = None


class Searched(Record, frozen=True):
    """The best cut-off at one NMS IoU that was tried."""

    nms_iou: float | None
    threshold: float | None
    value: float | None
    precision: float | None
    recall: float | None


class PlainCut(Record, frozen=True):
    """The best of the same masks without a region filter."""

    threshold: float | None
    value: float | None


class CrossFitted(Record, frozen=True):
    """Figures of a choice on rows that it has not seen: each fold decided by that of the others.

    Attributes:
        value: what the objective reaches.
        rows_needed: rows like these that would show each target to be met, where that is known.
        reason: why there are no figures.
    """

    folds: int
    value: Figure | None = None
    precision: Figure | None = None
    recall: Figure | None = None
    f1: Figure | None = None
    specificity: Figure | None = None
    fpr: Figure | None = None
    iou: Figure | None = None
    mean_dice: Figure | None = None
    rows_needed: dict[str, int | None] | None = None
    reason: str | None = None
    fp_per_image: Figure | None = None


class CutOff(Record, frozen=True, kw_only=True):
    """A chosen cut-off and what it reaches; None with a `reason` where nothing could be chosen.

    Attributes:
        slice: whose scores it cuts.
        threshold: positive means score >= threshold; its interval is over resamples.
        logit: the same cut-off on the scale of logits, which are decided by it.
        weight: several classes: the largest probability / weight wins the row.
        nms_iou: detection: boxes are suppressed from this IoU on.
        n: rows; None where a file of cut-offs does not say.
        value: what the objective reaches; a file may have the number alone, see `reached`.
        optimism: how much of `value` is the choice's own doing, over resamples.
        min_area: masks: regions of fewer pixels are left out, and holes are filled.
        same_regions: share of resamples that choose the same filter.
    """

    slice: Where
    threshold: float | None
    logit: float | None = None
    threshold_low: float | UnsetType | None = UNSET
    threshold_high: float | UnsetType | None = UNSET
    nms_iou: float | UnsetType | None = UNSET
    n: Number | None = None
    value: Figure | Number | None = None
    confusion: Confusion | None = None
    min_area: int | None = None
    fill_holes: bool | None = None
    pooled_dice: Figure | None = None
    pooled_iou: Figure | None = None
    mean_dice: Figure | None = None
    guarantee: Guarantee | None = None
    without_regions: PlainCut | None = None
    optimism: float | None = None
    resamples: Resamples | None = None
    same_regions: float | None = None
    cross_fitted: CrossFitted | None = None
    cost: CutCost | None = None
    weight: float | None = None
    searched: tuple[Searched, ...] | None = None
    reason: str | None = None

    @property
    def reached(self) -> Figure | None:
        """What the objective reaches, with its interval where that is known."""
        value = self.value
        return value if value is None or isinstance(value, Figure) else Figure(value)

    @property
    def crossed(self) -> Figure | None:
        """What the objective reaches on rows that the choice has not seen."""
        return None if self.cross_fitted is None else self.cross_fitted.value

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """The interval of the cut-off."""
        low, high = self.threshold_low, self.threshold_high
        return None if low is UNSET else low, None if high is UNSET else high

    @property
    def suppression(self) -> float | None:
        """The NMS IoU, of boxes."""
        return None if self.nms_iou is UNSET else self.nms_iou


class Equal(Record, frozen=True):
    """The figure that is the same in each group, at what level."""

    figure: Literal["recall", "fpr"]
    level: float
    value: float | None


class GroupCut(Record, frozen=True):
    """What a cut-off does in a group: the constraints it breaks, and those it breaks surely."""

    slice: Where
    threshold: float | None
    n: Number
    confusion: Confusion
    breaks: tuple[str, ...]
    beyond_chance: tuple[str, ...]


class CommonValue(Record, frozen=True):
    """The objective of one cut-off for all classes, on rows that its choice has not seen."""

    folds: int
    value: Figure
    rows: dict[str, Figure] | None = None


class CommonCut(Record, frozen=True, kw_only=True):
    """One cut-off for all classes, and the objective there.

    Attributes:
        tied: counts the candidates that do as well.
        logit: the same cut-off in logits.
        rows: means over rows, or other units, of the label set of each.
    """

    threshold: float
    logit: float | None = None
    value: float
    tied: int
    cross_fitted: CommonValue | None = None
    unit: str | None = None
    units: int | None = None
    rows: dict[str, Figure] | None = None
    guarantee: Guarantee | None = None


class Choice(Envelope, frozen=True, kw_only=True):
    """Cut-offs, or another decision, and what they reach."""

    objective: str | None
    constraints: tuple[str, ...] = always(())
    kind: Kind
    thresholds: tuple[CutOff, ...] = always(())
    common: CommonCut | None = None
    equal: Equal | None = None
    trade_off: TradeOff | None = None
    decision: Decided | None = None
    groups: tuple[GroupCut, ...] | None = None
    abstain: Abstain | None = None
    sets: Sets | None = None
    cost_matrix: CostMatrix | None = None
    regions: Regions | None = None
    warnings: tuple[str, ...] = always(())
    warning_codes: tuple[Code, ...] = always(())
    gates: tuple[GateResult, ...] = ()


class ThresholdResult(Choice, frozen=True, kw_only=True):
    """What `threshold` chose."""

    schema: Literal["calibcli/threshold"] = always("calibcli/threshold")


class ThresholdsFile(Choice, frozen=True, kw_only=True):
    """Cut-offs as they are kept; `calibrated`: they cut calibrated probabilities."""

    schema: Literal["calibcli/thresholds"] = always("calibcli/thresholds")
    inputs: tuple[Input, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    objective: str | None = None
    calibrated: bool = False
