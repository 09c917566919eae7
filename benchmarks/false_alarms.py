"""How often chance alone looks like a difference: `python -m benchmarks.false_alarms [draws]`.

Two models that are both honest, compared on the same rows, and two samples of one population,
compared as reference and current. Prints the share of draws in which the 95% interval of a
difference leaves out 0, or a test has p < 0.05, as Markdown; a figure of which the two models
truly differ is left blank. 5 % is what is promised at most.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import NormalDist

import numpy as np

from calibcli.core.numeric.scales import expit
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure

NORMS = ("ece", "ece_debiased", "mce", "ace", "smooth_ece", "ks", "kuiper")
HONEST = (*NORMS, "brier_miscalibration", "nll_miscalibration")
HONEST += ("calibration_slope", "calibration_intercept", "oe_ratio")
EQUAL = (*HONEST, "brier", "nll", "auc", "average_precision", "brier_skill", "cllr", "aurc")
OF_CLASSES = ("ece", "classwise_ece", "brier_miscalibration", "calibration_slope", "oe_ratio")
HIDDEN = np.array([NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)])


def honest(seen, weight, hidden, level):
    """P(label 1 | one of two features), the other one integrated out."""
    return expit(weight * seen[:, None] + hidden * HIDDEN + level).mean(axis=1)


def binary(rng, n, a, b, level=0.0):
    """Two honest models that know one feature each, worth a and b on the scale of the logit."""
    x, y = rng.standard_normal((2, n))
    label = rng.random(n) < expit(a * x + b * y + level)
    return honest(x, a, b, level), honest(y, b, a, level), label.astype(int)


def classes(rng, n, k):
    """A model that knows the probabilities of k classes, and one that knows half of the rows'."""
    p = rng.dirichlet(np.full(k, 0.3), n)
    label = (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, k - 1)
    blunt = np.where(rng.random((n, 1)) < 0.5, p, 1.0 / k)
    return p, blunt, label


PAIRS = {
    "alike, 1,000": (lambda rng: binary(rng, 1000, 1.5, 1.5), EQUAL),
    "sharp and blunt, 2,000": (lambda rng: binary(rng, 2000, 2.5, 0.5), HONEST),
    "sharp and constant, 5,000": (lambda rng: binary(rng, 5000, 3.0, 0.05), HONEST[:9]),
    "4 % positives, 3,000": (lambda rng: binary(rng, 3000, 1.5, 1.0, -4.5), HONEST),
    "10 classes, 2,000": (lambda rng: classes(rng, 2000, 10), OF_CLASSES),
}


def sample(rng, n, level=0.0, size=1):
    p, _, label = binary(rng, n // size, 2.0, 1.0, level)
    if size == 1:
        return p, label, None
    shared = np.repeat(rng.standard_normal(n // size), size)
    own = rng.standard_normal(n)
    p = honest(np.sqrt(0.5) * shared + np.sqrt(0.5) * own, 2.0, 1.0, level)
    hidden = np.sqrt(0.5) * np.repeat(rng.standard_normal(n // size), size)
    hidden += np.sqrt(0.5) * rng.standard_normal(n)
    seen = np.sqrt(0.5) * (shared + own)
    return (
        p,
        (rng.random(n) < expit(2.0 * seen + hidden + level)).astype(int),
        np.repeat(np.arange(n // size), size),
    )


DRIFTS = {
    "60 rows each": lambda rng: sample(rng, 60),
    "2,000 each": lambda rng: sample(rng, 2000),
    "2 % positives, 1,000 each": lambda rng: sample(rng, 1000, -5.5),
    "20 clusters of 20": lambda rng: sample(rng, 400, size=20),
}
CHANGES = ("psi", "ks", "js", "mean_score", "prevalence", "ece", "brier", "nll", "auc", "slope")
CHANGES += ("intercept", "recalibration_p", "reliability_p")


def sure(item):
    if item.get("value") is None:
        return np.nan
    if item.get("p") is not None:
        return float(item["p"] < 0.05)
    if item["low"] is None:
        return float(item["value"] < 0.05)
    return float(not item["low"] <= 0.0 <= item["high"])


def write(folder, name, scores, label, cluster=None):
    """Write a table of these rows; returns the path."""
    columns = np.atleast_2d(np.transpose(scores))
    names = ["score"] if len(columns) == 1 else [f"p_{k}" for k in range(len(columns))]
    table = [*columns, label] + ([] if cluster is None else [cluster])
    head = [*names, "label"] + ([] if cluster is None else ["unit"])
    path = folder / f"{name}.csv"
    np.savetxt(path, np.transpose(table), "%.17g", ",", header=",".join(head), comments="")
    return str(path)


def compare_models(folder, rng, world):
    a, b, label = world(rng)
    one, two = (write(folder, name, p, label) for name, p in (("a", a), ("b", b)))
    spec = InputSpec(paths=(one,), scores=("p_*",) if np.ndim(a) == 2 else None)
    return measure(spec, Conventions(), versus=two)["versus"]["metrics"]


def compare_samples(folder, rng, world):
    paths = [write(folder, name, *world(rng)) for name in ("then", "now")]
    unit = "unit" if "unit" in Path(paths[0]).read_text()[:30] else None
    spec = InputSpec(paths=(paths[1],), cluster=unit)
    return measure(spec, Conventions(), reference=paths[0])["drift"]["metrics"]


def table(title, worlds, names, compare, draws):
    found = {}
    for world, (make, told) in worlds.items():
        rng = np.random.default_rng(0)
        with tempfile.TemporaryDirectory() as folder:
            runs = [compare(Path(folder), rng, make) for _ in range(draws)]
        found[world] = {
            name: np.nanmean([sure(run[name]) for run in runs if name in run] or [np.nan])
            for name in told
        }
    print(f"| {title} | {' | '.join(worlds)} |\n|---|{'---:|' * len(worlds)}")
    for name in names:
        cells = [found[world].get(name, np.nan) for world in worlds]
        print(f"| `{name}` | {' | '.join('' if np.isnan(c) else f'{c:.3f}' for c in cells)} |")
    print(flush=True)


if __name__ == "__main__":
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    names = dict.fromkeys((*EQUAL, *OF_CLASSES))
    table(f"two honest models, {draws} draws", PAIRS, names, compare_models, draws)
    samples = {world: (make, CHANGES) for world, make in DRIFTS.items()}
    table(f"no drift, {draws} draws", samples, CHANGES, compare_samples, draws)
