"""What a report draws of a slice: curves as lists of numbers of one length."""

from __future__ import annotations

from calibcli.core.results.base import Number, Record

Numbers = list[float]


class Roc(Record, frozen=True):
    """The ROC curve: its first point, at which nothing is positive, has no threshold."""

    fpr: Numbers
    tpr: Numbers
    threshold: list[float | None]


class PrecisionRecall(Record, frozen=True):
    """Precision and recall at falling thresholds."""

    recall: Numbers
    precision: Numbers
    threshold: Numbers


class Band(Record, frozen=True):
    """Where the frequencies of an honest model's bins lie, one pair a bin; None for empty bins."""

    low: list[float | None]
    high: list[float | None]


class CorpBand(Record, frozen=True):
    """Where the CORP curves of an honest model lie, at some scores."""

    score: Numbers
    low: Numbers
    high: Numbers


class CorpCurve(Record, frozen=True):
    """The isotonic recalibration of the scores, and its consistency band or why there is none."""

    score: Numbers
    fitted: Numbers
    blocks: int
    band: CorpBand | None
    reason: str | None = None


class BinnedEcePoint(Record, frozen=True):
    """ECE under one number of bins of one kind."""

    binning: str
    bins: int
    ece: float | None
    low: float | None
    high: float | None


class RiskCoverage(Record, frozen=True):
    """Errors among the rows of highest confidence, and the areas under that curve."""

    confidence: Numbers
    coverage: Numbers
    risk: Numbers
    area: float
    excess_area: float


class OverAll(Record, frozen=True):
    """What the net benefit is above that of acting on every row, with its interval."""

    value: Numbers
    low: Numbers
    high: Numbers


class NetBenefit(Record, frozen=True):
    """Net benefit of acting on the scores, and of acting on every row, by threshold probability.

    Attributes:
        low, high: the interval of `model`, which is what it is above acting on none.
        useful: the ranges of threshold probabilities in which both intervals lie above 0.
    """

    threshold: Numbers
    model: Numbers
    all: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    over_all: OverAll | None = None
    useful: tuple[tuple[float, float], ...] | None = None


class OutcomeCosts(Record, frozen=True):
    """What each of the four outcomes costs."""

    fp: float
    fn: float
    tp: float
    tn: float


class Cheapest(Record, frozen=True):
    """The cheapest of all cut-offs, and its expected cost a row."""

    threshold: float
    cost: float


class CostCurve(Record, frozen=True):
    """Expected cost a row at thresholds; `closed_form` is the best cut-off of calibrated scores."""

    costs: OutcomeCosts
    threshold: Numbers
    cost: Numbers
    best: Cheapest
    closed_form: float


class Cutoffs(Record, frozen=True):
    """Exact counts at increasing thresholds: positive is score >= threshold.

    `every` says that all distinct scores are listed, so that the counts at any other cut-off are
    those of the next one up.
    """

    threshold: Numbers
    tp: list[Number]
    fp: list[Number]
    positives: Number
    negatives: Number
    every: bool
