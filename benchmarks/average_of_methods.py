"""Does the average of Platt, beta and isotonic calibration earn its place among the methods?

    python -m benchmarks.average_of_methods [FOLDER]

The binary files of `benchmarks.methods_table`, split as there. For each, held-out log loss of the
linear and the logarithmic pool of the three, beside their best, `auto`, and `auto` with the better
pool (by five-fold cross-fitted log loss) in place of its choice where that is better by more than
one standard error of the paired difference, which is the rule that it would have to pass.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods_table import FOLDER, Case, cases, log_loss
from calibcli.core.calibrators import Beta, Isotonic, Platt, calibrate
from calibcli.core.calibrators.composed.pooling import linear_pool, log_pool
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.problems import BINARY_CANDIDATES, Pairs
from calibcli.core.numeric.scales import EPS
from calibcli.core.statistics.stats import ScoreStats

MEMBERS = (Platt, Beta, Isotonic)
FOLDS = 5


def average(stats: ScoreStats, x: Any) -> dict[str, Any]:
    parts = [calibrate(kind.fit(stats), x, logits=False) for kind in MEMBERS]
    weights = [1.0 / len(parts)] * len(parts)
    return {"linear": linear_pool(parts, weights), "logit": log_pool(parts, weights)}


def losses(p: Any, y: Any) -> Any:
    return -np.log(np.maximum(np.where(y, p, 1 - p), EPS))


def row(case: Case) -> tuple[list[float], str]:
    (x, y), (x_test, y_test) = case.fit, case.test
    stats = ScoreStats.from_arrays(x, y)
    chosen = auto(Pairs(stats), methods=BINARY_CANDIDATES).calibrator
    fold = np.random.default_rng(0).permutation(len(x)) % FOLDS
    held = {name: np.zeros(len(x)) for name in ("linear", "logit", "auto")}
    for f in range(FOLDS):
        rest, own = fold != f, fold == f
        part = ScoreStats.from_arrays(x[rest], y[rest])
        for name, p in average(part, x[own]).items():
            held[name][own] = losses(p, y[own])
        again = chosen if chosen.method == "identity" else type(chosen).fit(part)
        held["auto"][own] = losses(calibrate(again, x[own], logits=False), y[own])
    better = min(("linear", "logit"), key=lambda name: held[name].mean())
    gain = held["auto"] - held[better]
    passes = gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))
    on_test = average(stats, x_test)
    single = min(log_loss(calibrate(k.fit(stats), x_test, logits=False), y_test) for k in MEMBERS)
    as_chosen = log_loss(calibrate(chosen, x_test, logits=False), y_test)
    pools = [log_loss(on_test[name], y_test) for name in ("linear", "logit")]
    ruled = log_loss(on_test[better], y_test) if passes else as_chosen
    return [single, *pools, as_chosen, ruled], better if passes else ""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not folder.is_dir():
        print(f"no score files in {folder}", file=sys.stderr)
        return
    print("| file | best of the three | linear pool | logit pool | auto | auto or pool | taken |")
    print("| :-- | --: | --: | --: | --: | --: | :-- |")
    found = []
    for case in cases(folder):
        if case.fit[0].ndim > 1:
            continue
        values, taken = row(case)
        found.append(values)
        print(f"| {case.name} | {' | '.join(f'{v:.5f}' for v in values)} | {taken} |", flush=True)
    change = np.array(found)[:, 4] / np.array(found)[:, 3] - 1
    print(
        f"\nThe pool is taken {np.count_nonzero(change)} times in {len(change)}: log loss "
        f"{change.min():+.2%} to {change.max():+.2%}, {change.mean():+.3%} on average."
    )


if __name__ == "__main__":
    main()
