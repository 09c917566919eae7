"""The result of `measure`: what is known of all rows, of each class and of each group."""

from __future__ import annotations

from typing import Literal

from calibcli.core.results.base import UNSET, Number, Record, UnsetType, always
from calibcli.core.results.comparisons import Drift, Overlap, Series, Versus
from calibcli.core.results.envelope import Envelope, GateResult
from calibcli.core.results.figures import Bin, BinnedEce, Confusion, Figure, Reading, Where
from calibcli.core.results.parts.curves import (
    Band,
    BinnedEcePoint,
    CorpCurve,
    CostCurve,
    Cutoffs,
    NetBenefit,
    PrecisionRecall,
    RiskCoverage,
    Roc,
)
from calibcli.core.results.parts.decided import Confusions, Decided
from calibcli.core.results.parts.evidence import Gathered
from calibcli.core.results.parts.worst import Worst
from calibcli.core.results.warning import Code


class LrpPoint(Record, frozen=True):
    """The optimal cut-off of a class by LRP, and the parts of the error there."""

    threshold: float | None
    localisation: float | None
    false: float | None
    missed: float | None


class SliceResult(Record, frozen=True, kw_only=True):
    """What is known of some of the rows, before calibration and after.

    Attributes:
        slice: which rows; None within `calibrated`.
        metrics: figures by name, in display order.
        confusion: a table a cut-off; None where a row has no single score to cut.
        bins: the reliability table; `ece_by_bins` the ECE under each binning.
        at: readings of the reliability curve.
        grid_error: by metric, how far its value can be from the one on distinct scores.
        calibrated: the same after the calibrator.
        cutoffs: exact counts at a list of cut-offs; this and the other curves are what a report
            draws (see `curves`).
    """

    slice: Where | None = None
    metrics: dict[str, Figure]
    confusion: tuple[Confusion, ...] | None = None
    bins: tuple[Bin, ...]
    ece_by_bins: tuple[BinnedEce, ...] = always(())
    at: tuple[Reading, ...] | None = None
    grid_error: dict[str, float] | None = None
    lrp: LrpPoint | None = None
    roc: Roc | None = None
    pr: PrecisionRecall | None = None
    consistency: Band | UnsetType | None = UNSET
    corp: CorpCurve | None = None
    ece_curve: tuple[BinnedEcePoint, ...] | None = None
    risk_coverage: RiskCoverage | None = None
    net_benefit: NetBenefit | None = None
    cost_curve: CostCurve | None = None
    calibrated: SliceResult | None = None
    cutoffs: Cutoffs | None = None

    @property
    def where(self) -> Where:
        """Which rows; those of a part that has no name of its own are its owner's."""
        assert self.slice is not None
        return self.slice

    @property
    def ece(self) -> Figure | None:
        """The expected calibration error."""
        return self.metrics.get("ece")

    def value(self, metric: str) -> Number | None:
        """Return the value of a metric; None where the slice has none."""
        found = self.metrics.get(metric)
        return None if found is None else found.value

    @property
    def rows(self) -> Number:
        """How many rows there are, or their weight."""
        return self.value("n") or 0

    @property
    def after(self) -> dict[str, Figure] | None:
        """Figures after calibration; None without a calibrator."""
        return None if self.calibrated is None else self.calibrated.metrics

    @property
    def last(self) -> SliceResult:
        """The figures after calibration where there are any, else before."""
        return self.calibrated or self


class Structure(Record, frozen=True, kw_only=True):
    """A structure of a segmentation, judged on the pixels that are decided for it.

    `gap` is the precision less the mean score where it is decided; `mean_dice` the mean over the
    images that have the structure, or are decided to. `tp`, `fp` and `fn` are sums of the weights
    of images where these have some. `name` and `pixels` are None after calibration.
    """

    name: str | None = None
    pixels: int | None = None
    decided: int
    score: Figure
    gap: Figure
    ece: Figure
    precision: Figure
    recall: Figure
    dice: Figure
    iou: Figure
    mean_dice: Figure
    tp: Number
    fp: Number
    fn: Number
    bins: tuple[Bin, ...]
    at: tuple[Reading, ...] | None = None
    calibrated: Structure | None = None

    @property
    def last(self) -> Structure:
        """The figures after calibration where there are any, else before."""
        return self.calibrated or self


class Segmentation(Record, frozen=True):
    """What images have beside their pixels as rows.

    Attributes:
        pixel: the task of a pixel as a row.
        decided: how a pixel is decided.
        hidden: structures beyond tolerance and twice as bad as the average over pixels.
    """

    pixel: str
    images: int
    pixels: Number
    ignored: int
    decided: str
    structures: tuple[Structure, ...]
    hidden: tuple[str, ...]


class MeasureResult(Envelope, frozen=True, kw_only=True):
    """What `measure` found."""

    schema: Literal["calibcli/measure"] = always("calibcli/measure")
    overall: SliceResult
    classes: tuple[SliceResult, ...] = always(())
    groups: tuple[SliceResult, ...] = always(())
    gates: tuple[GateResult, ...] = always(())
    warnings: tuple[str, ...] = always(())
    warning_codes: tuple[Code, ...] = always(())
    decision: Decided | None = None
    confusions: Confusions | None = None
    segmentation: Segmentation | None = None
    overlap: Overlap | None = None
    drift: Drift | None = None
    series: Series | None = None
    versus: Versus | None = None
    worst: Worst | None = None
    evidence: Gathered | None = None

    @property
    def slices(self) -> tuple[SliceResult, ...]:
        """All rows, each class and each group."""
        return (self.overall, *self.classes, *self.groups)
