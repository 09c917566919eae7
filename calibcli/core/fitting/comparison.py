"""The one-standard-error rule and the paired standard errors that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators.types import FloatArray

Score = Literal["nll", "brier"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row of the table of candidates.

    Attributes:
        method: its name.
        score: mean held-out loss of a row; None when it was no candidate.
        difference: score minus the best candidate's.
        se: standard error of that paired difference; 0 for the best itself.
        seconds: time of its fits, where a clock was given.
        chosen: whether it is the outcome.
        note: why it was no candidate, or warnings of its fit on all rows.
    """

    method: str
    score: float | None
    difference: float | None
    se: float | None
    seconds: float | None
    chosen: bool
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, in fixed order."""
        row: dict[str, Any] = {
            "method": self.method,
            "score": self.score,
            "difference": self.difference,
            "se": self.se,
        }
        if self.seconds is not None:
            row["seconds"] = self.seconds
        return row | {"chosen": self.chosen, "note": self.note}


@dataclass(frozen=True, slots=True)
class Choice:
    """The one-standard-error rule's outcome: name -> (score, difference to best, its SE)."""

    chosen: str
    table: dict[str, tuple[float, float, float]]


def one_standard_error(
    names: Sequence[str],
    scores: FloatArray,
    errors: FloatArray,
    complexity: Sequence[int],
    *,
    factor: float = 1.0,
) -> Choice:
    """Return the simplest candidate within one paired standard error of the best.

    Args:
        names: m candidates.
        scores: (m,) mean held-out losses.
        errors: (m, m) standard errors of the paired differences.
        complexity: m ranks; the lower of two equal losses wins a tie of ranks.
        factor: how many standard errors count as one, where few rows know them badly.
    """
    best = int(np.argmin(scores))
    gaps, noise = scores - scores[best], errors[:, best]
    near = [i for i in range(len(names)) if gaps[i] <= factor * noise[i]]
    winner = min(near, key=lambda i: (complexity[i], scores[i]))
    table = {
        name: (float(scores[i]), float(gaps[i]), float(noise[i])) for i, name in enumerate(names)
    }
    return Choice(names[winner], table)


def independent_errors(
    products: FloatArray, weighted: FloatArray, squares: float, means: FloatArray, rows: float
) -> FloatArray:
    """Return SEs of the paired mean differences (m, m): sqrt(sum w²(d - mean d)²) / sum w.

    Args:
        products: (m, m) sums of w² times the products of two candidates' losses.
        weighted: (m,) sums of w² times a loss.
        squares: sum of w².
        means: (m,) mean losses.
        rows: sum of w.
    """
    second = np.diag(products)
    mean = means[:, None] - means[None, :]
    cross = weighted[:, None] - weighted[None, :]
    spread = second[:, None] + second[None, :] - 2.0 * products
    spread = spread - 2.0 * mean * cross + mean**2 * squares
    out: FloatArray = np.sqrt(np.maximum(spread, 0.0)) / rows
    return out


def implied_ratio(implied: FloatArray, errors: FloatArray, rows: float) -> FloatArray:
    """Return what each observed SE (m, m) is multiplied by to lie within 1 and 2 implied ones.

    Rows that happen to agree have less spread than the probabilities imply: 32 of them all on
    the right side of one half say little, however alike they are.

    Args:
        implied: (m, m) summed variances of the loss difference between the column's candidate
            and the row's, under the row's probabilities.
        errors: (m, m) observed standard errors of independent rows.
        rows: sum of weights.
    """
    expected = np.sqrt(np.maximum(implied, 0.0)) / rows
    known = errors > 0.0
    within = np.clip(errors, expected, 2.0 * expected)
    return np.where(known, within / np.where(known, errors, 1.0), 1.0)


def clustered_errors(buckets: FloatArray, means: FloatArray, rows: float) -> FloatArray:
    """Return SEs (m, m) from sums by bucket (B, m) with the bucket's rows as last column."""
    centred = buckets[:, :-1] - buckets[:, -1:] * means
    products = centred.T @ centred
    second = np.diag(products)
    spread = second[:, None] + second[None, :] - 2.0 * products
    size = len(buckets)
    factor = size / max(size - 1, 1)
    out: FloatArray = np.sqrt(np.maximum(spread * factor, 0.0)) / rows
    return out
