"""What a map is fitted from: rows, their worth, how certain they are, and when a fit refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibcli.core.numeric.scales import expit, logit
from calibcli.core.statistics.keys import ONE_KEY
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FREE_FORM_ROWS = 1000
"""Free-form methods warn below this many rows, and are no candidates of `auto`."""


def require_both_classes(stats: ScoreStats) -> None:
    """Raise `InputError` unless rows of both labels carry weight."""
    positives, negatives = float(stats.pos.sum()), float(stats.neg.sum())
    if positives > 0 and negatives > 0:
        return
    if positives == negatives:
        raise InputError(
            "no rows to fit a calibrator on",
            hint="check the filters, the weights and --drop-invalid",
        )
    raise InputError(
        f"all rows have label {int(positives > 0)}: there is nothing to fit a calibrator on",
        hint="give held-out rows of both classes; `calibcli measure` works with one",
    )


def require_two_classes(class_weight: FloatArray) -> None:
    """Raise `InputError` unless at least two classes carry weight in the labels."""
    present = np.flatnonzero(class_weight > 0)
    if len(present) == 0:
        raise InputError(
            "no rows to fit a calibrator on",
            hint="check the filters, the weights and --drop-invalid",
        )
    if len(present) == 1:
        raise InputError(
            f"all rows have label {present[0]}: there is nothing to fit a calibrator on",
            hint="give held-out rows of several classes; `calibcli measure` works with one",
        )


def separates(z: FloatArray, stats: ScoreStats) -> bool:
    """Return whether no row of label 0 has a higher score z (C,) than one of label 1.

    The likelihood of an increasing map of such scores has no maximum.
    """
    ones, zeros = z[stats.pos > 0], z[stats.neg > 0]
    return bool(len(ones) and len(zeros) and zeros.max() <= ones.min())


def effective_rows(stats: ScoreStats) -> float:
    """Return the rows, or with importance weights Kish's (sum w)^2 / (sum of w^2)."""
    pos_sq, neg_sq = stats.table.pos_sq, stats.table.neg_sq
    if pos_sq is None or neg_sq is None:
        return float(stats.n)
    squares = float(pos_sq.sum() + neg_sq.sum())
    return float(stats.n) ** 2 / squares if squares > 0 else 0.0


def few_rows_note(method: str, stats: ScoreStats) -> tuple[str, ...]:
    """Return the warning of a free-form method fitted on few rows, or nothing."""
    n = effective_rows(stats)
    if n >= FREE_FORM_ROWS:
        return ()
    return (f"{method} on {n:.0f} rows: free-form methods want {FREE_FORM_ROWS} or more",)


Limits = tuple[float | None, float | None]
"""Logits beyond which a score counts as no more certain; None for no limit on that side."""


def certain_limits(stats: ScoreStats) -> Limits:
    """Return how certain a probability of exactly 0 or 1 is taken to be, as logits.

    Such scores are rounded (a forest in which no tree disagreed, two decimals, float32). Their
    clipped logit of +-34.5 would decide a fitted slope alone, so they are put half way between
    certainty and the most certain score that is not: the usual substitution of half the
    detection limit (Hornung and Reed 1990). A side without such scores has no limit. Where a
    side has no other score, the other side's limit serves; where neither has, the clip stays.
    """
    if stats.logits or (len(stats.key) and stats.key[0] > 0 and stats.key[-1] < ONE_KEY):
        return None, None
    used = stats.total > 0
    key, score = stats.key[used], stats.score[used]
    inner = (key > 0) & (key < ONE_KEY)
    below, above = score[inner & (score <= 0.5)], 1.0 - score[inner & (score >= 0.5)]
    resolved = [float(tails.min()) / 2.0 for tails in (below, above) if len(tails)]
    if not resolved:
        return None, None
    low = float(logit(resolved[0])) if (key == 0).any() else None
    high = float(-logit(resolved[-1])) if (key == ONE_KEY).any() else None
    return low, high


