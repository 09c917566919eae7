"""How the errors of the classes of one row go together: they are not independent of each other.

Between whole clusters that is read from their buckets. Of independent rows each class has a
variance of its own, and whole rows (see `row_sample`) tell how much more or less the sum over
classes varies than if the classes were independent. Without either it is at most the number of
classes (Minkowski).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.spread import leverage, without_each
from calibcli.core.statistics.side_by_side import coarsened

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from calibcli.core.metrics.spread import Gradient
    from calibcli.core.statistics.row_sample import RowSample


_MOST_CELLS = 1 << 17
_BITS = 3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Joint:
    """What is known of the rows behind several classes.

    Attributes:
        clustered: whether the classes' buckets are of clusters, not of rows.
        rows: some of them whole; None where there are none.
        losses: (K, 4) sums of the losses of the rows of each class; None where they were not
            summed row by row.
    """

    clustered: bool
    rows: RowSample | None = None
    losses: NDArray[np.float64] | None = None

    def near(self, classes: Sequence[View]) -> Sequence[View]:
        """Return the classes in cells that are few enough for how far a sum of them may be off.

        A gradient hardly changes within a cell as wide as an eighth of its probability. Counts
        at edges, and the sums of losses, stay exact.
        """
        if sum(len(view.stats.key) for view in classes) <= _MOST_CELLS:
            return classes
        fresh = [view for view in classes if view.near is None]
        for view, near in zip(fresh, _coarsened(fresh), strict=True):
            view.near = near
        return [view.near or view for view in classes]

    def apart(self, view: View) -> View:
        """Return a class as it is by itself: of independent rows, or of its clusters."""
        if self.clustered or view.stats.parts is None:
            return view
        return View(replace(view.stats, parts=None), view.binning)

    def effect(
        self,
        classes: Sequence[View],
        gradients: Sequence[Gradient],
        numbers: Sequence[int] | None = None,
    ) -> float:
        """Return the variance of a sum over classes over the sum of their variances.

        Args:
            classes: pairs of each class.
            gradients: of its term of the sum.
            numbers: which classes these are, by default all.
        """
        variances = [
            intervals.variance(self.apart(view).stats, gradient)
            for view, gradient in zip(classes, gradients, strict=True)
        ]
        alone = sum(variances)
        if alone <= 0.0:
            return 1.0
        if all(view.stats.parts is not None for view in classes):
            sums: Any = sum(
                view.stats.bucket_sums(*gradient)
                for view, gradient in zip(classes, gradients, strict=True)
            )
            sums = without_each(sums, leverage(classes[0].stats))
            return float(sums @ sums) / alone
        if self.rows is not None:
            which = range(len(classes)) if numbers is None else numbers
            stats = [view.stats for view in classes]
            return self.rows.together(which, stats, gradients, alone) / alone
        return sum(math.sqrt(v) for v in variances) ** 2 / alone


def _coarsened(views: Sequence[View]) -> list[View]:
    stats = [view.stats for view in views]
    if not stats:
        return []
    alike = {(one.table.bits, one.table.logits, one.edges, one.parts is None) for one in stats}
    if len(alike) == 1 and stats[0].parts is None and (stats[0].table.bits or 99) > _BITS:
        wide = coarsened(stats, _BITS)
    else:
        wide = [one.coarsened(_BITS) for one in stats]
    return View.of_each(wide, views[0].binning, seed=views[0].seed)
