"""How often a 95% interval holds the truth: `python -m benchmarks.coverage [draws]`.

Labels are drawn from a known curve, so the truth of every metric is known from a very large
sample. Prints the share of draws whose interval holds it, by metric and scenario, as Markdown.
"""

from __future__ import annotations

import sys
from statistics import NormalDist

import numpy as np

from calibcli.core.metrics.binary import METRICS, View
from calibcli.core.metrics.intervals import measure
from calibcli.core.numeric.scales import expit, logit
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

TESTS = ("n", "spiegelhalter_z", "spiegelhalter_p", "hosmer_lemeshow_p")
NAMES = [name for name in METRICS if name not in TESTS]
BINNING = Binning()
CORRELATION = 0.4


def over_confident(p):
    return expit(0.5 * logit(p))


def one_bump(p):
    return p - 0.15 * ((p > 0.8) & (p < 0.9))


def uniform(rng, n):
    return rng.random(n)


def rare(rng, n):
    return rng.beta(0.3, 8.0, n)


SCENARIOS = {
    "calibrated, 300": (300, uniform, lambda p: p, 1),
    "calibrated, 3,000": (3000, uniform, lambda p: p, 1),
    "over-confident, 300": (300, uniform, over_confident, 1),
    "over-confident, 3,000": (3000, uniform, over_confident, 1),
    "one bad bin, 1,000": (1000, uniform, one_bump, 1),
    "rare positives, 2,000": (2000, rare, over_confident, 1),
    "clusters of 5, 2,000": (2000, uniform, over_confident, 5),
    "rare, clusters of 10, 2,000": (2000, rare, over_confident, 10),
}


def truth(scores, curve):
    rng = np.random.default_rng(0)
    p = np.sort(scores(rng, 200_000))
    q = curve(p)
    stats = ScoreStats.from_arrays(
        np.repeat(p, 2), np.tile([1, 0], len(p)), np.stack([q, 1 - q], 1).ravel()
    )
    view = View(stats, BINNING)
    found = {name: max(METRICS[name](view), 0.0) for name in NAMES}
    # The debiased estimate subtracts noise that an infinite sample does not have.
    found["ece_debiased"] = float(np.sqrt(view.bins.weight @ view.bins.gap**2))
    return found


def draw(rng, n, scores, curve, size):
    """Labels follow the curve exactly; within a cluster they share a Gaussian copula."""
    p = np.repeat(scores(rng, n // size), size)
    if size == 1:
        return ScoreStats.from_arrays(p, rng.random(n) < curve(p))
    shared = np.repeat(rng.standard_normal(n // size), size)
    mixed = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * rng.standard_normal(n)
    level = np.array([NormalDist().cdf(value) for value in mixed])
    cluster = np.repeat(rng.permutation(10 * n)[: n // size], size)
    return ScoreStats.from_arrays(p, level < curve(p), cluster=cluster)


def coverage(draws):
    table = {}
    for title, (n, scores, curve, size) in SCENARIOS.items():
        true = truth(scores, curve)
        hits = dict.fromkeys(NAMES, 0)
        rng = np.random.default_rng(1)
        for seed in range(draws):
            stats = draw(rng, n, scores, curve, size)
            for name, (_, low, high, _) in measure(
                View(stats, BINNING), seed=seed, names=NAMES
            ).items():
                hits[name] += low is not None and low - 1e-6 <= true[name] <= high + 1e-6
        table[title] = {name: hits[name] / draws for name in NAMES}
    return table


def main():
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    table = coverage(draws)
    print(f"| metric, {draws} draws each | " + " | ".join(table) + " |")
    print("|---" * (len(table) + 1) + "|")
    for name in NAMES:
        cells = " | ".join(f"{table[title][name]:.3f}" for title in table)
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
