"""The reliability curve read at one confidence, and which of many readings chance explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibcli.core.comparison.holm import holm
from calibcli.core.metrics.shares import effective_rows
from calibcli.core.numeric.proportions import binomial_p, clopper_pearson
from calibcli.core.results.figures import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.metrics.binary import View
    from calibcli.core.results.figures import Verdict


def read_at(view: View, at: float, tolerance: float, level: float | None) -> Reading:
    """Return the reading of the bin that holds `at`, with an interval unless `level` is None.

    The interval and p are exact binomial ones, of the effective number of rows of the bin.
    """
    bins = view.bins
    held = np.flatnonzero((bins.low <= at) & (at <= bins.high))
    side = held[0] if view.binning.closed == "right" and len(held) else held[-1:].sum()
    b = int(side)
    ends = (float(bins.low[b]), float(bins.high[b]))
    if not len(held) or not bins.used[b]:
        return Reading(at, ends, 0, None, None, None, "no data")
    gap, frequency, score = (float(v[b]) for v in (bins.gap, bins.frequency, bins.score))
    verdict: Verdict = "within tolerance"
    if abs(gap) > tolerance:
        verdict = "over-confident" if gap < 0 else "under-confident"
    found = Reading(at, ends, bins.count[b].item(), score, frequency, gap, verdict)
    if level is None:
        return found
    rows = float(effective_rows(view, level)[b])
    low, high = clopper_pearson(frequency * rows, rows, level)
    return msgspec.structs.replace(
        found,
        correctness_low=float(low),
        correctness_high=float(high),
        p=binomial_p(frequency * rows, rows, score),
    )


def judged(readings: Sequence[Reading], alpha: float) -> list[Reading]:
    """Return the readings with `beyond_chance`, where they have a p: `alpha` is of all together."""
    tested = [i for i, one in enumerate(readings) if one.p is not None]
    beyond = holm([p for one in readings if (p := one.p) is not None], alpha)
    result = list(readings)
    for i, told in zip(tested, beyond, strict=True):
        result[i] = msgspec.structs.replace(readings[i], beyond_chance=told)
    return result