def limited(z: FloatArray, limits: Limits) -> FloatArray:
    """Return float64 logits inside the limits; infinities end at +-1e300, so 0 * inf is 0."""
    low, high = limits
    out: FloatArray = np.clip(
        np.asarray(z, dtype=np.float64),
        -1e300 if low is None else low,
        1e300 if high is None else high,
    )
    return out


def limits_from(payload: dict[str, Any]) -> Limits:
    """Return the limits that a calibrator's `to_dict` wrote."""
    low, high = payload["limits"]
    return None if low is None else float(low), None if high is None else float(high)


def between(old: FloatArray | float, new: FloatArray | float, step: float) -> FloatArray:
    """Return (1 - step) old + step new."""
    return np.asarray((1.0 - step) * np.asarray(old) + step * np.asarray(new))


def counts(stats: ScoreStats) -> tuple[FloatArray, FloatArray]:
    """Return (pos, neg) of the cells (C,), (C,) in float64: rows, or their weights as given."""
    return np.asarray(stats.pos, dtype=np.float64), np.asarray(stats.neg, dtype=np.float64)


def worth(stats: ScoreStats) -> float:
    """Return the rows that a unit of weight is worth: 1, or sum w / sum w² of weights."""
    if not stats.weighted:
        return 1.0
    return effective_rows(stats) / max(float(stats.n), np.finfo(np.float64).tiny)


def evidence(stats: ScoreStats) -> tuple[FloatArray, FloatArray]:
    """Return (pos, neg) of the cells (C,), (C,) in float64, as the rows that they are worth.

    Importance weights are rescaled to sum to `effective_rows`, so that weights in any unit give
    one map: targets, smoothed ends and priors are counted in rows.
    """
    scale = worth(stats)
    pos, neg = counts(stats)
    return pos * scale, neg * scale


def with_prior(
    z: FloatArray, labels: tuple[FloatArray, FloatArray], rows: float
) -> tuple[FloatArray, FloatArray]:
    """Return evidence (pos, neg) with `rows` rows more that are as the scores say.

    They are spread over the logits z (C,) as the rows are, and a share expit(z) of them has label
    1: the catalytic prior of Huang, Stein, Rubin and Kou (PNAS 117, 2020), whose simpler model is
    the identity. What few rows say by chance moves a map less, and no optimum is infinite.
    """
    pos, neg = labels
    if not rows:
        return pos, neg
    total = pos + neg
    added = rows * total / total.sum()
    return pos + added * expit(z), neg + added * expit(-z)


def label_evidence(stats: ScoreStats) -> tuple[float, float]:
    """Return how many rows those with label 1 and with label 0 are worth."""
    pos, neg = evidence(stats)
    return float(pos.sum()), float(neg.sum())


def sums_by(index: NDArray[np.integer[Any]], values: FloatArray, size: int) -> FloatArray:
    """Return the sum of the values (n,) of each index (size,)."""
    return np.asarray(np.bincount(index, weights=values, minlength=size), dtype=np.float64)


def interpolate(x: FloatArray, at: FloatArray, values: FloatArray) -> FloatArray:
    """Return values interpolated linearly, constant beyond the ends, without a rounded decrease.

    `numpy.interp` can overshoot the right end of a piece in the last bit.
    """
    out: FloatArray = np.interp(x, at, values)
    following = np.minimum(np.searchsorted(at, x, side="right"), len(at) - 1)
    return np.minimum(out, values[following])


def floats(values: FloatArray) -> list[float]:
    """Return a list of Python floats; their repr has the 17 digits of an exact round trip."""
    return [float(v) for v in values]


def array(values: object) -> FloatArray:
    """Return a read-only float64 array of what `floats` wrote.

    Raises:
        InputError: a null among the numbers.
    """
    out = np.array(values, dtype=np.float64)
    if np.isnan(out).any():
        raise InputError("a calibrator's numbers must be numbers, not null")
    out.setflags(write=False)
    return out


def probabilities(values: object) -> FloatArray:
    """Return a read-only float64 array of what `floats` wrote of probabilities.

    Raises:
        InputError: a value outside [0, 1].
    """
    out = array(values)
    if not ((out >= 0.0) & (out <= 1.0)).all():
        raise InputError("a calibrator's probabilities must lie between 0 and 1")
    return out
