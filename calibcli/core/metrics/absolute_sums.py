"""Sums of absolute or squared gaps that are seen with noise, and their moments under a truth.

Every ECE is such a sum. It is biased upwards, most of all where the model is honest, and a
bootstrap doubles that bias instead of removing it. But how it is distributed under a truth is
known: a gap is close to normal, so its absolute value is a folded normal, whose first three
moments are closed forms, and the sum has their sums. `inversion` makes an interval of that.

The variance is that of the tested truth, not of what was seen: where frequencies are score + gap
it is score (1 - score) + gap (1 - 2 score) - gap^2, the scores' own doubt where the truth is 0,
and it does not vanish because labels happen to agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from calibcli.core.numeric.special import norm_cdf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Moments = tuple[Array, Array, Array]

_FEW_BUCKETS = 5.0
TINY = 1e-180  # its 1.5th power is a number


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Noise of gaps that comes from clusters.

    Attributes:
        sums: (units, m) what each bucket of clusters adds to each gap.
        rows: (units, m) its rows there.
        df: degrees of freedom of the variance between buckets.
    """

    sums: Array
    rows: Array
    df: float


def reached(rows: Array) -> Array:
    """Return how many buckets of equal size reach each gap (m,), from their rows (units, m)."""
    squares = (rows**2).sum(axis=0)
    found: Array = rows.sum(axis=0) ** 2 / np.maximum(squares, TINY)
    return found


def steady(rows: Array) -> Array:
    """Return how far the variance between buckets is to be relied on (m,), from 0 to 1."""
    found: Array = reached(rows) / (reached(rows) + _FEW_BUCKETS)
    return found


def mixed(alone: Array, between: Array, trust: Array, most: float) -> tuple[Array, Array]:
    """Return the variance of gaps apart (..., m), and that which clusters share (m,).

    A gap that one bucket reaches would seem free of noise. So the variance between buckets is
    mixed with that of independent rows times the design effect of all gaps.
    """
    mass = np.maximum(alone @ trust, TINY)
    effect = np.clip(float(trust @ between) / mass, 1.0, most)[..., None]
    apart = trust * np.maximum(alone - between, 0.0) + (1.0 - trust) * effect * alone
    return apart, trust * between


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Signed gaps of m bins, frequency less mean score, and what is known of their noise.

    Attributes:
        gap: (m,) as observed.
        score: (m,) mean score.
        doubt: (m,) mean of score (1 - score): the variance of a label if the scores are honest.
        rows: (m,) how many independent rows each is worth.
        share: (m,) of all rows.
        n: how many independent rows all are worth.
        shared: noise between clusters; None where rows are independent.
    """

    gap: Array
    score: Array
    doubt: Array
    rows: Array
    share: Array
    n: float
    shared: Shared | None = None

    def feasible(self, gap: Array) -> Array:
        """Return gaps (..., m) cut to those that leave each frequency within [0, 1]."""
        return np.clip(gap, -self.score, 1.0 - self.score)

    def alone(self, gap: Array) -> Array:
        """Return the variance of each gap (..., m) if the truth is `gap` and rows independent."""
        label = self.doubt + gap * (1.0 - 2.0 * self.score) - gap**2
        found: Array = np.maximum(label, 0.0) / self.rows
        return found

    def variance(self, gap: Array) -> tuple[Array, Array]:
        """Return the variance of each gap under a truth (..., m): apart, and shared (m,)."""
        alone = self.alone(gap)
        if self.shared is None:
            return alone, np.zeros(len(self.gap))
        between = (self.shared.sums**2).sum(axis=0)
        return mixed(alone, between, steady(self.shared.rows), self.n)

    def directions(self) -> list[Array]:
        """Return gaps (m,) whose multiples are the truths that are tried.

        The observed ones, and the same where bins in which all labels agree, so that the gap is
        as large as it can be, could also lie on the other side.
        """
        frequency, rows = self.score + self.gap, self.rows
        if self.shared is not None:
            rows = np.minimum(rows, reached(self.shared.rows))
        towards = np.where(frequency < 0.5, 1.0, -1.0)
        agree = (frequency <= 1e-12) | (frequency >= 1.0 - 1e-12)
        other = np.where(agree, towards * (1.0 - 0.05 ** (1.0 / rows)), self.gap)
        if not other.any():
            other = towards * np.sqrt(self.doubt / self.rows)
        return [d for d in (self.gap, other) if d.any()]

    def surest(self) -> Array:
        """Return the observed gaps, of which only the surest is not 0 (m,)."""
        honest = sum(self.variance(np.zeros(len(self.gap)))) + 1.0 / self.rows**2
        ratio = self.gap**2 / honest
        return np.where(ratio >= ratio.max(), self.gap, 0.0)


def joined(parts: Sequence[Gaps], weights: Sequence[float]) -> tuple[Gaps, Array]:
    """Return the gaps of several populations as one, and the weight of each gap.

    Args:
        parts: of each population.
        weights: of each; a gap has its share of the rows times that.
    """
    weight = np.concatenate([w * part.share for w, part in zip(weights, parts, strict=True)])
    noises = [part.shared for part in parts if part.shared is not None]
    shared = None
    if len(noises) == len(parts):
        units = max(len(noise.sums) for noise in noises)
        sums = [np.pad(noise.sums, ((0, units - len(noise.sums)), (0, 0))) for noise in noises]
        rows_of = [np.pad(noise.rows, ((0, units - len(noise.rows)), (0, 0))) for noise in noises]
        df = min(noise.df for noise in noises)
        shared = Shared(np.concatenate(sums, axis=1), np.concatenate(rows_of, axis=1), df)
    fields = ("gap", "score", "doubt", "rows")
    gap, score, doubt, rows = (
        np.concatenate([getattr(part, name) for part in parts]) for name in fields
    )
    n = max(part.n for part in parts)
    return Gaps(gap, score, doubt, rows, weight, n, shared), weight


class Statistic(Protocol):
    """A figure of the gaps that grows with them, and its moments under a truth."""

    def seen(self) -> float:
        """Return the observed value."""

    def of(self, gap: Array) -> Array:
        """Return the value that is computed from observed gaps (..., m)."""

    def norm(self, truth: Array) -> Array:
        """Return the figure itself if the gaps are `truth` (..., m)."""

    def moments(self, truth: Array) -> Moments:
        """Return mean, variance and third central moment of the statistic under a truth.

        Between few clusters the variances are unsure, and so is the bias that comes from them.
        """


def folded(gap: Array, error: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return the moments of |x| for x normal (gap, error^2), and two covariances of it.

    Returns:
        Mean, variance, third central moment; the expectation of the sign of x, and the density
        of x at 0: the covariance of |x| with x, and with half of x^2, over the variance of x.
    """
    error = np.maximum(error, 1e-150)
    ratio = gap / error
    density = np.exp(-0.5 * np.minimum(ratio**2, 1400.0)) / np.sqrt(2.0 * np.pi)
    sign = 2.0 * norm_cdf(ratio) - 1.0
    mean = 2.0 * error * density + gap * sign
    square = gap**2 + error**2
    own = error**2
    cube = gap * (gap * gap + 3.0 * own) * sign
    cube += 2.0 * error * (square + own) * density
    mean2 = mean * mean
    variance = np.maximum(square - mean2, 0.0)
    third = mean * (2.0 * mean2 - 3.0 * square) + cube
    return mean, variance, third, sign, density / error


