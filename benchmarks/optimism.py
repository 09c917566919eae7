"""How much too good is "after" because the choice has seen the folds that it is measured on?

    python -m benchmarks.optimism [RUNS]

`fit` judges every row by maps that have not seen it, but which method, pool or n0 was taken was
decided on those same folds, and the folds of `auto` hold the labels in equal shares. Data are drawn
from a known curve, fitted through the command's own workflow, and the artifact is judged on 100,000
fresh rows. Printed are means over runs of the gain in log loss that `fit` shows (before less
after), and of the true gain of the calibrator that it wrote; their difference is the optimism.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from calibcli.core.numeric.scales import expit
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.fit.fit import FitOptions, fit
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load_calibrator

FRESH = 100_000
GROUPS = 10


def frame(rng: np.random.Generator, rows: int, heat: float, spread: float) -> dict[str, Any]:
    """Two models of one label, `heat` times over-confident on average, in groups that differ."""
    group = rng.integers(GROUPS, size=rows)
    lean = np.random.default_rng(7).normal(0, spread, GROUPS)[group]
    truth = rng.normal(0, 1.5, rows)
    label = (rng.random(rows) < expit(truth)).astype(int)
    a, b = (heat * truth + rng.normal(0, 0.7, rows) + lean for _ in range(2))
    return {"a": expit(a), "b": expit(b), "label": label, "group": group}


def log_loss(p: Any, y: Any) -> float:
    return float(-np.log(np.maximum(np.where(y == 1, p, 1 - p), 1e-15)).mean())


def gains(kind: str, rows: int, heat: float, seed: int, folder: Path) -> tuple[float, float]:
    """Return the gain in log loss that `fit` shows, and the true one."""
    import pandas as pd

    rng = np.random.default_rng([seed, rows])
    spread = 0.3 if kind == "per group" else 0.0
    table = pd.DataFrame(frame(rng, rows, heat, spread))
    path = str(folder / "s.parquet")
    table.to_parquet(path)
    spec = InputSpec(paths=(path,), score=None if kind == "ensemble" else "a")
    options = {
        "auto": FitOptions(),
        "per group": FitOptions(method="platt", per_group="group"),
        "ensemble": FitOptions(method="platt", models=("a", "b")),
    }[kind]
    out = str(folder / "c.json")
    result = fit(spec, Conventions(confidence=None), options, output=out)
    shown = result["before"]["metrics"]["nll"]["value"] - result["after"]["metrics"]["nll"]["value"]
    fresh = frame(rng, FRESH, heat, spread)
    loaded, y = load_calibrator(out), fresh["label"]
    if kind == "ensemble":
        both = np.column_stack([fresh["a"], fresh["b"]])
        return shown, log_loss(both.mean(axis=1), y) - log_loss(loaded.apply(both), y)
    groups = fresh["group"] if kind == "per group" else None
    return shown, log_loss(fresh["a"], y) - log_loss(loaded.apply(fresh["a"], groups=groups), y)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(
        "| choice of | rows | over-confident by | shown gain | true gain | optimism (its error) |"
    )
    print("| :-- | --: | --: | --: | --: | --: |")
    cases = [(kind, n, h) for kind in ("auto", "per group", "ensemble") for n, h in CASES[kind]]
    with tempfile.TemporaryDirectory() as name:
        for kind, rows, heat in cases:
            found = np.array([gains(kind, rows, heat, seed, Path(name)) for seed in range(runs)])
            apart = found[:, 0] - found[:, 1]
            error = apart.std(ddof=1) / np.sqrt(runs)
            shown, true = found.mean(axis=0)
            print(
                f"| {kind} | {rows:,} | {heat:g} | {shown:+.5f} | {true:+.5f} | "
                f"{apart.mean():+.5f} ({error:.5f}) |",
                flush=True,
            )


CASES = {
    "auto": ((200, 1.0), (200, 1.3), (1200, 1.0), (1200, 1.3)),
    "per group": ((500, 1.0), (3000, 1.0)),
    "ensemble": ((200, 1.3), (1000, 1.3)),
}

if __name__ == "__main__":
    main()
