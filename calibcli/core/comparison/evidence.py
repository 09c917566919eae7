"""Evidence against a promise, gathered night by night at one error rate however often one looks.

A promise is that every night's rows keep a bound: a rate of decisions is at least p, or the ECE is
at most a tolerance. A bet that cannot gain on average while the promise is kept multiplies a
capital that begins at 1; so where the promise is kept, the capital ever reaches 1/alpha with a
probability of alpha at most (Ville's inequality). A bet on one row is 1 + b (m - x), where x has a
mean of at least m as long as the promise is kept (Waudby-Smith and Ramdas, "Estimating means of
bounded random variables by betting", JRSS B 86, 2024, section 4; for forecasts Arnold, Henzi and
Ziegel, "Sequentially valid tests for forecast calibration", Annals of Applied Statistics 17, 2023).

- Rate: x is whether a decision was right, m the promised rate.
- ECE: x is -s (y - p) for a row of score p, label y and bin b, where s = +1 or -1 is the side on
  which the bin was wrong in the nights before; m is -tolerance. Whatever the sides are, the mean of
  s (y - p) is at most the ECE in these bins.

How large a bet is best depends on how wrong things are, and from when on: capitals of several sizes
are kept, and a new one begins each night with a part of what is not at stake yet (a mixture over
the night of the change, as in Shin, Ramdas and Rinaldo, "E-detectors", New England Journal of
Statistics in Data Science 2, 2023). Nights that were good therefore do not use up what tells of a
bad one. All nights together begin with a capital of 1, a half of it in the first year.

Rows of a night are independent given the nights before; the order in which nights come is theirs.
Where rows come in units, `evidence_by_unit` bets on units; `Family` shares one level among groups.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from calibcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Floats = NDArray[np.float64]

YEAR: Final = 366
"""Nights over which a year's capital is spread."""
ODDS: Final = (1.1, 1.25, 1.5, 2.0, 3.0, 6.0)
"""By how much the odds of an error are bet to have grown, of a rate."""
BETS: Final = (0.02, 0.05, 0.12, 0.25, 0.45, 0.7)
"""Sizes of bets against an ECE, in parts of the largest that cannot lose everything."""
MEMORY: Final = 0.8
"""What a night counts for the sides of bins in the next one, the night before 1."""
ECE: Final = "ece"
RATES: Final = {
    "precision": (True, ("tp",), ("fp",)),
    "recall": (True, ("tp",), ("fn",)),
    "specificity": (True, ("tn",), ("fp",)),
    "npv": (True, ("tn",), ("fn",)),
    "fpr": (False, ("tn",), ("fp",)),
    "fnr": (False, ("tp",), ("fn",)),
    "positive-rate": (False, ("tn", "fn"), ("tp", "fp")),
}
"""Whether a rate is promised to be at least the bound; which counts keep it, and which do not."""
_PROMISE = re.compile(r"\s*([a-z-]+)\s*(>=|<=)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Promise:
    """A bound that every night is to keep, such as `precision>=0.9` or `ece<=0.05`."""

    figure: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Promise:
        """Read a promise.

        Raises:
            UsageError: another figure, the wrong side, a bound that is none.
        """
        match = _PROMISE.fullmatch(text)
        figure = match[1] if match else ""
        known = (ECE, *RATES)
        if match is None or figure not in known:
            raise UsageError(
                f"no promise: {text!r}",
                did_you_mean(figure, known) or f"such as precision>=0.9; of {', '.join(known)}",
            )
        sign = _sign(figure)
        try:
            bound = float(match[3])
        except ValueError:
            bound = float("nan")
        if match[2] != sign or not 0.0 < bound < 1.0:
            raise UsageError(
                f"{text!r} promises nothing", f"such as {figure}{sign}0.1: between 0 and 1"
            )
        return cls(figure, bound)

    def __str__(self) -> str:
        """Return it as it is written in a file."""
        return f"{self.figure}{_sign(self.figure)}{self.bound:g}"


def _sign(figure: str) -> str:
    return "<=" if figure == ECE or not RATES[figure][0] else ">="


@dataclass(frozen=True, slots=True)
class Evidence:
    """What has been gathered against one promise.

    Attributes:
        logs: logarithm of the capital of each bet; -inf before the first night.
        nights: how many have counted.
        highest: the largest logarithm of the whole capital after any night.
        sides: ECE: of each bin the sum of label less score, nights before counting less.
        largest: by unit: what the unit that could cost most has had at stake, on any night so far;
            of each side of an ECE, or of the rate.
    """

    logs: tuple[float, ...]
    nights: int = 0
    highest: float = 0.0
    sides: tuple[float, ...] = ()
    largest: tuple[float, ...] = ()

    @classmethod
    def none(cls, promise: Promise, bins: int) -> Evidence:
        """Return what there is before the first night."""
        size = 3 * len(BETS) if promise.figure == ECE else len(ODDS)
        return cls((-np.inf,) * size, sides=(0.0,) * bins if promise.figure == ECE else ())

    @property
    def log_e(self) -> float:
        """Logarithm of the capital after the last night, what is not at stake yet included."""
        at_stake = np.logaddexp.reduce(self.logs) - np.log(len(self.logs))
        return float(np.logaddexp(at_stake, np.log(unspent(self.nights))))

    @property
    def p(self) -> float:
        """The p-value that holds at whatever night one looks: of the highest capital so far."""
        return float(min(1.0, np.exp(-self.highest)))

    def after(
        self, gains: Floats, sides: Sequence[float] = (), largest: Sequence[float] = ()
    ) -> Evidence:
        """Return the evidence after a night whose bets (B,) have these logarithms of their gain."""
        fresh = np.log(unspent(self.nights) - unspent(self.nights + 1))
        logs = np.logaddexp(np.array(self.logs), fresh) + gains
        kept = MEMORY * np.array(self.sides) + np.array(sides)
        found = replace(
            self,
            logs=tuple(logs.tolist()),
            nights=self.nights + 1,
            sides=tuple(kept.tolist()),
            largest=tuple(largest) or self.largest,
        )
        return replace(found, highest=max(self.highest, found.log_e))


def unspent(nights: int) -> float:
    """Return the capital that is not at stake after so many nights: a half of it in a year.

    Year m has a part 1 / (m (m + 1)) of it, which are 1 over all years.
    """
    year, night = divmod(nights, YEAR)
    return 1.0 / (year + 1) - night / (YEAR * (year + 1.0) * (year + 2.0))


def rate_gains(kept: float, broken: float, promise: Promise) -> Floats:
    """Return the logarithm of what each bet (B,) against a rate gains in a night.

    Args:
        kept: decisions that keep the promise.
        broken: those that do not.
        promise: the rate that was promised.
    """
    least = promise.bound if RATES[promise.figure][0] else 1.0 - promise.bound
    error = 1.0 - least
    odds = np.array(ODDS) * error / least
    alternative = odds / (1.0 + odds)
    gains: Floats = kept * np.log((1.0 - alternative) / least) + broken * np.log(
        alternative / error
    )
    return gains


def ece_gains(
    stats: ScoreStats, home: NDArray[np.intp], past: Evidence, tolerance: float
) -> tuple[Floats, Floats]:
    """Return the logarithm of what each bet (B,) on an ECE gains, and label less score by bin.

    A cell of a grid holds several scores: what the gain of their mean may be above that of each is
    taken off.

    Args:
        stats: the pairs.
        home: the bin of each cell (C,).
        past: the evidence before this night.
        tolerance: the ECE that was promised.
    """
    score, pos, neg = stats.score, stats.pos, stats.neg
    width, gains = widths(stats), []
    for sides in sides_tried(past, home):
        for part in BETS:
            bet = part / (1.0 + tolerance)
            hit = np.log1p(bet * (sides * (1.0 - score) - tolerance))
            miss = np.log1p(bet * (-sides * score - tolerance))
            least = 1.0 - part
            doubt = (bet * width / least) ** 2 / 8.0
            gains.append(float((pos * (hit - doubt) + neg * (miss - doubt)).sum()))
    return np.array(gains), off_by(stats, home, past)


def sides_tried(past: Evidence, home: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Return the sides (C,) that bets are on: those of the nights before, and each for all."""
    learnt = np.where(np.array(past.sides)[home] < 0.0, -1.0, 1.0)
    return learnt, np.ones(len(home)), -np.ones(len(home))


def off_by(stats: ScoreStats, home: NDArray[np.intp], past: Evidence) -> Floats:
    """Return label less score, summed by bin."""
    residual = stats.pos - (stats.pos + stats.neg) * stats.score
    found: Floats = np.zeros(len(past.sides))
    np.add.at(found, home, residual)
    return found


def widths(stats: ScoreStats) -> Floats:
    """Return how far scores of one cell (C,) may be apart."""
    if stats.exact:
        return np.zeros(len(stats.score))
    found: Floats = np.ldexp(np.minimum(stats.score, 1.0 - stats.score), -(stats.table.bits or 0))
    return found


@dataclass(frozen=True, slots=True)
class Family:
    """How groups share one error rate, though nobody knows which of them are still to come.

    The groups of the first night that has some share a half of it; the n-th that comes later has
    1 / (n (n + 1)) of the other half. Divided by its share, a group's p-value holds for all of
    them, at whatever night one looks (Bonferroni's inequality with weights).

    Attributes:
        first: how many groups the first night had.
    """

    first: int

    def share(self, late: int) -> float:
        """Return the share of a group: 0 is one of the first, n the n-th that came later."""
        return 0.5 / (late * (late + 1)) if late else 0.5 / self.first

    def p(self, own: float, late: int) -> float:
        """Return the p-value of a group for all groups together."""
        return min(1.0, own / self.share(late))
