"""Realistic results built by brute force from seeded scores, in the shape that workflows return."""

from __future__ import annotations

from math import erfc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

NASTY = [
    "[red]x[/red]",
    "<script>alert(1)</script>",
    "=1+1",
    "a|b`c`",
    "two\nlines\r\n",
    "\x1b[31mred\x1b[0m\x07",
    "abc\u202edcb",
    "日本語 *x* _y_ @user $z$",
]


def entry(value: float | None, half: float = 0.0, reason: str = "") -> dict[str, Any]:
    """Return a metric entry with a symmetric interval."""
    if value is None:
        return {"value": None, "low": None, "high": None, "reason": reason}
    value = float(value)
    low, high = (value - half, value + half) if half else (None, None)
    return {"value": value, "low": low, "high": high}


def reliability(p: np.ndarray, y: np.ndarray, bins: int) -> list[dict[str, Any]]:
    """Return equal-width bins of (lo, hi] with Wilson intervals."""
    index = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)
    rows: list[dict[str, Any]] = []
    for b in range(bins):
        inside = index == b
        n = int(inside.sum())
        row: dict[str, Any] = {"low": b / bins, "high": (b + 1) / bins, "count": n}
        if n:
            score, freq = float(p[inside].mean()), float(y[inside].mean())
            middle = (freq + 1.92 / n) / (1 + 3.84 / n)
            half = 1.96 * np.sqrt(freq * (1 - freq) / n + 0.96 / n**2) / (1 + 3.84 / n)
            row |= {"score": score, "frequency": freq}
            row |= {
                "frequency_low": min(freq, max(0.0, float(middle - half))),
                "frequency_high": max(freq, min(1.0, float(middle + half))),
                "gap": freq - score,
            }
        else:
            keys = ("score", "frequency", "frequency_low", "frequency_high", "gap")
            row |= dict.fromkeys(keys)
        rows.append(row)
    return rows


def confusion(p: np.ndarray, y: np.ndarray, at: float) -> dict[str, Any]:
    """Return the confusion counts and rates at a cut-off."""
    said = p >= at
    tp, fp = int((said & (y == 1)).sum()), int((said & (y == 0)).sum())
    fn, tn = int((~said & (y == 1)).sum()), int((~said & (y == 0)).sum())

    def rate(k: int, n: int) -> dict[str, Any]:
        if not n:
            return entry(None, reason="no rows")
        value = k / n
        return entry(value, 1.96 * float(np.sqrt(max(value * (1 - value), 0.001) / n)))

    return {
        "threshold": at,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "precision": rate(tp, tp + fp),
        "recall": rate(tp, tp + fn),
        "f1": rate(2 * tp, 2 * tp + fp + fn),
        "specificity": rate(tn, tn + fp),
        "fpr": rate(fp, tn + fp),
    }


