"""What labels would show, from scores alone and a labelled reference; each rests on an assumption.

Expected accuracy, Brier score and ECE assume that labels follow the scores as they did in the
reference, and only the scores have moved: a score plus the reference's gap around it takes the
place of the missing label. Garg et al., "Leveraging unlabeled data to predict out-of-distribution
performance" (ICLR 2022) discuss the family; NannyML calls it confidence-based estimation.

The estimated prevalence assumes the opposite, that scores follow the labels as they did (only the
mix of labels has moved): the maximum likelihood of Saerens, Latinne and Decaestecker (2002), with
the likelihood ratio of each bin counted in the reference, so that no calibrator's error enters.
Both intervals hold the sampling error of the current rows and of the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.comparison.change import Estimate, difference, freedom
from calibcli.core.comparison.prior import falling_root
from calibcli.core.comparison.shared_bins import binned_index, class_bins
from calibcli.core.metrics import intervals
from calibcli.core.metrics.absolute_sums import AbsoluteSum, Gaps, Shared
from calibcli.core.metrics.binary import Undefined
from calibcli.core.metrics.inversion import interval as absolute_interval
from calibcli.core.metrics.spread import MANY, effective_n
from calibcli.core.results.comparisons import Compared
from calibcli.core.statistics.curves import reliability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.curves import Binning
    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]


CURVE_BINS = 20
ROWS_A_BIN = 50
"""Rows of the reference that a bin of its curve has on average; fewer rows, fewer bins."""


@dataclass(frozen=True, slots=True)
class _Curve:
    """The reference's reliability curve under the current scores.

    Attributes:
        bin: the bin of each current cell (C,); `own` of each reference cell.
        gap: frequency less mean score of each bin in the reference (bins,); `rows` those in it.
        frequency: of label 1 that the curve expects in each current cell (C,).
        share: of the current rows in each cell (C,).
    """

    bin: NDArray[np.intp]
    own: NDArray[np.intp]
    gap: Array
    rows: Array
    frequency: Array
    share: Array

    @classmethod
    def of(cls, reference: ScoreStats, current: ScoreStats) -> _Curve:
        bins = max(1, min(CURVE_BINS, int(effective_n(reference) / ROWS_A_BIN)))
        own, now = binned_index(reference, current, bins)
        size = max(int(own.max()), int(now.max())) + 1
        rows = np.bincount(own, weights=reference.total, minlength=size).astype(np.float64)
        residual = reference.pos - reference.total * reference.score
        gap = np.bincount(own, weights=residual, minlength=size) / np.where(rows > 0, rows, 1.0)
        frequency = np.clip(current.score + gap[now], 0.0, 1.0)
        return cls(now, own, gap, rows, frequency, current.total / float(current.n))

    def per_bin(self, values: Array) -> Array:
        """Return sums over the current cells (C,) of each bin (bins,)."""
        found = np.bincount(self.bin, weights=values, minlength=len(self.gap))
        return found.astype(np.float64)


def expected(
    reference: ScoreStats,
    current: ScoreStats,
    binning: Binning,
    *,
    threshold: float | None,
    confidence: float | None,
) -> dict[str, Compared]:
    """Return the expected accuracy, Brier score and ECE of the current scores.

    Args:
        reference: labelled pairs.
        current: pairs whose labels are not looked at.
        binning: of the ECE.
        threshold: the cut-off of the accuracy; None where a pair is (confidence, right or wrong).
        confidence: level of the intervals; None for none.
    """
    names = ("expected_accuracy", "expected_brier", "expected_ece")
    try:
        curve = _Curve.of(reference, current)
    except Undefined as undefined:
        return dict.fromkeys(names, _guess(reason=str(undefined)))

    def right(stats: ScoreStats) -> tuple[Array, Array]:
        """What a row with label 1 and one with label 0 add to the accuracy."""
        if threshold is None:
            return np.ones(len(stats.key)), np.zeros(len(stats.key))
        alert = (stats.floor >= threshold).astype(np.float64)
        return alert, 1.0 - alert

    def squared(stats: ScoreStats) -> tuple[Array, Array]:
        return (1.0 - stats.score) ** 2, stats.score**2

    found = {}
    for name, of in (("expected_accuracy", right), ("expected_brier", squared)):
        there = of(reference)
        before = float(reference.pos @ there[0] + reference.neg @ there[1]) / float(reference.n)
        found[name] = _mean(curve, reference, current, of(current), confidence, before)
    found["expected_ece"] = _ece(curve, reference, current, binning, confidence)
    return found


def _mean(
    curve: _Curve,
    reference: ScoreStats,
    current: ScoreStats,
    values: tuple[Array, Array],
    confidence: float | None,
    before: float,
) -> Compared:
    """Return the mean of a value by cell and label, with the labels that the curve expects."""
    frequency = curve.frequency
    mean = frequency * values[0] + (1.0 - frequency) * values[1]
    value = float(curve.share @ mean)
    if confidence is None:
        return _guess(value, reference=before)
    spread = [
        Estimate(0.0, _row_variance(current, mean - value), freedom(current)),
        Estimate(
            0.0,
            _curve_variance(curve, reference, curve.per_bin(curve.share * (values[0] - values[1]))),
            freedom(reference),
        ),
    ]
    reach = difference(spread[0], spread[1], confidence).high
    assert reach is not None
    return _guess(value, max(0.0, value - reach), min(1.0, value + reach), before)


def _row_variance(current: ScoreStats, centred: Array) -> float:
    slope = centred / float(current.n)
    return max(intervals.variance(current, (slope, slope)), 0.0)


def _curve_variance(curve: _Curve, reference: ScoreStats, slope: Array) -> float:
    """Return the variance of a sum over bins of slope times the reference's gap."""
    scale = np.divide(slope, curve.rows, out=np.zeros(len(slope)), where=curve.rows > 0)[curve.own]
    centre = reference.score + curve.gap[curve.own]
    gradient = scale * (1.0 - centre), -scale * centre
    return max(intervals.variance(reference, gradient), 0.0)


