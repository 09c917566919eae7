"""The change of a norm of gaps (ECE) between two independent samples, by inverting a test.

Each sample's f is biased upwards by an amount that depends on its size, so the difference of two
is biased too, towards the smaller sample being worse. As in `absolute_sums`, truth is t d along
the direction d of the observed gaps: the reference's t is the one under which what was seen there
is the mean, and the interval holds the current t under which the difference that was seen is not
surprising.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.comparison.change import changed
from calibcli.core.metrics.inversion import freedom_of, last_within, quantile, upper_tail
from calibcli.core.numeric.special import t_ppf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.absolute_sums import AbsoluteSum, Moments
    from calibcli.core.results.comparisons import Compared

    Array = NDArray[np.float64]


def norm_change(
    reference: AbsoluteSum, current: AbsoluteSum, values: tuple[float, float], confidence: float
) -> Compared:
    """Return the change of a norm, current less reference.

    Args:
        reference: the norm there.
        current: the norm here.
        values: the metric there and here, as it is shown.
        confidence: level of the interval, which is of the true difference.
    """
    df = min(freedom_of(reference.gaps), freedom_of(current.gaps))
    t = t_ppf((1.0 + confidence) / 2.0, df)
    seen = reference.seen()
    observed = current.seen() - seen
    low, high, p = np.inf, -np.inf, 0.0
    for towards, now in product(reference.gaps.directions(), current.gaps.directions()):
        there = last_within(reference.gaps, towards, lambda at: reference.moments(at)[0] - seen)
        truth, before = float(reference.norm(there)), reference.moments(there)

        def end(side: float, now: Array = now, before: Moments = before) -> float:
            def beyond(at: Array) -> Array:
                return quantile(_less(current.moments(at), before), side * t) - observed

            return float(current.norm(last_within(current.gaps, now, beyond)))

        low, high = min(low, end(1.0) - truth), max(high, end(-1.0) - truth)

        def larger(at: Array, truth: float = truth) -> Array:
            return current.norm(at) - truth

        same = last_within(current.gaps, now, larger)
        above = upper_tail(_less(current.moments(same), before), observed, df)
        p = max(p, min(2.0 * min(above, 1.0 - above), 1.0))
    return changed(values[0], values[1], low, high, p)


def _less(moments: Moments, others: Moments) -> Moments:
    """Return the moments of a difference of two independent statistics."""
    return moments[0] - others[0], moments[1] + others[1], moments[2] - others[2]
