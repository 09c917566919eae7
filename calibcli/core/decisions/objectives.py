"""What a cut-off is judged by: figures of a confusion table, objectives and constraints.

Every figure is a vectorised function of `(tp, fp, fn, tn)`, float64 arrays of any one shape, and
is NaN where it is undefined (precision where nothing is predicted positive). A NaN never wins a
search and never meets a constraint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibcli.errors import UsageError, did_you_mean

Array = NDArray[np.float64]
Figure = Callable[[Array, Array, Array, Array], Array]

MEAN_DICE = "mean-dice"
"""The objective that is a mean over images; see `core.segmentation.search`."""
FP_PER_IMAGE = "fp_per_image"
"""The bound that is a number of false boxes, which only images of boxes have."""
TOLERANCE = 1e-12
"""Figures closer than this are equal: summing weights in another order must not move a cut-off."""


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return numerator / denominator, NaN where the denominator is 0."""
    out = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out


def precision(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Share of the predicted positives that are positive; undefined when there are none."""
    return ratio(tp, tp + fp)


def recall(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Share of the positives that are found."""
    return ratio(tp, tp + fn)


def specificity(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Share of the negatives that are left alone."""
    return ratio(tn, tn + fp)


def fpr(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Share of the negatives that are predicted positive."""
    return ratio(fp, tn + fp)


def fnr(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Share of the positives that are missed."""
    return ratio(fn, tp + fn)


def npv(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Share of the predicted negatives that are negative; undefined when there are none."""
    return ratio(tn, tn + fn)


def accuracy(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Share of the rows decided correctly."""
    return ratio(tp + tn, tp + fp + fn + tn)


def positive_rate(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Share of the rows predicted positive."""
    return ratio(tp + fp, tp + fp + fn + tn)


def alerts(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Number of rows predicted positive (their weight, where rows are weighted)."""
    return tp + fp


def false_alarms(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Number of negatives predicted positive."""
    return fp


def f1(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Harmonic mean of precision and recall, which is also the Dice coefficient."""
    return ratio(2 * tp, 2 * tp + fp + fn)


def iou(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Intersection over union (Jaccard index)."""
    return ratio(tp, tp + fp + fn)


def youden(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Youden's J = recall + specificity - 1, as one fraction so that equal values compare equal."""
    return ratio(tp * tn - fp * fn, (tp + fn) * (tn + fp))


def balanced_accuracy(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Mean of recall and specificity."""
    return 0.5 * (1.0 + youden(tp, fp, fn, tn))


def mcc(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    """Matthews' correlation; 0 where all or none is predicted positive, NaN with one class only."""
    labels = (tp + fn) * (tn + fp)
    spread = np.sqrt(labels) * np.sqrt((tp + fp) * (tn + fn))
    value = ratio(tp * tn - fp * fn, spread)
    return np.where((spread == 0) & (labels > 0), 0.0, value)


def fbeta(beta: float) -> Figure:
    """Return the F-measure that holds recall `beta` times as important as precision."""
    squared = beta * beta

    def figure(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        return ratio((1 + squared) * tp, (1 + squared) * tp + squared * fn + fp)

    return figure


FIGURES: dict[str, Figure] = {
    "f1": f1,
    "youden": youden,
    "balanced-accuracy": balanced_accuracy,
    "accuracy": accuracy,
    "mcc": mcc,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "npv": npv,
    "dice": f1,
    "iou": iou,
    "fpr": fpr,
    "fnr": fnr,
    "positive-rate": positive_rate,
    "alerts": alerts,
}
"""Every figure by the name it has in options, artifacts and reports; `fbeta:B` comes on top."""

_TO_LIMIT = frozenset({"fpr", "fnr", "positive-rate", "alerts"})
_KEEPS_POSITIVES_FEW = frozenset(
    {"precision", "specificity", "fpr", "positive-rate", "alerts", FP_PER_IMAGE}
)
_KEEPS_POSITIVES_MANY = frozenset({"recall", "fnr", "npv"})
_OTHER_NAMES = {
    "sensitivity": "recall",
    "tpr": "recall",
    "ppv": "precision",
    "tnr": "specificity",
    "jaccard": "iou",
    "f2": "fbeta:2",
    "f0.5": "fbeta:0.5",
    "fbeta": "fbeta:B",
    "j": "youden",
    "selection-rate": "positive-rate",
}


def _figure(name: str) -> tuple[str, Figure]:
    """Return the figure's own name and function; UsageError with a near miss when unknown."""
    key = name.strip().lower().replace("_", "-")
    if key in FIGURES:
        return key, FIGURES[key]
    if key.startswith("fbeta:"):
        beta = _number(key.removeprefix("fbeta:"))
        if beta is None or beta <= 0:
            raise UsageError(
                f"not a positive number after 'fbeta:': {name!r}", "for example fbeta:2"
            )
        return f"fbeta:{beta:g}", fbeta(beta)
    if key in _OTHER_NAMES:
        hint = f"it is called {_OTHER_NAMES[key]!r} here"
    else:
        hint = did_you_mean(key, [*FIGURES, "fbeta:2"]) or f"one of: {', '.join(FIGURES)}, fbeta:B"
    raise UsageError(f"unknown figure {name.strip()!r}", hint)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Objective:
    """What a search makes as large as it can (as small, where `larger_is_better` is false).

    `common` tells that all classes get one cut-off: of `function` the mean over classes is meant,
    or that of the pooled counts, or the mean over rows of each row's labels.
    """

    name: str
    function: Figure
    larger_is_better: bool = True
    common: Literal["mean", "pooled", "rows"] | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A figure and the side of `target` on which it has to stay, for example precision >= 0.95.

    `within` is the column in each of whose groups it has to stay there, None for all rows together.
    """

    name: str
    function: Figure
    op: str
    target: float
    within: str | None = None

    def __str__(self) -> str:
        text = f"{self.name}{self.op}{self.target!r}".removesuffix(".0")
        return text if self.within is None else f"worst(group.{self.within}).{text}"

    @property
    def at_least(self) -> bool:
        """Whether large values are the ones that meet it."""
        return self.op in (">=", ">")

    def met(self, value: Array) -> NDArray[np.bool_]:
        """Return where `value` meets the constraint; NaN never does."""
        slack = TOLERANCE * max(1.0, abs(self.target))
        comparisons: dict[str, Callable[[], NDArray[np.bool_]]] = {
            ">=": lambda: value >= self.target - slack,
            ">": lambda: value > self.target + slack,
            "<=": lambda: value <= self.target + slack,
            "<": lambda: value < self.target - slack,
        }
        return comparisons[self.op]()


def parse_objective(text: str, *, images: bool = False) -> Objective:
    """Read the value of `--maximize`; `images` tells that rows are pixels of images.

    Raises UsageError, with a near miss where there is one.
    """
    if text.strip().lower().replace("_", "-") == MEAN_DICE:
        if images:
            return Objective(MEAN_DICE, f1)
        raise UsageError(
            "mean-dice is a mean over images",
            "it needs --task segmentation; dice and iou are of all pixels together",
        )
    common = COMMON.get(text.strip().lower().replace("_", "-"))
    if common is not None:
        if images:
            raise UsageError(
                f"{common.name} is of classes of rows or labels", "of structures: --maximize f1"
            )
        return common
    limit = text.strip().lower().replace("-", "_") == FP_PER_IMAGE
    name, function = (FP_PER_IMAGE, false_alarms) if limit else _figure(text)
    if limit or name in _TO_LIMIT:
        raise UsageError(
            f"{name} is a figure to limit, not to maximize", f"--subject-to '{name}<=…'"
        )
    return Objective(name, function)


COMMON = {
    "macro-f1": Objective("macro-f1", f1, common="mean"),
    "micro-f1": Objective("micro-f1", f1, common="pooled"),
    "row-precision": Objective("row-precision", precision, common="rows"),
    "row-recall": Objective("row-recall", recall, common="rows"),
    "row-f1": Objective("row-f1", f1, common="rows"),
}
"""Objectives of one cut-off for all classes."""

ROWS = frozenset(name for name, one in COMMON.items() if one.common == "rows")
"""Figures of the set of labels of a row, of which the mean over rows is meant."""

_WORST = re.compile(r"\s*worst\(\s*group\.(?P<column>[^()]+?)\s*\)\.(?P<rest>.+)", re.DOTALL)
_CONSTRAINT = re.compile(r"\s*(?P<name>[^<>=\s]+)\s*(?P<op>>=|<=|==|=|>|<)\s*(?P<target>\S+)\s*")


def parse_constraint(text: str, *, boxes: bool = False) -> Constraint:
    """Read one value of `--subject-to`, such as 'precision>=0.95' or 'alerts<=100'.

    `boxes` tells that there are images of boxes, which have `FP_PER_IMAGE`: its function counts
    false boxes, and how many images they are of is for who knows to say (`per_image`).

    Raises UsageError for an unknown figure or form, or a target outside the figure's range.
    """
    worst = _WORST.fullmatch(text)
    if worst is not None:
        if _WORST.fullmatch(worst["rest"]):
            raise UsageError(f"two columns of groups in one bound: {text!r}", "give one of them")
        return replace(parse_constraint(worst["rest"], boxes=boxes), within=worst["column"])
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise UsageError(f"not a constraint: {text!r}", "for example 'precision>=0.95'")
    op = match["op"]
    if op in ("=", "=="):
        raise UsageError(f"a constraint is a bound, not an equality: {text!r}", "use >= or <=")
    common = COMMON.get(match["name"].lower().replace("_", "-"))
    if common is not None and common.common == "rows":
        if op not in (">=", ">"):
            raise UsageError(
                f"{common.name} is bounded from below: {text!r}", f"{common.name}>=0.9"
            )
        figure: tuple[str, Figure] = common.name, common.function
    elif match["name"].lower().replace("-", "_") == FP_PER_IMAGE:
        if not boxes:
            raise UsageError(
                f"{FP_PER_IMAGE} is of boxes in images", "it needs --task detection; of rows: fpr"
            )
        figure = FP_PER_IMAGE, false_alarms
    else:
        figure = _figure(match["name"])
    name, function = figure
    target = _number(match["target"])
    if target is None:
        raise UsageError(f"not a number after {op!r} in {text!r}", f"for example '{name}{op}0.95'")
    low = -1.0 if name in ("mcc", "youden") else 0.0
    high = math.inf if name in ("alerts", FP_PER_IMAGE) else 1.0
    if not low <= target <= high:
        share = f"{name} is a share, between 0 and 1" if low == 0 else f"{name} is within -1 and 1"
        hint = "it is a number of rows or boxes, 0 or more" if math.isinf(high) else share
        if high == 1.0 and 1 < target <= 100:
            hint += f": '{name}{op}{target / 100:g}'"
        raise UsageError(f"no cut-off can tell: {text!r}", hint)
    return Constraint(name, function, op, target)


def per_image(constraint: Constraint, images: float) -> Constraint:
    """Return a bound of `FP_PER_IMAGE` whose function divides by the images; others as they are."""
    if constraint.name != FP_PER_IMAGE:
        return constraint

    def figure(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        return np.asarray(fp, np.float64) / max(images, 1.0)

    return replace(constraint, function=figure)


def default_objective(constraints: tuple[Constraint, ...]) -> Objective:
    """Return what to maximize when only constraints are given.

    What the constraints leave open: recall where they keep the positives few (precision, fpr,
    alerts …), precision where they keep them many (recall), F1 otherwise.
    """
    names = {c.name for c in constraints}
    if names & ROWS:
        other = {
            frozenset({"row-recall"}): "row-precision",
            frozenset({"row-precision"}): "row-recall",
        }
        return COMMON[other.get(frozenset(names), "row-f1")]
    if names and names <= _KEEPS_POSITIVES_FEW:
        return Objective("recall", recall)
    if names and names <= _KEEPS_POSITIVES_MANY:
        return Objective("precision", precision)
    return Objective("f1", f1)
