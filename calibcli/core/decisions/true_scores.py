"""Nonconformity of the true classes, gathered batch by batch for conformal quantiles.

A quantile needs the values and their counts, not the rows. Values are kept exactly while they are
few; a million and more are rounded up to 14 mantissa bits, which can only make sets larger, by less
than one part in ten thousand of the quantile. Which of the two depends on the values alone, so any
order and partition of the rows gives the same quantiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT_VALUES = 1 << 20
_SPARE_BITS = 52 - 14
_SMALLEST = 2.0**-60


class TrueScores:
    """A mergeable count of (slot, value): a slot is a class, a group, or 0.

    Args:
        limit: distinct pairs up to which values stay exact.
    """

    def __init__(self, limit: int = EXACT_VALUES) -> None:
        self.limit = limit
        self.exact = True
        self._slot = np.zeros(0, np.int64)
        self._value = np.zeros(0)
        self._count = np.zeros(0, np.int64)

    def add(
        self,
        value: NDArray[np.float64],
        slot: NDArray[np.integer[Any]] | None = None,
        count: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Count values (n,) >= 0, with optional slots and rows behind each (n,)."""
        slots = np.zeros(len(value), np.int64) if slot is None else slot.astype(np.int64)
        counts = np.ones(len(value), np.int64) if count is None else count.astype(np.int64)
        self._join(slots, np.asarray(value, np.float64), counts)

    def merge(self, other: TrueScores, slots: NDArray[np.integer[Any]] | None = None) -> None:
        """Add another count; `slots` gives the slot here of each slot there."""
        if not other.exact:
            self._round_up()
        slot = other._slot if slots is None else np.asarray(slots, np.int64)[other._slot]
        self._join(slot, other._value, other._count)

    def read(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Return slots, values and counts (m,), sorted by slot and value."""
        return self._slot, self._value, self._count

    def _join(
        self, slot: NDArray[np.int64], value: NDArray[np.float64], count: NDArray[np.int64]
    ) -> None:
        if not self.exact:
            value = _rounded_up(value)
        slot = np.concatenate([self._slot, slot])
        value = np.concatenate([self._value, value])
        count = np.concatenate([self._count, count])
        if len(slot) == 0:
            return
        order = np.lexsort((value, slot))
        slot, value, count = slot[order], value[order], count[order]
        fresh = np.append(True, (slot[1:] != slot[:-1]) | (value[1:] != value[:-1]))
        start = np.flatnonzero(fresh)
        self._slot, self._value = slot[start], value[start]
        self._count = np.add.reduceat(count, start)
        if self.exact and len(start) > self.limit:
            self._round_up()

    def _round_up(self) -> None:
        if self.exact:
            self.exact = False
            slot, value, count = self.read()
            self._slot, self._value, self._count = slot[:0], value[:0], count[:0]
            self._join(slot, value, count)


def _rounded_up(value: NDArray[np.float64]) -> NDArray[np.float64]:
    step = np.int64(1 << _SPARE_BITS)
    bits = np.ascontiguousarray(np.maximum(value, _SMALLEST)).view(np.int64)
    rounded = (bits + (step - 1)) & ~(step - 1)
    return rounded.view(np.float64)
