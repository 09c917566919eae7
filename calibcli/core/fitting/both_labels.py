"""p0 and p1 of Venn-Abers, of maps that are made of it: by group, by label, of several classes.

A map of one score returns p1 / (1 - p0 + p1). What is made of such maps is monotone in each of
them, so putting p0 in place of every map, and then p1, gives ends that hold the probability:

    by group    the pools of the p0 of the group's own map and of the overall one, and of the p1;
                of classes divided by a sum as below
    labels      those of each label
    classes     p0 of a class over the sum of it and the p1 of all others, and the other way round

One of p0 and p1 is calibrated whatever the distribution (Vovk and Petej 2014, *Venn-Abers
predictors*) where a map is that of one score; where maps were pooled or divided by a sum, the ends
are those of the probability that is made of them. A class whose scores are kept has them as both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators import Grouped, Identity, OneVsRest, Shrunk, VennAbers
from calibcli.core.calibrators.classes.row_scores import (
    clipped_log,
    finite_rows,
    one_vs_rest_logits,
    raised,
)
from calibcli.core.calibrators.composed.pooling import log_pool, mean_logs
from calibcli.core.numeric.scales import expit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.evidence import FloatArray

    Ends = tuple[FloatArray, FloatArray]


def tells_both(calibrator: Calibrator) -> bool:
    """Return whether a calibrator is made of Venn-Abers alone, beside scores that are kept."""
    if isinstance(calibrator, Shrunk):
        return tells_both(calibrator.own) and tells_both(calibrator.overall)
    if isinstance(calibrator, Grouped):
        own = [one.own for one in calibrator.groups.values() if one.own is not None]
        return all(map(tells_both, [calibrator.overall, *own]))
    if isinstance(calibrator, OneVsRest):
        fitted = [one for one in calibrator.calibrators if not isinstance(one, Identity)]
        return bool(fitted) and all(map(tells_both, fitted))
    return isinstance(calibrator, VennAbers)


def both_labels(calibrator: Calibrator, scores: FloatArray, *, logits: bool) -> Ends:
    """Return the ends (n,) or (n, K) of scores of that shape, of a calibrator that `tells_both`.

    `logits` tells whether the scores are logits; else they are probabilities.
    """
    if isinstance(calibrator, OneVsRest):
        if calibrator.normalize:
            x = finite_rows(scores if logits else clipped_log(scores))
            odds, logits = one_vs_rest_logits(raised(x, calibrator.floor)), True
        else:
            odds = scores
        pairs = [
            both_labels(one, odds[:, k], logits=logits)
            for k, one in enumerate(calibrator.calibrators)
        ]
        low, high = (np.stack(ends, axis=1) for ends in zip(*pairs, strict=True))
        return _of_sum(low, high) if calibrator.normalize else (low, high)
    if isinstance(calibrator, Shrunk):
        own, overall = (
            both_labels(one, scores, logits=logits) for one in (calibrator.own, calibrator.overall)
        )
        return _pooled(own, overall, np.array(calibrator.weight))
    p = expit(scores) if logits else scores
    return calibrator.interval(p) if isinstance(calibrator, VennAbers) else (p, p)


def both_by_group(
    calibrator: Grouped,
    scores: FloatArray,
    codes: NDArray[np.integer],
    values: Sequence[str],
    *,
    logits: bool,
) -> Ends:
    """Return the ends of scores (n,) or (n, K) whose rows have groups; see `Grouped.calibrate`."""
    found = both_labels(calibrator.overall, scores, logits=logits)
    low, high = (np.array(end) for end in found)
    for code in np.unique(codes[codes >= 0]).tolist():
        group = calibrator.groups.get(values[code])
        if group is None or group.own is None:
            continue
        rows = np.flatnonzero(codes == code)
        own = both_labels(group.own, scores[rows], logits=logits)
        weight, overall = np.array(group.weight), (low[rows], high[rows])
        if (weight == 1.0).all():
            ends = own
        elif calibrator.exclusive and scores.ndim == 2:
            share = float(weight[0])
            pairs = zip(own, overall, strict=True)
            ends = _of_sum(*(np.exp(mean_logs(pair, (share, 1.0 - share))) for pair in pairs))
        else:
            ends = _pooled(own, overall, weight if len(weight) > 1 else weight[0])
        low[rows], high[rows] = ends
    return low, high


def _pooled(own: Ends, overall: Ends, weight: FloatArray) -> Ends:
    low, high = (log_pool(pair, (weight, 1.0 - weight)) for pair in zip(own, overall, strict=True))
    return low, high


def _of_sum(low: FloatArray, high: FloatArray) -> Ends:
    """Return the ends of each part of a sum of K, given those of the parts (n, K)."""
    others_high = high.sum(axis=1, keepdims=True) - high
    others_low = low.sum(axis=1, keepdims=True) - low
    return _ratio(low, low + others_high), _ratio(high, high + others_low)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0.0)
