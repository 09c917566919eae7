"""Certified cut-offs and conformal sets beside MAPIE's: `python -m benchmarks.guarantees [draws]`.

Both see the same draws: independent rows, patients of several rows, rows of several labels.
Printed, as Markdown: how often the promise is kept on the population, how often nothing is
certified, and the mean of the figure that is left: recall of a promised precision, 0 where nothing
is certified; precision of a promised recall. MAPIE knows no clusters: it is given one row of each,
or all rows as if they were independent, and judged by the figure of all rows that it then promises.
It goes into an environment of its own, build/mapie.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.harness import environment
from calibcli.core.decisions.conformal import ConformalSets
from calibcli.core.decisions.guarantees import Certified, certify
from calibcli.core.decisions.objectives import default_objective, parse_constraint
from calibcli.core.decisions.promises.by_unit import ByUnit, certify_by_unit, steps
from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.tables import UnitRows, UnitTable
from calibcli.core.decisions.thresholds import Curve
from calibcli.core.statistics.stats import ScoreStats

HOME = Path(__file__).parent.parent / "build" / "mapie"
CONFIDENCE = 0.9
TARGETS = {"precision": 0.8, "recall": 0.8}
ROWS = 1000
COVERAGE = 0.9
PATIENTS = 80, 25
SETS = 500, 6
SET_TARGETS = {"precision": 0.6, "recall": 0.7}


def draw(rng, shape):
    """Scores that are over-confident, and labels from the calibrated ones."""
    p = rng.beta(0.6, 1.0, shape)
    label = (rng.random(shape) < p).astype(np.int64)
    odds = (p / (1 - p)) ** 1.3
    return odds / (1 + odds), label


def ours(score, label, risk):
    constraint = parse_constraint(f"{risk}>={TARGETS[risk]}")
    stats = ScoreStats.from_arrays(score, label)
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    found = certify(
        curve,
        default_objective((constraint,)),
        (constraint,),
        CONFIDENCE,
        probability=np.append(stats.score, 1.0),
    )
    return found.choice.threshold if isinstance(found, Certified) else np.nan


def figures(thresholds, population):
    """Return precision and recall of each threshold on the population."""
    stats = ScoreStats.from_arrays(*population)
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    out = []
    for t in thresholds:
        at = curve.at(t)
        tp, fp, fn = at.tp, at.fp, at.fn
        out.append((tp / max(tp + fp, 1), tp / (tp + fn)))
    return np.array(out).reshape(-1, 2)


def clusters(rng, shape):
    """Scores (…, patients, rows), and labels of patients some of whom are harder than others."""
    z = rng.normal(-0.3, 1.6, shape)
    hard = rng.normal(0, 1.2, (*shape[:-1], 1))
    p = 1 / (1 + np.exp(-z))
    return p.round(4), (rng.random(shape) < 1 / (1 + np.exp(-(z + hard)))).astype(np.int64)


def label_sets(rng, shape):
    """Scores (…, rows, labels), and labels that go together in a row; each row has one at least."""
    z = rng.normal(-1.0, 1.3, shape) + rng.normal(0, 1, (*shape[:-1], 1))
    p = 1 / (1 + np.exp(-z))
    label = rng.random(shape) < p
    label |= ~label.any(axis=-1, keepdims=True) & (p == p.max(axis=-1, keepdims=True))
    return p.round(4), label.astype(np.int64)


def by_unit(score, label, risk, target):
    """Return the cut-off that is certified in the mean over units: the rows of two arrays."""
    stats = ScoreStats.from_arrays(score.ravel(), label.ravel())
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    at = steps(curve)
    cuts, counts = curve.threshold[at], UnitCounts()
    unit = np.repeat(np.arange(len(score), dtype=np.uint64), score.shape[1])
    key = 2 * np.searchsorted(cuts, score.ravel(), side="right") + label.ravel()
    counts.add(0, unit, key)
    own = counts.read()
    some, right = own.where(own.key >= 2), own.where(own.key % 2 == 1)
    table = UnitTable.of(some.keyed(some.key - 2), right, UnitRows.of(own), len(cuts))
    constraint = parse_constraint(f"{risk}>={target}")
    found = certify_by_unit(
        curve,
        ByUnit(table, at, "unit"),
        default_objective((constraint,)),
        (constraint,),
        CONFIDENCE,
        probability=np.append(stats.score, 1.0),
    )
    return found.choice.threshold if isinstance(found, Certified) else np.nan


def means(thresholds, score, label):
    """Return precision and recall of each threshold (n, 2): the means over units that have them."""
    out = []
    positives = label.sum(axis=1)
    for t in thresholds:
        selected = score >= t
        true = (selected & (label == 1)).sum(axis=1)
        sizes = selected.sum(axis=1)
        some, there = sizes > 0, positives > 0
        precision = (true[some] / sizes[some]).mean() if some.any() else 1.0
        out.append((precision, (true[there] / positives[there]).mean()))
    return np.array(out).reshape(-1, 2)


def pooled(thresholds, score, label):
    return figures(thresholds, (score.ravel(), label.ravel()))


def line(what, name, risk, target, thresholds, promised, of_units):
    """Return a row: how often `promised` is kept, and the mean over units of the other figure."""
    found, place = ~np.isnan(thresholds), 0 if risk.endswith("precision") else 1
    broken = int((promised(thresholds[found])[:, place] < target).sum())
    nothing = of_units(np.array([-1.0]))[0, 0] if risk.endswith("recall") else 0.0
    other = np.full(len(thresholds), nothing)
    other[found] = of_units(thresholds[found])[:, 1 - place]
    kept = 1 - broken / len(thresholds)
    cells = (what, f"{risk}>={target}", name, f"{kept:.3f}", f"{(~found).mean():.3f}")
    return f"| {' | '.join(cells)} | {other.mean():.4f} |"


def main() -> None:
    python = environment(HOME, "mapie>=1.2")
    if python is None:
        sys.exit("MAPIE could not be installed")
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = np.random.default_rng(0)
    score, label = draw(rng, (draws, ROWS))
    population = draw(rng, 1_000_000)
    z = rng.normal(0, 1.5, (3000, 6))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = (rng.random((3000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    units, everyone = clusters(rng, (draws, *PATIENTS)), clusters(rng, (20_000, PATIENTS[1]))
    sets, every_row = label_sets(rng, (draws, *SETS)), label_sets(rng, (400_000, SETS[1]))
    given = {"score": score, "label": label, "p": p[:1000], "y": y[:1000], "fresh": p[1000:]}
    given |= {f"{risk}_target": target for risk, target in TARGETS.items()}
    given |= {f"set_{risk}_target": target for risk, target in SET_TARGETS.items()}
    given |= {"unit_score": units[0], "unit_label": units[1]}
    given |= {"set_score": sets[0], "set_label": sets[1]}
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(path, coverage=COVERAGE, confidence=CONFIDENCE, **given)
        runner = Path(__file__).parent / "_mapie_runner.py"
        subprocess.run([python, runner, path, out], check=True)
        theirs = dict(np.load(out))
    print(f"{draws} draws, confidence {CONFIDENCE}\n")
    print("| of | promise | by | kept | nothing certified | the other figure |")
    print("| --- | --- | --- | --- | --- | --- |")
    for risk, target in TARGETS.items():
        what, at = f"{ROWS:,} rows", partial(pooled, score=population[0], label=population[1])
        mine = np.array([ours(s, t, risk) for s, t in zip(score, label, strict=True)])
        print(line(what, "calibcli", risk, target, mine, at, at))
        print(line(what, "MAPIE", risk, target, theirs[risk], at, at))
    for risk, target in TARGETS.items():
        what = f"{PATIENTS[0]} patients of {PATIENTS[1]} rows"
        at = partial(means, score=everyone[0], label=everyone[1])
        of_rows = partial(pooled, score=everyone[0], label=everyone[1])
        mine = np.array([by_unit(s, t, risk, target) for s, t in zip(*units, strict=True)])
        print(line(what, "calibcli, mean over patients", risk, target, mine, at, at))
        first, every = theirs[f"{risk}_first"], theirs[f"{risk}_all"]
        print(line(what, "MAPIE, a row of each", risk, target, first, of_rows, at))
        print(line(what, "MAPIE, all rows", risk, target, every, of_rows, at))
    for risk, target in SET_TARGETS.items():
        what = f"{SETS[0]} rows of {SETS[1]} labels"
        at = partial(means, score=every_row[0], label=every_row[1])
        mine = np.array([by_unit(s, t, risk, target) for s, t in zip(*sets, strict=True)])
        print(line(what, "calibcli", f"row-{risk}", target, mine, at, at))
        print(line(what, "MAPIE", f"row-{risk}", target, theirs[f"set_{risk}"], at, at))
    found = ConformalSets.fit(p[:1000], y[:1000], COVERAGE).sets(p[1000:])
    same = (found == theirs["sets"]).all(axis=1)
    print(f"\nLAC sets equal to MAPIE's: {same.sum()} of {len(same)} rows")


if __name__ == "__main__":
    main()
