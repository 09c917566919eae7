"""The conformal quantile of rows that come in units: patients, prompts, videos.

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
from typing import TYPE_CHECKING

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
