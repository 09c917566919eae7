"""The change of a norm of gaps (ECE) between two independent samples, by inverting a test.

Each sample's f is biased upwards by an amount that depends on its size, so the difference of two
is biased too, towards the smaller sample being worse. As in `norms`, truth is t d along the
direction d of the observed gaps: the reference's t is the one under which what was seen there is
the median, and the interval holds the current t under which the difference that was seen is not
surprising.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.comparison.change import Change
from calibcli.core.metrics.norms import DRAWS, crossing, directions
from calibcli.core.numeric.special import norm_sf_two_sided

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.norms import GapNorm

    Array = NDArray[np.float64]


def norm_change(
    reference: GapNorm, current: GapNorm, values: tuple[float, float], confidence: float, seed: int
) -> Change:
    """Return the change of a norm, current less reference.

    Args:
        reference: the gaps there; the norm is one of the gaps themselves.
        current: the gaps here.
        values: the metric there and here, as it is shown.
        confidence: level of the interval, which is of the true difference.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    noise, noise_now = (_draws(problem, rng) for problem in (reference, current))
    seen, seen_now = (_norm(problem, problem.gaps[None, :])[0] for problem in (reference, current))
    observed = float(seen_now - seen)
    half = len(noise) // 2
    surprise = round((1.0 - confidence) / 2.0 * len(noise))
    low, high, p = np.inf, -np.inf, 0.0
    spread = _norm(current, np.sqrt(current.noise.variance)[None, :])[0]
    reach = 2.0 * float(seen + seen_now + spread)
    for towards, towards_now in product(directions(reference), directions(current)):

        def median(t: float, d: Array = towards) -> float:
            return _place(_norm(reference, t * d + noise), half) - float(seen)

        truth = crossing(median, reach)
        before = _norm(reference, truth * towards + noise)

        def excess(t: float, place: int, d: Array = towards_now, before: Array = before) -> float:
            return _place(_norm(current, t * d + noise_now) - before, place) - observed

        low = min(low, crossing(lambda t: excess(t, len(noise) - 1 - surprise), reach) - truth)
        high = max(high, crossing(lambda t: excess(t, surprise), reach) - truth)
        drawn = _norm(current, truth * towards_now + noise_now) - before
        away, error = observed - float(drawn.mean()), float(drawn.std())
        p = max(p, norm_sf_two_sided(away / error) if error > 0.0 else float(away == 0.0))
    return Change(values[0], values[1], low, high, p)


def _draws(problem: GapNorm, rng: np.random.Generator) -> Array:
    drawn = problem.noise.draw(rng, DRAWS // 2)
    return np.concatenate([drawn, -drawn])


def _norm(problem: GapNorm, gaps: Array) -> Array:
    return problem.norm(gaps)


def _place(drawn: Array, place: int) -> float:
    drawn.partition(place)
    return float(drawn[place])
