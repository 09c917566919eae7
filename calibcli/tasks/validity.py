"""Are these scores what the user said they are? Nothing is guessed from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.rows.dataset import Batch

SUM_TOLERANCE = 1e-3
"""How far a row of class probabilities may sum from 1."""
_FEWEST_ROWS = 10
"""Rows of logits that all sum to 1 before they are taken for probabilities."""


def range_slack(kind: np.dtype[Any]) -> float:
    """Return by how much rounding may put a probability of this type outside of 0 and 1."""
    return 2e-3 if kind == np.float16 else 2e-5


def missing_rows(
    batch: Batch, task: str, names: tuple[str, ...], *, logits: bool
) -> NDArray[np.bool_] | None:
    """Return which rows have no usable score (n,), or None when all have one.

    Raises:
        InputError: a value that is no probability, a row of classes that does not sum to 1, or
            logits that are probabilities.
    """
    scores = batch.scores
    if not len(scores):
        return None
    low, high = scores.min(), scores.max()
    if logits:
        if np.isfinite(low) and np.isfinite(high):
            if task == "multiclass" and low >= 0 and high <= 1:
                _refuse_probabilities(batch)
            return None
        return _missing_logits(scores, task)
    slack = range_slack(scores.dtype) if task == "multiclass" else 0.0
    missing: NDArray[np.bool_] | None = None
    if not (low >= -slack and high <= 1 + slack):
        with np.errstate(invalid="ignore"):
            wrong = (scores < -slack) | (scores > 1 + slack)
        if wrong.any():
            raise _out_of_range(batch, wrong, names)
        missing = _not_a_number(scores)
    if task == "multiclass":
        total = scores.sum(axis=1, dtype=np.float64)
        off = np.abs(total - 1.0) > SUM_TOLERANCE + batch.rounding * scores.shape[1]
        if off.any():
            raise _wrong_sums(batch, off, total)
    return missing


def _refuse_probabilities(batch: Batch) -> None:
    """Raise InputError where rows of logits are those of a softmax."""
    total = batch.scores.sum(axis=1, dtype=np.float64)
    if len(total) >= _FEWEST_ROWS and (np.abs(total - 1.0) <= SUM_TOLERANCE).all():
        raise InputError(
            f"{batch.source}: every row lies between 0 and 1 and sums to 1, as probabilities do, "
            "and --logits says that these are none",
            "leave out --logits",
        )


def refuse_gaps(dropped: int, first: tuple[str, int] | None, rows: int, *, drop: bool) -> None:
    """Raise InputError for rows without a score unless they may be dropped, or if none is left.

    Args:
        dropped: how many rows have no usable score.
        first: source and 0-based row of the first of them.
        rows: how many rows are left.
        drop: whether such rows may be dropped.
    """
    if first is not None and not drop:
        source, row = first
        count = "1 row" if dropped == 1 else f"{dropped:,} rows"
        raise InputError(
            f"{count} without a score, the first is row {row + 1:,} of {source}",
            "leave such rows out with --drop-invalid",
        )
    if not rows:
        raise InputError("no usable rows are left", "check the scores, weights and counts")


def _missing_logits(scores: NDArray[Any], task: str) -> NDArray[np.bool_] | None:
    missing = _not_a_number(scores)
    if task == "multiclass":
        missing |= np.isneginf(scores).all(axis=1)
    return missing if missing.any() else None


def _not_a_number(scores: NDArray[Any]) -> NDArray[np.bool_]:
    nan: NDArray[np.bool_] = np.isnan(scores)
    if nan.ndim == 2:
        nan = np.logical_or.reduce(nan, axis=1)
    return nan


def _place(batch: Batch, bad: NDArray[np.bool_]) -> str:
    rows = bad.any(axis=1) if bad.ndim == 2 else bad
    count, first = int(rows.sum()), batch.row(int(rows.argmax()))
    more = f" (and {count - 1:,} more nearby)" if count > 1 else ""
    return f"row {first + 1:,}{more}"


def _out_of_range(batch: Batch, wrong: NDArray[np.bool_], names: tuple[str, ...]) -> InputError:
    what = batch.source
    if names:
        column = int(wrong[wrong.any(axis=1)][0].argmax()) if wrong.ndim == 2 else 0
        what = f"column {names[min(column, len(names) - 1)]!r} of {batch.source}"
    negative = batch.scores.ndim == 1 and float(np.nanmax(batch.scores)) <= 0
    return InputError(
        f"{what}, {_place(batch, wrong)}: a probability must lie between 0 and 1",
        "if the scores are logarithms of probabilities, write exp(score) into the file; "
        "if they are logits, add --logits"
        if negative
        else "if the scores are logits, add --logits",
        topic="kind",
    )


def _wrong_sums(batch: Batch, off: NDArray[np.bool_], total: NDArray[np.float64]) -> InputError:
    from calibcli.io.rows.scores import decimals_of, rounding_slack

    worst = float(np.abs(total[off] - 1.0).max())
    what = f"{batch.source}, {_place(batch, off)}: the class probabilities do not sum to 1"
    if worst <= rounding_slack(batch.scores):
        decimals = decimals_of(batch.scores)
        return InputError(
            f"{what}; they are off by at most {worst:.2g}, as values rounded to {decimals} "
            "decimals are",
            "--renormalise makes each row sum to 1",
            topic="kind",
        )
    return InputError(
        f"{what}; they are off by up to {worst:.2g}",
        "if the scores are logits, add --logits; if each column is a label of its own, "
        "--task multilabel",
        topic="kind",
    )
