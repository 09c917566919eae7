"""Pairs of whole rows, parted into the many that are small and those counted one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.losses import SUMS, combine, slot_losses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.keys import Keys

    Floats = NDArray[np.float64]

_PRODUCT = 1024
"""Probabilities below 8 / 65 whose complements may be multiplied: 1e-58 is a normal number."""
STAND_IN = 2.0**-64
"""What no loss feels, and is known to be counted: it is taken off its cell again."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Parted:
    """Rows whose pairs are parted into those that are counted widely and finely.

    Attributes:
        small: (n, K) probabilities, with `STAND_IN` in place of the fine pairs.
        row: (m,) of each fine pair, `column` its class, `key` of its probability, and whether it
            is the `label`.
        mass: (n,) of the rows, or None.
    """

    small: Floats
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    key: Keys
    label: NDArray[np.bool_]
    mass: NDArray[Any] | None

    @property
    def weight(self) -> NDArray[Any] | None:
        """The mass of each fine pair (m,), or None."""
        return None if self.mass is None else self.mass[self.row]

    def losses(self, *, clip: bool) -> Floats:
        """Return the sums of losses by class (K, 4); see `losses.SUMS`."""
        classes = self.small.shape[1]
        found = np.zeros((classes, SUMS))
        if len(self.key):
            fine = slot_losses(self.key, self.label, self.column, self.weight, classes, clip=clip)
            combine(found, fine)
        if self.mass is not None:
            found[:, 0] += self.mass @ np.square(self.small)
            found[:, 1] -= self.mass @ np.log1p(-self.small)
            return found
        found[:, 0] += np.einsum("ij,ij->j", self.small, self.small)
        for start in range(0, len(self.small), _PRODUCT):
            rest = 1.0 - self.small[start : start + _PRODUCT]
            found[:, 1] -= np.log(np.multiply.reduce(rest, axis=0))
        return found
