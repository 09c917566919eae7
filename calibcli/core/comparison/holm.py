"""Many claims of one result, made at one level together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Return which of the hypotheses are rejected, in their order.

    The probability that any true one is among them is at most `alpha`, whatever their dependence.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    rejected = [False] * len(p_values)
    ranked = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for place, i in enumerate(ranked):
        if p_values[i] > alpha / (len(ranked) - place):
            break
        rejected[i] = True
    return rejected
