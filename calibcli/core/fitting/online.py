"""Platt scaling that learns from every row in turn: a Newton step online.

After each row the slope and the level of the logit go by -A^-1 g / gamma, g the gradient of that
row's log loss and A the sum of g g' over all rows so far, begun at rho times the identity; a line
that leaves the ball of radius 100 comes back to its edge, by the norm of A. Nothing is fitted anew.
Rows of one night come in an order that is dealt by a seed; a weight is a length of the gradient.

Source: Gupta and Ramdas, "Online Platt Scaling with Calibeating", ICML 2023 (gamma = 0.1 and
rho = 100); the step is that of Hazan, Agarwal and Kale, "Logarithmic Regret Algorithms for Online
Convex Optimization", Machine Learning 69 (2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from calibcli.core.calibrators.binary.platt import Platt
from calibcli.core.calibrators.evidence import evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Floats = NDArray[np.float64]

GAMMA: Final = 0.1
RHO: Final = 100.0
RADIUS: Final = 100.0
_MOST: Final = 36.0
"""Logits beyond which a probability is 0 or 1 to the last digit."""


@dataclass(frozen=True, slots=True)
class OnlinePlatt:
    """A line of logits, and the matrix of the steps.

    Attributes:
        slope, level: of the line; at first those of the identity.
        a, b, c: the matrix A, as [[a, b], [b, c]].
    """

    slope: float = 1.0
    level: float = 0.0
    a: float = RHO
    b: float = 0.0
    c: float = RHO

    @property
    def calibrator(self) -> Platt:
        """The map in place."""
        return Platt(-self.slope, -self.level)

    def after(self, stats: ScoreStats, seed: int = 0) -> OnlinePlatt:
        """Return the line after the rows of a night."""
        logits, labels, weights = _rows(stats, seed)
        slope, level, a, b, c = self.slope, self.level, self.a, self.b, self.c
        for z, label, weight in zip(logits, labels, weights, strict=True):
            off = weight * (1.0 / (1.0 + math.exp(-_bounded(slope * z + level))) - label)
            along = off * z
            a, b, c = a + along * along, b + along * off, c + off * off
            scale = GAMMA * (a * c - b * b)
            slope -= (c * along - b * off) / scale
            level -= (a * off - b * along) / scale
            if slope * slope + level * level > RADIUS * RADIUS:
                slope, level = _inside(slope, level, a, b, c)
        return OnlinePlatt(slope, level, a, b, c)


def _bounded(z: float) -> float:
    return max(-_MOST, min(_MOST, z))


def _rows(stats: ScoreStats, seed: int) -> tuple[list[float], list[float], list[float]]:
    """Return logit, label and weight of each row, in a dealt order; parts of a row are one too."""
    z = np.clip(stats.logit, -_MOST, _MOST)
    parts: list[tuple[Floats, Floats, Floats]] = []
    for label, mass in zip((1.0, 0.0), evidence(stats), strict=True):
        whole = np.floor(mass + 1e-9)
        rest = np.maximum(mass - whole, 0.0)
        for count, weight in ((whole, np.ones(len(z))), (rest > 1e-9, rest)):
            each = np.repeat(np.arange(len(z)), count.astype(np.int64))
            parts.append((z[each], np.full(len(each), label), weight[each]))
    logits, labels, weights = (np.concatenate(one) for one in zip(*parts, strict=True))
    order = np.random.default_rng(seed).permutation(len(logits))
    return logits[order].tolist(), labels[order].tolist(), weights[order].tolist()


def _inside(slope: float, level: float, a: float, b: float, c: float) -> tuple[float, float]:
    """Return the point of the ball that is nearest by the norm of A: of (A + k) x = A theta."""
    matrix, theta = np.array([[a, b], [b, c]]), np.array([slope, level])
    wanted, low, high = matrix @ theta, 0.0, float(np.trace(matrix))

    def point(k: float) -> Floats:
        found: Floats = np.linalg.solve(matrix + k * np.eye(2), wanted)
        return found

    while np.linalg.norm(point(high)) > RADIUS:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if np.linalg.norm(point(middle)) > RADIUS else (low, middle)
    found = point(high)
    return float(found[0]), float(found[1])
