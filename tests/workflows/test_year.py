"""A year of nights, simulated: false alarms of the evidence, and that it finds what is broken."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.year import BINNING, CLAIMS, FROM, NIGHTS, SCORE, SIDE
from calibcli.core.comparison.evidence import Evidence, ece_gains, rate_gains
from calibcli.core.statistics.curves import reliability
from calibcli.core.statistics.stats import ScoreStats

pytestmark = pytest.mark.slow
YEARS = 300
ECE, PRECISION = (claim.promise for claim in CLAIMS)


def ece_night(rng, past, gap):
    total = rng.multinomial(1000, np.full(len(SCORE), 1 / len(SCORE)))
    pos = rng.binomial(total, SCORE + gap * SIDE)
    stats = ScoreStats.from_arrays(
        np.repeat(SCORE, 2),
        np.tile([1, 0], len(SCORE)),
        np.column_stack([pos, total - pos]).ravel(),
    )
    gains, off = ece_gains(stats, reliability(stats, BINNING).index, past, ECE.bound)
    return past.after(gains, off.tolist())


def rate_night(rng, past, rate):
    kept = int(rng.binomial(200, rate))
    return past.after(rate_gains(kept, 200 - kept, PRECISION))


def alarm(rng, promise, night, values):
    """Return the night of the first alarm; None where there is none."""
    found = Evidence.none(promise, BINNING.bins)
    for number, value in enumerate(values, start=1):
        found = night(rng, found, value)
        if found.p < 0.05:
            return number
    return None


@pytest.mark.parametrize(
    ("promise", "night", "value", "years"),
    [(ECE, ece_night, 0.05, 100), (PRECISION, rate_night, 0.9, YEARS)],
)
def test_fewer_than_one_year_in_twenty_has_a_false_alarm(promise, night, value, years):
    """The bound is kept and no more: the hardest of all years without a fault."""
    rng = np.random.default_rng(4)
    rings = [alarm(rng, promise, night, [value] * NIGHTS) is not None for _ in range(years)]
    assert sum(rings) <= 0.05 * years


@pytest.mark.parametrize(
    ("promise", "night", "good", "bad", "within"),
    [(ECE, ece_night, 0.0, 0.15, 5), (PRECISION, rate_night, 0.95, 0.8, 4)],
)
def test_a_fault_is_found_in_days(promise, night, good, bad, within):
    rng = np.random.default_rng(5)
    values = [good] * (FROM - 1) + [bad] * 30
    found = [alarm(rng, promise, night, values) for _ in range(20)]
    assert all(one is not None and FROM <= one < FROM + within for one in found)