def _ece(
    curve: _Curve,
    reference: ScoreStats,
    current: ScoreStats,
    binning: Binning,
    confidence: float | None,
) -> Compared:
    bins = reliability(current, binning)
    size = len(bins.count)
    gap = curve.share * (curve.frequency - current.score)
    gaps = np.bincount(bins.index, weights=gap, minlength=size).astype(np.float64)
    value = float(np.abs(gaps).sum())
    there = reliability(reference, binning)
    before = float(there.weight @ np.abs(there.gap))
    if confidence is None:
        return _guess(value, reference=before)
    table = np.zeros((size, len(curve.gap)))
    np.add.at(table, (bins.index, curve.bin), curve.share)
    one_bin = np.eye(len(curve.gap))
    spread = np.sqrt([_curve_variance(curve, reference, slope) for slope in one_bin])
    rows = np.zeros(size)
    for b in np.flatnonzero(bins.used):
        own = (bins.index == b) * (curve.frequency - current.score) - gaps[b]
        rows[b] = _row_variance(current, own)

    # Bins of the ECE that share a bin of the curve share its error; that of the rows is their own.
    noise = np.concatenate([(table * spread).T, np.diag(np.sqrt(rows))])
    used, share = bins.used, bins.weight[bins.used]
    noisy = Gaps(
        gaps[used] / share,
        bins.score[used],
        np.zeros(len(share)),
        np.full(len(share), MANY),
        share,
        MANY,
        Shared(noise[:, used] / share, np.ones((1000, len(share))), MANY),
    )
    ends = absolute_interval(noisy, AbsoluteSum(noisy, share, shares=False), confidence, 0.0)
    return _guess(value, min(ends[0], value), max(ends[1], value), before)


def prevalence(
    reference: ScoreStats, current: ScoreStats, confidence: float | None
) -> dict[str, Compared]:
    """Return the prevalence of label 1 that the current scores tell (see the module)."""
    name = "estimated_prevalence"
    if not reference.positives or not reference.negatives:
        return {name: _guess(reason="one label only in the reference")}
    if not current.n:
        return {name: _guess(reason="no rows")}
    home, now, size = class_bins(reference, current)

    def shares(counts: Array, home: NDArray[np.intp]) -> Array:
        # Half a row a bin, so that a bin that one label never reached tells no certainty.
        found = np.bincount(home, weights=counts, minlength=size) + 0.5
        return np.asarray(found / found.sum(), np.float64)

    one, zero = shares(reference.pos, home), shares(reference.neg, home)
    seen = np.bincount(now, weights=current.total, minlength=size) / float(current.n)

    def slope(q: float) -> float:
        return float(seen @ ((one - zero) / (q * one + (1.0 - q) * zero)))

    value = falling_root(slope, 0.0, 1.0)
    before = float(reference.positives) / float(reference.n)
    if confidence is None:
        return {name: _guess(value, reference=before)}
    mixed = value * one + (1.0 - value) * zero
    lean = (one - zero) / mixed
    information = float(seen @ lean**2)
    if information <= 0.0:
        return {name: _guess(reason="the scores do not tell the labels apart", reference=before)}
    rows = lean / information / float(current.n)
    by_one, by_zero = seen * zero / mixed**2, -seen * one / mixed**2
    by_one = (by_one - one @ by_one) / information / float(reference.positives)
    by_zero = (by_zero - zero @ by_zero) / information / float(reference.negatives)
    spread = difference(
        Estimate(0.0, _variance(current, rows[now] - float(seen @ rows)), freedom(current)),
        Estimate(
            0.0, intervals.variance(reference, (by_one[home], by_zero[home])), freedom(reference)
        ),
        confidence,
    )
    reach = spread.high
    assert reach is not None
    low, high = max(0.0, value - reach), min(1.0, value + reach)
    return {name: _guess(value, low, high, before)}


def _variance(current: ScoreStats, slope: Array) -> float:
    return max(intervals.variance(current, (slope, slope)), 0.0)


def _guess(
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    reference: float | None = None,
    reason: str | None = None,
) -> Compared:
    """Return a figure that labels would give, estimated without them, and that of the reference."""
    return Compared(value=value, low=low, high=high, reference=reference, reason=reason)
