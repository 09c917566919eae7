"""Certified cut-offs and conformal sets beside MAPIE's: `python -m benchmarks.guarantees [draws]`.

Both see the same draws. Printed, as Markdown: how often the promise is kept on the population, how
often nothing is certified, and the recall (for a promised recall, the precision) that is left.
MAPIE goes into an environment of its own, build/mapie.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

from calibcli.core.decisions.conformal import ConformalSets
from calibcli.core.decisions.guarantees import Certified, certify
from calibcli.core.decisions.objectives import default_objective, parse_constraint
from calibcli.core.decisions.thresholds import Curve
from calibcli.core.statistics.stats import ScoreStats

ROOT = Path(__file__).parent.parent
HOME = ROOT / "build" / "mapie"
CONFIDENCE = 0.9
TARGETS = {"precision": 0.8, "recall": 0.8}
ROWS = 1000
COVERAGE = 0.9


def environment() -> Path:
    """Return the interpreter that has MAPIE; the first time it is installed."""
    python = HOME / "bin" / "python"
    if not python.exists():
        venv.create(HOME, with_pip=True)
    known = subprocess.run([python, "-c", "import mapie"], capture_output=True, check=False)
    if known.returncode:
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "mapie>=1.2"], check=True)
    return python


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


def row(name, risk, thresholds, population):
    found = ~np.isnan(thresholds)
    shares = figures(thresholds[found], population)
    place = 0 if risk == "precision" else 1
    broken = int((shares[:, place] < TARGETS[risk]).sum())
    # A draw without a cut-off finds nothing: recall 0; for a promised recall, everything is cut.
    base = population[1].mean() if risk == "recall" else 0.0
    other = np.full(len(thresholds), base)
    other[found] = shares[:, 1 - place]
    kept = 1 - broken / len(thresholds)
    cells = (f"{risk}>={TARGETS[risk]}", name, f"{kept:.3f}", f"{(~found).mean():.3f}")
    return f"| {' | '.join(cells)} | {other.mean():.4f} |"


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = np.random.default_rng(0)
    score, label = draw(rng, (draws, ROWS))
    population = draw(rng, 1_000_000)
    z = rng.normal(0, 1.5, (3000, 6))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = (rng.random((3000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    given = {"score": score, "label": label, "p": p[:1000], "y": y[:1000], "fresh": p[1000:]}
    given |= {f"{risk}_target": target for risk, target in TARGETS.items()}
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(path, coverage=COVERAGE, confidence=CONFIDENCE, **given)
        runner = Path(__file__).parent / "_mapie_runner.py"
        subprocess.run([environment(), runner, path, out], check=True)
        theirs = dict(np.load(out))
    print(f"{draws} draws of {ROWS} rows, confidence {CONFIDENCE}\n")
    print("| promise | by | kept | nothing certified | mean of the other (precision, recall) |")
    print("| --- | --- | --- | --- | --- |")
    for risk in TARGETS:
        mine = np.array([ours(s, t, risk) for s, t in zip(score, label, strict=True)])
        print(row("calibcli", risk, mine, population))
        print(row("MAPIE", risk, theirs[risk], population))
    sets = ConformalSets.fit(p[:1000], y[:1000], COVERAGE).sets(p[1000:])
    same = (sets == theirs["sets"]).all(axis=1)
    print(f"\nLAC sets equal to MAPIE's: {same.sum()} of {len(same)} rows")


if __name__ == "__main__":
    main()
