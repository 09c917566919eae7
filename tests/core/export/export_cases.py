"""Every binary calibrator, fitted on scores with certain ones, and scores to try it on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from calibcli.core.calibrators import (
    Beta,
    Histogram,
    Identity,
    Isotonic,
    Platt,
    ScalingBinning,
    Spline,
    Temperature,
    VennAbers,
)
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.stats import ScoreStats


@lru_cache
def stats(*, logits: bool, falling: bool = False) -> ScoreStats:
    rng = np.random.default_rng(7)
    z = rng.normal(0.3, 2.0, 3000)
    y = (rng.random(3000) < expit(0.6 * (-z if falling else z) - 0.4)).astype(np.int8)
    if logits:
        z[:2] = -np.inf, np.inf
        return ScoreStats.from_arrays(z, y, logits=True)
    p = np.round(expit(z), 3)
    p[:1500] = expit(z[:1500])
    p[:4], y[:4] = [0.0, 0.0, 1.0, 1.0], [0, 1, 1, 0]
    return ScoreStats.from_arrays(p, y)


@lru_cache
def cases(*, logits: bool) -> dict[str, object]:
    pairs = stats(logits=logits)
    other = stats(logits=logits, falling=True)
    return {
        "identity": Identity(),
        "temperature": Temperature.fit(pairs),
        "temperature-cold": Temperature(0.01),
        "temperature-limits": Temperature(1.7, limits=(-6.0, 5.5)),
        "platt": Platt.fit(pairs),
        "platt-falling": Platt.fit(other),
        "platt-flat": Platt(0.0, 0.3),
        "platt-level": Platt(-1.0, 2000.0),
        "beta": Beta.fit(pairs),
        "beta-one-sided": Beta(0.0, 1.3, 0.2),
        "beta-flat": Beta(0.0, 0.0, 0.2),
        "isotonic": Isotonic.fit(pairs),
        "isotonic-step": Isotonic.fit(pairs, interpolation="step", ends="raw"),
        "histogram": Histogram.fit(pairs),
        "histogram-width": Histogram.fit(pairs, bins=10, binning="width"),
        "scaling-binning": ScalingBinning.fit(pairs),
        "scaling-binning-falling": ScalingBinning.fit(other),
        "spline": Spline.fit(pairs),
        "venn-abers": VennAbers.fit(pairs),
    }


def scores(one: object, *, logits: bool) -> np.ndarray:
    """Random ones, ends, the points of the map and their neighbours."""
    rng = np.random.default_rng(8)
    pairs = stats(logits=logits)
    at = [np.asarray(getattr(one, name, ()), float) for name in ("x", "edges", "x0", "x1")]
    at = np.concatenate([a[:: max(len(a) // 60, 1)] for a in at])
    if logits:
        z = pairs.logit[::40]
        far = np.array([-800.0, -710, -50, -1e-300, 0, 1e-300, 36.5, 50, 710, 800, 1e300])
        inner = at[(at > 0) & (at < 1)] if getattr(one, "space", "") == "probability" else at
        if getattr(one, "space", "") == "probability":
            inner = np.log(inner / (1 - inner))
        inner = np.concatenate([inner, z])
        inner = np.concatenate([inner, np.nextafter(inner, -9), np.nextafter(inner, 9)])
        return np.concatenate([inner, far, [-np.inf, np.inf], rng.normal(0, 5, 100)])
    grid = np.arange(101) / 100
    if getattr(one, "space", "") == "logit":
        at = expit(at)
    inner = np.concatenate([at, pairs.score[::40], grid[1:-1]])
    inner = np.concatenate([inner, np.nextafter(inner, -1), np.nextafter(inner, 2)])
    inner = inner[(inner >= 0) & (inner <= 1)]
    ends = [0.0, 5e-324, 1e-300, 1e-16, 1e-15, 2e-15, 1e-12, 1 - 1e-12, 1 - 2e-15, 1 - 1e-15]
    return np.concatenate([inner, ends, [1 - 2**-53, 1.0], rng.random(100)])