def curves(p: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return ROC and PR points, thinned."""
    order = np.argsort(-p, kind="stable")
    tp, fp = np.cumsum(y[order]), np.cumsum(1 - y[order])
    pick = np.unique(np.linspace(0, len(p) - 1, min(len(p), 300)).astype(int))
    tp, fp, cut = tp[pick], fp[pick], p[order][pick]
    positives, negatives = max(int(y.sum()), 1), max(int((1 - y).sum()), 1)
    return {
        "roc": {
            "fpr": [0.0, *(fp / negatives).tolist()],
            "tpr": [0.0, *(tp / positives).tolist()],
            "threshold": [None, *cut.tolist()],
        },
        "pr": {
            "recall": (tp / positives).tolist(),
            "precision": (tp / (tp + fp)).tolist(),
            "threshold": cut.tolist(),
        },
    }


def part(
    p: np.ndarray,
    y: np.ndarray,
    where: dict[str, Any],
    *,
    bins: int = 15,
    thresholds: tuple[float, ...] = (0.5,),
    with_curves: bool = False,
    multiclass: bool = False,
) -> dict[str, Any]:
    """Return a slice: metrics, confusion, bins."""
    n = len(p)
    rows = reliability(p, y, bins)
    filled = [b for b in rows if b["count"]]
    ece = sum(b["count"] * abs(b["gap"]) for b in filled) / n
    brier = float(np.mean((p - y) ** 2))
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    nll = float(-np.mean(y * np.log(clipped) + (1 - y) * np.log(1 - clipped)))
    one_class = y.min() == y.max()
    pos, neg = np.sort(p[y == 1]), p[y == 0]
    auc = None if one_class else 1 - float(np.searchsorted(pos, neg).mean()) / len(pos)
    z = float(np.sum((y - p) * (1 - 2 * p)) / np.sqrt(np.sum((1 - 2 * p) ** 2 * p * (1 - p))))
    half = 1.2 / np.sqrt(n)
    metrics = {
        "n": {"value": n, "low": None, "high": None},
        ("accuracy" if multiclass else "prevalence"): entry(y.mean(), half * 0.8),
        "mean_score": entry(p.mean()),
        "ece": entry(ece, min(half * 0.4, ece * 0.6)),
        "ece_debiased": entry(max(ece - 0.01, 0), half * 0.4),
        "mce": entry(max(abs(b["gap"]) for b in filled), half),
        "ace": entry(np.mean([abs(b["gap"]) for b in filled]), half * 0.5),
        "smooth_ece": entry(ece * 0.9, min(half * 0.4, ece * 0.5)),
        "ks": entry(ece * 0.8, min(half * 0.4, ece * 0.5)),
        "kuiper": entry(ece * 0.85, min(half * 0.4, ece * 0.5)),
        "brier": entry(brier, half * 0.3),
        "brier_miscalibration": entry(brier * 0.1),
        "brier_discrimination": entry(brier * 0.5),
        "brier_uncertainty": entry(float(y.mean() * (1 - y.mean()))),
        "nll": entry(nll, half),
        "auc": entry(auc, half * 0.4, "one class only"),
        "average_precision": entry(auc and auc * 0.95, half * 0.5, "one class only"),
        "spiegelhalter_z": entry(z),
        "spiegelhalter_p": entry(erfc(abs(z) / 2**0.5)),
        "hosmer_lemeshow_p": entry(0.0002),
    }
    made = {
        "slice": where,
        "metrics": metrics,
        "confusion": [] if multiclass else [confusion(p, y, t) for t in thresholds],
        "bins": rows,
        "ece_by_bins": [
            {"bins": bins, "binning": "width", "used": len(filled), "ece": metrics["ece"]},
            {"bins": bins, "binning": "mass", "used": bins, "ece": entry(ece * 0.95, ece * 0.4)},
        ],
    }
    if with_curves and not multiclass:
        made |= curves(p, y)
    return made


def sharpened(z: np.ndarray, by: float) -> np.ndarray:
    """Return sigmoid(by * z)."""
    return 1 / (1 + np.exp(-by * z))


PARAMS: dict[str, Any] = {
    "bins": [15],
    "binning": "width",
    "closed": "right",
    "edges": None,
    "threshold": [0.5],
    "tolerance": 0.05,
    "confidence": 0.95,
    "seed": 0,
}


def binary(
    n: int = 2000,
    *,
    sharp: float = 2.0,
    seed: int = 0,
    groups: tuple[str, ...] = (),
    calibrated: bool = False,
    with_curves: bool = False,
    thresholds: tuple[float, ...] = (0.5,),
) -> dict[str, Any]:
    """Return a measure result of a binary model whose logits are `sharp` times too large."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-0.8, 1.4, n)
    y = (rng.random(n) < sharpened(z, 1.0)).astype(int)
    before, after = sharpened(z, sharp), sharpened(z, 1.0)
    code = rng.integers(0, max(len(groups), 1), n)

    def made(inside: np.ndarray, where: dict[str, Any], with_curves: bool) -> dict[str, Any]:
        args: dict[str, Any] = {"thresholds": thresholds, "with_curves": with_curves}
        one = part(before[inside], y[inside], where, **args)
        if calibrated:
            two = part(after[inside], y[inside], where, **args)
            one["calibrated"] = {k: v for k, v in two.items() if k != "slice"}
        return one

    everyone = np.ones(n, dtype=bool)
    return {
        "schema": "calibcli/measure",
        "version": 1,
        "calibcli": "0.1.0",
        "inputs": [{"path": "scores.parquet", "rows": n}],
        "params": dict(PARAMS),
        "task": "binary",
        "overall": made(everyone, {"kind": "overall"}, with_curves),
        "classes": [],
        "groups": [
            made(code == i, {"kind": "group", "column": "camera", "value": g}, False)
            for i, g in enumerate(groups)
        ],
        "gates": [],
        "warnings": [],
    }


def multiclass(
    names: tuple[str, ...],
    n: int = 3000,
    *,
    seed: int = 0,
    calibrated: bool = False,
    with_curves: bool = False,
    groups: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return a measure result of a K-class model that is over-confident."""
    rng = np.random.default_rng(seed)
    k = len(names)
    z = rng.normal(0, 1, (n, k))
    label = rng.integers(0, k, n)
    z[np.arange(n), label] += 2.0 + np.log(k)

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    before, after = softmax(z * 2.2), softmax(z)

    def made(inside: np.ndarray, where: dict[str, Any]) -> dict[str, Any]:
        right = (before[inside].argmax(axis=1) == label[inside]).astype(int)
        one = part(before[inside].max(axis=1), right, where, multiclass=True)
        if calibrated:
            two = part(after[inside].max(axis=1), right, where, multiclass=True)
            one["calibrated"] = {key: v for key, v in two.items() if key != "slice"}
        return one

    def one_class(i: int) -> dict[str, Any]:
        where = {"kind": "class", "name": names[i]}
        y = (label == i).astype(int)
        one = part(before[:, i], y, where, with_curves=with_curves)
        if calibrated:
            two = part(after[:, i], y, where, with_curves=with_curves)
            one["calibrated"] = {key: v for key, v in two.items() if key != "slice"}
        return one

    code = rng.integers(0, max(len(groups), 1), n)
    everyone = np.ones(n, dtype=bool)
    return {
        "schema": "calibcli/measure",
        "version": 1,
        "calibcli": "0.1.0",
        "inputs": [{"path": "logits.npy", "rows": n}, {"path": "labels.npy", "rows": n}],
        "params": dict(PARAMS),
        "task": "multiclass",
        "overall": made(everyone, {"kind": "overall"}),
        "classes": [one_class(i) for i in range(k)],
        "groups": [
            made(code == i, {"kind": "group", "column": "site", "value": g})
            for i, g in enumerate(groups)
        ],
        "gates": [],
        "warnings": [],
    }


def fitted(*, kind: str = "cross-fitted") -> dict[str, Any]:
    """Return a fit result with candidates."""
    result = binary(calibrated=True)
    overall = result["overall"]
    return {
        "schema": "calibcli/fit",
        "version": 1,
        "calibcli": "0.1.0",
        "inputs": result["inputs"],
        "params": {**PARAMS, "method": "auto", "folds": 5, "select": "nll"},
        "task": "binary",
        "method": "temperature",
        "calibrator": {"method": "temperature", "temperature": 1.9837412, "knots": [1.0, 2.0]},
        "before": {"metrics": overall["metrics"]},
        "after": {"metrics": overall["calibrated"]["metrics"], "kind": kind},
        "classes": [],
        "candidates": [
            {"method": "identity", "score": 0.61, "se": 0.012, "chosen": False, "note": ""},
            {
                "method": "temperature",
                "score": 0.4712,
                "se": 0.008,
                "chosen": True,
                "note": "simplest within one standard error",
            },
            {"method": "platt", "score": 0.4709, "se": 0.008, "chosen": False, "note": ""},
            {
                "method": "isotonic",
                "score": None,
                "se": None,
                "chosen": False,
                "note": "fewer than 1000 rows",
            },
        ],
        "warnings": [],
    }


def thresholded(count: int = 1) -> dict[str, Any]:
    """Return a threshold result of one cut-off, or of `count` classes."""
    rng = np.random.default_rng(1)
    p = rng.random(500)
    y = (rng.random(500) < p).astype(int)
    chosen = []
    for i in range(count):
        at = float(np.nextafter(0.4 + 0.1 * i, 1))
        where = {"kind": "overall"} if count == 1 else {"kind": "class", "name": f"class {i}"}
        table = confusion(p, y, at)
        chosen.append(
            {
                "slice": where,
                "threshold": at,
                "value": table["f1"]["value"],
                "confusion": table,
                "n": 500,
            }
        )
    return {
        "schema": "calibcli/threshold",
        "version": 1,
        "calibcli": "0.1.0",
        "inputs": [{"path": "scores.csv", "rows": 500}],
        "params": {**PARAMS, "maximize": "f1"},
        "task": "binary" if count == 1 else "multiclass",
        "objective": "f1",
        "constraints": ["precision>=0.6"],
        "kind": "empirical",
        "thresholds": chosen,
        "warnings": [],
    }


@pytest.fixture
def make_binary() -> Callable[..., dict[str, Any]]:
    """Return the builder of binary results."""
    return binary


@pytest.fixture
def make_multiclass() -> Callable[..., dict[str, Any]]:
    """Return the builder of multi-class results."""
    return multiclass


@pytest.fixture
def make_fit() -> Callable[..., dict[str, Any]]:
    """Return the builder of fit results."""
    return fitted


@pytest.fixture
def make_threshold() -> Callable[..., dict[str, Any]]:
    """Return the builder of threshold results."""
    return thresholded


@pytest.fixture
def nasty() -> list[str]:
    """Return names that try to break out of each medium."""
    return list(NASTY)
