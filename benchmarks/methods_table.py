"""Held-out log loss of every calibration method on published score files; the table in the docs.

    python -m benchmarks.methods_table [FOLDER [NAME]]    (NAME: only files whose name has it)

Rows of each file are dealt to two halves by a seeded draw (files that come as a pair keep their
own split): methods are fitted on one half and judged on the other. `auto` sees the fitting half
only. The folder is ../shared/data beside the project, see its README for the sources; without it
there is nothing to do.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, OneVsRest, calibrate
from calibcli.core.calibrators.classes.rows import Batches, RowBatch
from calibcli.core.calibrators.types import CLASSES, SCORE
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.problems import BINARY_CANDIDATES, ROW_CANDIDATES, Pairs, Rows
from calibcli.core.numeric.scales import EPS
from calibcli.core.statistics.stats import ScoreStats, buckets_of
from calibcli.errors import InputError

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data"
WIDE = 20
"""Methods of K maps or K^2 weights are tried up to this many classes."""


@dataclass(frozen=True)
class Case:
    """Scores (n,) or (n, K) and labels, to fit on and to judge on."""

    name: str
    fit: tuple[Any, Any]
    test: tuple[Any, Any]


def halves(name: str, scores: Any, labels: Any) -> Case:
    order = np.random.default_rng(0).permutation(len(scores))
    first, second = np.array_split(order, 2)
    return Case(name, (scores[first], labels[first]), (scores[second], labels[second]))


def cases(folder: Path) -> Iterator[Case]:
    import pandas as pd

    two = pd.read_csv(folder / "two_class_example" / "two_class_example.csv")
    yield halves("two_class_example", two.Class1.to_numpy(), (two.truth == "Class1").to_numpy())
    for name, score, label, paths in (
        (
            "employment",
            "predicted_probability",
            "employed",
            ("reference_2015", "production_2016_2018"),
        ),
        ("car_loan", "y_pred_proba", "repaid", ("reference", "production")),
    ):
        frames = [pd.read_parquet(folder / name / f"{path}.parquet") for path in paths]
        yield halves(f"{name} reference", frames[0][score].to_numpy(), _binary(frames[0][label]))
        pair = [(frame[score].to_numpy(), _binary(frame[label])) for frame in frames]
        yield Case(f"{name} reference to production", *pair)
    for path in sorted((folder / "splinecalib").glob("calibset_*.csv")):
        name = path.stem.removeprefix("calibset_")
        pair = [
            (frame.y_pred.to_numpy(), frame.y_true.to_numpy().astype(bool))
            for frame in (
                pd.read_csv(path),
                pd.read_csv(path.with_name(f"testset_{name}.csv")),
            )
        ]
        yield Case(f"splinecalib {name}", *pair)
    for name in ("AdaBoost", "XGBoost", "random_forest"):
        p = np.load(folder / "pcam_pycalib" / f"{name}_probs.npy")
        y = np.load(folder / "pcam_pycalib" / f"{name}_labels.npy")
        yield halves(f"pcam {name}", p[:, 1], y.astype(bool))
    frame = pd.read_parquet(folder / "fivethirtyeight" / "all_forecasts.parquet")
    yield halves("fivethirtyeight", frame.prob.to_numpy(), _binary(frame.outcome))
    for path in sorted((folder / "cifar_netcal").glob("*_probs.npy")):
        y = np.load(str(path).replace("_probs", "_labels"))
        yield halves(f"cifar {path.stem.removesuffix('_probs')}", np.load(path), y.reshape(-1))
    for name in ("20news", "imdb", "mnist"):
        p = np.load(folder / "label_errors" / f"{name}_probs.npy")
        y = np.load(folder / "label_errors" / f"{name}_labels.npy").reshape(-1)
        if p.shape[1] == 2:  # its rows sum to 1 up to 1e-5
            p, y = p[:, 1].astype(np.float64) / p.sum(axis=1, dtype=np.float64), y.astype(bool)
        yield halves(name, p, y)
    pair = [
        tuple(
            np.load(folder / "mnist4_splinecalib" / f"{part}_{kind}.npy")
            for kind in ("probs", "labels")
        )
        for part in ("calib", "test")
    ]
    yield Case("mnist4_splinecalib", *[(p, y.reshape(-1)) for p, y in pair])
    hpc = pd.read_csv(folder / "hpc_cv" / "hpc_cv.csv")
    classes = ["VF", "F", "M", "L"]
    y = hpc.obs.map({name: k for k, name in enumerate(classes)}).to_numpy()
    yield halves("hpc_cv", hpc[classes].to_numpy(), y)
    p = np.load(folder / "coco_multilabel" / "probs.npy")
    y = np.load(folder / "coco_multilabel" / "labels.npy")
    yield halves("coco_multilabel, label 0", p[:, 0], y[:, 0].astype(bool))


def _binary(column: Any) -> Any:
    return column.to_numpy().astype(np.float64) > 0.5


def log_loss(p: Any, y: Any) -> float:
    truth = np.where(y, p, 1 - p) if p.ndim == 1 else p[np.arange(len(p)), y]
    return float(-np.log(np.maximum(truth, EPS)).mean())


def fits(case: Case) -> Iterator[tuple[str, Any]]:
    """Yield (method, calibrator fitted on the first half), `auto` last with its choice."""
    scores, labels = case.fit
    binary = scores.ndim == 1
    if binary:
        stats = ScoreStats.from_arrays(scores, labels)
        size = 2
    else:
        size = scores.shape[1]
        bucket = buckets_of(np.arange(len(scores)) + 1).astype(np.uint8)
        y = labels.astype(np.int64)
        parts = [slice(start, start + 8192) for start in range(0, len(scores), 8192)]
        batches = [RowBatch(scores[p], False, y[p], None, None, bucket[p]) for p in parts]
        rows = Rows(Batches(batches, size, logits=False))
    for name, kind in CALIBRATORS.items():
        if name == OneVsRest.method or (binary and not kind.takes >= SCORE):
            continue
        whole = kind.takes >= CLASSES
        if not binary and size > WIDE and (not whole or name in ("matrix", "dirichlet")):
            continue
        try:
            yield name, kind.fit(stats) if binary else rows.fit(name)
        except InputError as error:
            print(f"{case.name}: {name}: {error.message}", file=sys.stderr)
    if binary:
        chosen = auto(Pairs(stats), methods=BINARY_CANDIDATES)
    else:
        chosen = auto(rows, methods=ROW_CANDIDATES)
    yield f"auto: {chosen.method}", chosen.calibrator


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not folder.is_dir():
        print(f"no score files in {folder}", file=sys.stderr)
        return
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    methods = [name for name in CALIBRATORS if name != OneVsRest.method]
    print(f"| file | fitted on | {' | '.join(methods)} | auto | to the best |")
    print(f"| :-- | --: | {'--: | ' * len(methods)}:-- | --: |")
    worst = 0.0
    for case in cases(folder):
        if only not in case.name:
            continue
        losses: dict[str, float] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, one in fits(case):
                p = calibrate(one, case.test[0], logits=False)
                losses[name] = log_loss(p, case.test[1])
        chosen = next(name for name in losses if name.startswith("auto"))
        best = min(loss for name, loss in losses.items() if name != chosen)
        over = losses[chosen] / best - 1
        worst = max(worst, over)
        cells = []
        for name in methods:
            text = f"{losses[name]:.5f}" if name in losses else ""
            cells.append(f"**{text}**" if losses.get(name) == best else text)
        auto_cell = f"{losses[chosen]:.5f} {chosen.removeprefix('auto: ')}"
        flag = " (worse than none)" if losses[chosen] > losses["identity"] else ""
        rows = f"{len(case.fit[0]):,}"
        print(
            f"| {case.name} | {rows} | {' | '.join(cells)} | {auto_cell}{flag} | {over:+.2%} |",
            flush=True,
        )
    print(f"\nThe worst of auto against the best single method: {worst:+.2%}")


if __name__ == "__main__":
    main()
