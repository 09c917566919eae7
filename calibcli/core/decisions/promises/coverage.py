"""The nonconformity of true classes, and its quantile for rows that come in units: patients.

Units are exchangeable, their rows are not: what is promised is that the set of a row drawn at
random from a new unit holds its true class with the promised probability. Each of K units has the
same mass 1 / (K + 1), shared equally among its rows, and the rest of the mass lies at infinity; the
quantile of that distribution keeps the promise whatever the distribution of units, their sizes and
the rows in them. Where each unit has one row it is the usual conformal quantile.

Source: Lee, Barber and Willett 2023, *Distribution-free inference with hierarchical data*, section
3 (HCP), which needs no draw of one row a unit as Dunn, Wasserman and Ramdas 2022 do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.promises.counts import Entries


@dataclass(frozen=True, slots=True)
class UnitQuantile:
    """A quantile, and what stands behind it.

    Attributes:
        quantile: infinite where there are too few units.
        units, rows: how many; `held` rows are at most the quantile.
        spread: the standard error of the coverage of this quantile, over draws of the units.
    """

    quantile: float
    units: int
    rows: int
    held: int
    spread: float

    def interval(self, coverage: float, confidence: float) -> tuple[float, float]:
        """Return where the coverage lies with this confidence, about.

        The mean over units of the share of their rows that is covered, by Student's t.
        """
        if math.isinf(self.quantile):
            return 1.0, 1.0
        if self.units < 2:
            return 0.0, 1.0
        from scipy.special import stdtrit

        reach = float(stdtrit(self.units - 1, 0.5 + confidence / 2.0)) * self.spread
        return max(coverage - reach, 0.0), min(coverage + reach, 1.0)


def keys_of(value: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return integers that sort as the values (n,) >= 0 do, and from which they can be read."""
    return np.ascontiguousarray(np.maximum(value, 0.0) + 0.0).view(np.int64)


def unit_quantile(entries: Entries, coverage: float) -> UnitQuantile:
    """Return the quantile of the nonconformity of true classes.

    Args:
        entries: of one slot, with `keys_of` the values as keys.
        coverage: the promised probability.
    """
    if not len(entries.key):
        return UnitQuantile(math.inf, 0, 0, 0, 0.0)
    value = entries.key.view(np.float64)
    units, place = np.unique(entries.unit, return_inverse=True)
    size = np.bincount(place, entries.count, len(units))
    rows = int(entries.count.sum())
    order = np.argsort(value, kind="stable")
    mass = np.cumsum((entries.count / size[place])[order])
    wanted = coverage * (len(units) + 1) - 1e-9
    if mass[-1] < wanted:
        return UnitQuantile(math.inf, len(units), rows, rows, 0.0)
    quantile = float(value[order[np.searchsorted(mass, wanted, side="left")]])
    inside = entries.count * (value <= quantile)
    share = np.bincount(place, inside, len(units)) / size
    spread = float(share.std(ddof=1)) / math.sqrt(len(units)) if len(units) > 1 else 0.0
    return UnitQuantile(quantile, len(units), rows, int(inside.sum()), spread)


EXACT_VALUES = 1 << 20
_SPARE_BITS = 52 - 14
_SMALLEST = 2.0**-60


class TrueScores:
    """A mergeable count of (slot, value): a slot is a class, a group, or 0.

    A quantile needs the values and their counts, not the rows. Values are kept exactly while they
    are few; a million and more are rounded up to 14 mantissa bits, which can only make sets larger,
    by less than one part in ten thousand of the quantile. Which of the two depends on the values
    alone, so any order and partition of the rows gives the same quantiles.

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
