"""Temperature scaling of 200,000 rows of 100 float32 logits, beside scikit-learn's.

    python -m benchmarks.temperature [--rows 200000] [--classes 100]

Both fit one temperature to the same logits, already in memory, in the same process; the time is
the best of three. scikit-learn's is what `CalibratedClassifierCV(method="temperature")` runs once
the classifier has made its scores (1.8 and newer; the benchmark says so where it is older).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from calibcli.core.calibrators import Temperature
from calibcli.core.calibrators.classes.rows import Batches, RowBatch

BATCH = 8192


def logits_and_labels(rows: int, classes: int, heat: float = 1.7) -> tuple[Any, Any]:
    """Logits that are `heat` times too large for the labels drawn from them."""
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, (rows, classes)).astype(np.float32)
    noise = rng.gumbel(size=(rows, classes)).astype(np.float32)
    return z, (z / np.float32(heat) + noise).argmax(axis=1)


def best_of(times: int, run: Callable[[], Any]) -> tuple[float, Any]:
    found, least = None, float("inf")
    for _ in range(times):
        began = time.perf_counter()
        found = run()
        least = min(least, time.perf_counter() - began)
    return least, found


def nll(z: Any, y: Any, temperature: float) -> float:
    total = 0.0
    for start in range(0, len(z), BATCH):
        f = z[start : start + BATCH].astype(np.float64) / temperature
        f -= f.max(axis=1, keepdims=True)
        truth = f[np.arange(len(f)), y[start : start + BATCH]]
        total += float((np.log(np.exp(f).sum(axis=1)) - truth).sum())
    return total / len(z)


def ours(z: Any, y: Any) -> float:
    home = np.zeros(len(z), np.uint8)
    parts = [slice(start, start + BATCH) for start in range(0, len(z), BATCH)]
    batches = [RowBatch(z[own], True, y[own], None, None, home[own]) for own in parts]
    return Temperature.fit(Batches(batches, z.shape[1], logits=True)).temperature


def theirs(z: Any, y: Any) -> float | None:
    try:
        from sklearn.calibration import _TemperatureScaling
    except ImportError:
        return None
    return 1.0 / float(_TemperatureScaling().fit(z, y).beta_)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--classes", type=int, default=100)
    given = parser.parse_args()
    z, y = logits_and_labels(given.rows, given.classes)
    own_time, own = best_of(3, lambda: ours(z, y))
    print(f"{given.rows:,} x {given.classes} float32")
    print(f"calibcli      {own_time:8.2f} s   T {own:.6f}   NLL {nll(z, y, own):.12f}")
    other_time, other = best_of(3, lambda: theirs(z, y))
    if other is None:
        print("this scikit-learn has no temperature scaling (1.8 and newer have)")
        return
    print(f"scikit-learn  {other_time:8.2f} s   T {other:.6f}   NLL {nll(z, y, other):.12f}")
    print(f"{other_time / own_time:.1f} times as fast")


if __name__ == "__main__":
    main()