@dataclass(frozen=True, eq=False)
class AbsoluteSum:
    """Sum of |x| over x = linear (weight gap), `linear` the identity where it is None.

    Attributes:
        gaps: of the bins.
        weight: (m,) of each.
        linear: (r, m) a map of the weighted gaps.
        shares: whether the weights are shares of the rows, which are drawn too.
        effect: how much larger the variance of the sum is than if the gaps were independent;
            0 where that is to be found from the noise between clusters.
    """

    gaps: Gaps
    weight: Array
    linear: Array | None = None
    shares: bool = True
    effect: float = 0.0

    def _at(self, gap: Array) -> Array:
        parts = gap * self.weight
        return parts if self.linear is None else parts @ self.linear.T

    def seen(self) -> float:
        """Return the observed value."""
        return float(self.norm(self.gaps.gap))

    def of(self, gap: Array) -> Array:
        """Return the value that is computed from observed gaps (..., m)."""
        return self.norm(gap)

    def norm(self, truth: Array) -> Array:
        """Return the figure itself if the gaps are `truth` (..., m)."""
        found: Array = np.abs(self._at(truth)).sum(axis=-1)
        return found

    def moments(self, truth: Array) -> Moments:
        """Return mean, variance and third central moment under a truth."""
        gaps = self.gaps
        direct = gaps.alone(truth) * self.weight**2
        alone = direct if self.linear is None else direct @ (self.linear**2).T
        apart, between = alone, np.zeros(alone.shape[-1])
        if gaps.shared is not None:
            apart, between = mixed(alone, (self._sums**2).sum(axis=0), self._trust, gaps.n)
        noise = apart + between
        mean, variance, third, sign, density = folded(self._at(truth), np.sqrt(noise))
        independent = variance.sum(axis=-1)
        total = independent
        if self.effect:
            total = total * self.effect
        elif self.linear is not None or gaps.shared is not None:
            # The covariances of |x|: of its sign, and of its size where the truth is near 0.
            whole = (sign * np.sqrt(self._trust)) @ self._sums.T
            total = total + (whole**2).sum(axis=-1) - (sign**2 * noise).sum(axis=-1)
            lean = sign * np.sqrt(apart / np.maximum(alone, TINY))
            lean = lean if self.linear is None else lean @ self.linear
            total = total + (lean**2 * direct).sum(axis=-1)
            total = total + 2.0 * _form(density * noise, self._correlation)
        # As skew as a sum of as many independent gaps as would have that variance.
        skew = third.sum(axis=-1) * np.clip(total / np.maximum(independent, TINY), 0.0, 1e4) ** 2
        if self.shares:
            size = np.abs(truth)
            spread = (size**2 @ gaps.share) - (size @ gaps.share) ** 2
            total = total + np.maximum(spread, 0.0) / gaps.n
        value = mean.sum(axis=-1)
        if gaps.shared is not None:
            # Sums that overlap have much the same variances, which are unsure together.
            times = 4.0 if self.linear is None else 1.5
            total = total + (value - self.norm(truth)) ** 2 / (times * gaps.shared.df)
        return value, total, skew

    @cached_property
    def _sums(self) -> Array:
        """What each bucket of clusters adds to each x (units, r)."""
        shared = self.gaps.shared
        if shared is None:
            return np.zeros((1, len(self.weight) if self.linear is None else len(self.linear)))
        return self._at(shared.sums)

    @cached_property
    def _trust(self) -> Array:
        """How far the variance between buckets of each x is to be relied on (r,)."""
        shared = self.gaps.shared
        if shared is None:
            return np.zeros(self._sums.shape[1])
        return steady(shared.rows if self.linear is None else shared.rows @ self.linear.T)

    @cached_property
    def _correlation(self) -> Array:
        """What the |x| share (r, r) of honest scores, in squared correlations; 0 of one alone.

        For a correlation r of x it is 2 (sqrt(1 - r^2) + r asin(r) - 1), close to r^2.
        """
        direct = self.gaps.alone(np.zeros(len(self.weight))) + 1.0 / self.gaps.rows**2
        direct = direct * self.weight**2
        linear = np.eye(len(direct)) if self.linear is None else self.linear
        apart = (linear * direct) @ linear.T
        shared = self._sums.T @ self._sums
        root = np.sqrt(self._trust)
        covariance = shared * np.outer(root, root)
        covariance += apart * np.outer(np.sqrt(1.0 - self._trust), np.sqrt(1.0 - self._trust))
        error = np.sqrt(np.maximum(np.diag(covariance), 1e-100))
        r = np.clip(covariance / np.outer(error, error), -1.0, 1.0)
        found: Array = 2.0 * (np.sqrt(1.0 - r**2) + r * np.arcsin(r) - 1.0)
        np.fill_diagonal(found, 0.0)
        return found


