"""The table of candidates, and the rule that takes one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators.evidence import FloatArray


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
