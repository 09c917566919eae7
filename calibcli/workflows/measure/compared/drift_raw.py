"""`--reference` of raw scores: how far they have moved, and what their order and cut-offs do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.comparison.at_cuts import AT_CUTS, apart_at, name_at
from calibcli.core.comparison.change import change, changed
from calibcli.core.comparison.unlabelled import prevalence
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.shares import proportion
from calibcli.core.results.figures import Figure
from calibcli.workflows.measure.slices import confusion

if TYPE_CHECKING:
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.comparisons import Compared
    from calibcli.core.results.figures import Confusion
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions

_NO_CUT = "the reference is too coarse to be cut there: compare with its scores"
_OF_TABLE = [name for name in AT_CUTS if name != "positive_rate"]


def ranking_changes(
    before: ScoreStats,
    now: ScoreStats,
    conventions: Conventions,
    scale: RawScale,
    *,
    reference_labelled: bool,
    labelled: bool,
    cut_exactly: bool,
) -> dict[str, Compared]:
    """Return what of a drift beside distances makes sense where scores only rank.

    Args:
        before: the reference, on the scale of the current rows.
        now: the current rows.
        conventions: the cut-offs, in the unit of the scores, and the level.
        scale: of the scores.
        reference_labelled: whether the reference has labels.
        labelled: whether both have.
        cut_exactly: whether the reference was read with these cut-offs.
    """
    a, b = View(before, conventions.headline), View(now, conventions.headline)
    level = conventions.confidence
    found = prevalence(before, now, level) if reference_labelled else {}
    if labelled:
        ranked = ("prevalence", "auc", "average_precision")
        found |= {name: change(name, a, b, level) for name in ranked}
    for raw in conventions.raw_cuts:
        names = [*(_OF_TABLE if labelled else ()), "positive_rate"]
        if not (cut_exactly or before.exact):
            found |= {name_at(name, raw): changed(reason=_NO_CUT) for name in names}
            continue
        sides = [_cut(view, raw, scale, level) for view in (a, b)]
        rates = [{**table.rates, "positive_rate": alerts} for table, alerts in sides]
        found |= {name_at(name, raw): apart_at(rates[0][name], rates[1][name]) for name in names}
    return found


def _cut(view: View, raw: float, scale: RawScale, level: float | None) -> tuple[Confusion, Figure]:
    """Return the confusion table at a cut-off, and the share of rows that it alerts."""
    stats, at, first = view.stats, scale.probability(raw), None
    if stats.exact:
        first = int(np.searchsorted(stats.cut, float(scale.keyed(raw))))
    table = confusion(view, at, level, first=first)
    start = int(np.searchsorted(stats.floor, at)) if first is None else first
    alert = (np.arange(len(stats.key)) >= start).astype(np.float64)
    rows = float(stats.n)
    value = float(table.tp + table.fp) / rows
    if level is None:
        return table, Figure(value)
    slope = (alert - value) / rows
    return table, Figure(value, *proportion(stats, value, (slope, slope), rows, level))