def _form(x: Array, matrix: Array) -> Array:
    found: Array = ((x @ matrix) * x).sum(axis=-1)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class SquaredSum:
    """Sum of weight gap^2, less what noise adds to it on average as `taken_off` says."""

    gaps: Gaps
    weight: Array
    counted: Array
    taken_off: float

    def seen(self) -> float:
        """Return the observed value."""
        return float((self.weight * self.counted) @ self.gaps.gap**2) - self.taken_off

    def of(self, gap: Array) -> Array:
        """Return the value that is computed from observed gaps (..., m)."""
        share = self.gaps.score + gap
        rows = np.maximum(self.gaps.rows - 1.0, 1.0)
        found: Array = (gap**2 - share * (1.0 - share) / rows) @ (self.weight * self.counted)
        return found

    def norm(self, truth: Array) -> Array:
        """Return the figure itself if the gaps are `truth` (..., m)."""
        found: Array = np.sqrt(truth**2 @ self.weight)
        return found

    def moments(self, truth: Array) -> Moments:
        """Return mean, variance and third central moment under a truth."""
        gaps, weight = self.gaps, self.weight * self.counted
        apart, between = gaps.variance(truth)
        variance = apart + between
        share = gaps.score + truth
        # gap^2 - share (1 - share) / (rows - 1) is quadratic in the gap's noise.
        taken = 1.0 / np.maximum(gaps.rows - 1.0, 1.0)
        linear = variance * (2.0 * truth - taken * (1.0 - 2.0 * share)) ** 2
        curved = variance * (1.0 + taken)
        mean = (truth**2 + curved - taken * np.maximum(share * (1.0 - share), 0.0)) @ weight
        total = (linear + 2.0 * curved**2) @ weight**2
        third = (6.0 * linear * curved + 8.0 * curved**3) @ weight**3
        if gaps.shared is not None:
            factors = gaps.shared.sums * np.sqrt(steady(gaps.shared.rows))
            covariance = factors.T @ factors
            np.fill_diagonal(covariance, 0.0)
            total = total + 2.0 * float(weight @ covariance**2 @ weight)
            total = total + 4.0 * _form(truth * weight, covariance)
            total = total + (variance @ weight) ** 2 / gaps.shared.df
        return mean, total, third
