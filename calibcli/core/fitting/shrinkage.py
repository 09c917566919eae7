"""Maps of slices (groups, classes) that borrow from the whole according to their size.

A slice's probability is the logarithmic pool of its own map and the overall one,

    logit p = w f_own(x) + (1 - w) f_overall(x),    w = n / (n + n0),

f being the two maps' logits. For maps whose logit is linear in their parameters (temperature in
1/T, Platt, beta) this is shrinkage of the parameters themselves towards the overall fit; for
free-form maps it is the same thing done to the curve. w is the credibility weight of Bühlmann,
"Experience rating and credibility" (1967): the posterior mean under a normal prior around the
whole, when n0 is the ratio of the variance within slices to that between them. n0 is estimated
by what it is for: the value whose pools have the least held-out loss, from 3 (all but the
smallest slices for themselves) to infinity (one map for all).

n counts informative rows, 4 n p (1 - p) for prevalence p: the rows of a balanced sample that
would fix the level equally well. Ten thousand rows with three positives know little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators.composed.pooling import log_pool
from calibcli.core.calibrators.composed.shrunk import Shrunk
from calibcli.core.calibrators.types import (
    Calibrator,
    counts,
    effective_rows,
)
from calibcli.core.fitting.selection import apply_to_cells, cell_losses, clustered_errors
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.fitting.selection import Score

Fit = Callable[[ScoreStats], Calibrator]

PRIOR_ROWS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, math.inf)
"""Values of n0 that are compared."""
FEWEST = 10
"""A slice with fewer rows of one label than this has the overall map."""


@dataclass(frozen=True, slots=True)
class SliceFit:
    """One slice's outcome.

    Attributes:
        own: its own map, None where it has the overall one.
        rows: how many rows it has, or their total weight.
        weight: w; 0 where it has the overall map.
        note: why it fell back, or nothing.
    """

    own: Calibrator | None
    rows: float
    weight: float
    note: str = ""

    def with_overall(self, overall: Calibrator) -> Calibrator:
        """Return the map that the slice is given."""
        if self.own is None or self.weight == 0.0:
            return overall
        return self.own if self.weight == 1.0 else Shrunk(self.own, overall, self.weight)


@dataclass(frozen=True, slots=True)
class Tried:
    """One row of the comparison: the method of the slices' own maps, n0, the held-out loss.

    `difference` is the loss minus that of one map for all, `se` the standard error of this paired
    difference.
    """

    method: str
    prior_rows: float
    loss: float
    difference: float
    se: float


@dataclass(frozen=True, slots=True)
class Family:
    """The maps of all slices.

    Attributes:
        overall: the map of all rows.
        slices: one for each slice, in their order.
        method: of the slices' own maps.
        prior_rows: n0; infinite where one map serves all.
        tried: the comparison: one map for all, then the best n0 of each method.
        folds: (overall, slices) of each fold, which have not seen it.
        held_out: the pairs of each slice under the maps that have not seen them.
    """

    overall: Calibrator
    slices: tuple[SliceFit, ...]
    method: str
    prior_rows: float
    tried: tuple[Tried, ...]
    folds: tuple[tuple[Calibrator, tuple[SliceFit, ...]], ...]
    held_out: tuple[ScoreStats, ...]


def informative_rows(stats: ScoreStats) -> float:
    """Return 4 n p (1 - p), n being Kish's effective number where rows carry weights."""
    n = float(stats.n)
    if n <= 0:
        return 0.0
    share = float(stats.positives) / n
    return 4.0 * effective_rows(stats) * share * (1.0 - share)


def shrinkage_weight(stats: ScoreStats, prior_rows: float) -> float:
    """Return n / (n + n0); 0 for an infinite n0."""
    n = informative_rows(stats)
    return 0.0 if math.isinf(prior_rows) or n <= 0 else n / (n + prior_rows)


def deal(slices: Sequence[ScoreStats], folds: int, seed: int) -> list[list[ScoreStats]]:
    """Return [slice][fold]: disjoint parts of each slice; a cluster is in one fold everywhere.

    Labels are not balanced: see `deal_rows`.
    """
    if any(stats.parts is not None for stats in slices):
        home = np.random.default_rng(seed).permutation(BUCKETS) % folds
        return [[_buckets(stats, home == fold) for fold in range(folds)] for stats in slices]
    return [stats.split(folds, seed + place, balanced=False) for place, stats in enumerate(slices)]


def _buckets(stats: ScoreStats, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> ScoreStats:
    if stats.parts is None:
        return stats
    parts = stats.parts.rows(chosen[stats.parts.slot])
    return replace(stats, table=parts.slots(0, BUCKETS), parts=parts)


def merged(parts: Sequence[ScoreStats]) -> ScoreStats:
    """Return the statistics of all parts."""
    return reduce(lambda a, b: a.merge(b), parts)


def _scarce(stats: ScoreStats) -> str:
    """Return why a slice has no map of its own, or nothing."""
    share = effective_rows(stats) / float(stats.n) if stats.n else 0.0
    fewest = share * min(float(stats.positives), float(stats.negatives))
    if fewest == 0:
        return "one label only: the overall map"
    return f"fewer than {FEWEST} rows of one label: the overall map" if fewest < FEWEST else ""


def _own(stats: ScoreStats, fit: Fit) -> tuple[Calibrator | None, str]:
    reason = _scarce(stats)
    if reason:
        return None, reason
    try:
        return fit(stats), ""
    except InputError as error:
        return None, f"could not be fitted ({error.message}): the overall map"


def fit_family(
    parts: Sequence[Sequence[ScoreStats]],
    overall_fit: Fit,
    own_fits: Mapping[str, Fit],
    *,
    select: Score = "nll",
    earn: bool = False,
) -> Family:
    """Fit the overall map, the slices' own maps, and n0 by cross-fitting.

    Args:
        parts: [slice][fold] pairs, disjoint.
        overall_fit: fits the map of all rows.
        own_fits: fits of a slice's own map by method; the one of least held-out loss is taken.
        select: the loss, log loss or Brier score.
        earn: keep one map for all unless another n0 is better by more than one standard error.

    Raises:
        InputError: the rows outside a fold cannot be fitted.
    """
    folds = range(len(parts[0]))
    comparison = _Comparison([(name, n0) for name in own_fits for n0 in PRIOR_ROWS], select)
    kept = []
    for fold in folds:
        rests = [merged([one[f] for f in folds if f != fold]) for one in parts]
        overall = overall_fit(merged(rests))
        owns = {name: [_own(rest, fit)[0] for rest in rests] for name, fit in own_fits.items()}
        kept.append((overall, rests, owns))
        for place, own_parts in enumerate(parts):
            if own_parts[fold].n:
                fitted = {name: maps[place] for name, maps in owns.items()}
                comparison.add(own_parts[fold], overall, rests[place], fitted)
    method, prior_rows, tried = comparison.choose(earn=earn)
    wholes = [merged(one) for one in parts]
    by_fold = tuple(
        (
            overall,
            tuple(
                SliceFit(own, float(rest.n), shrinkage_weight(rest, prior_rows))
                for own, rest in zip(owns[method], rests, strict=True)
            ),
        )
        for overall, rests, owns in kept
    )
    held_out = tuple(
        merged([_mapped(one[f], by_fold[f][1][place].with_overall(by_fold[f][0])) for f in folds])
        for place, one in enumerate(parts)
    )
    slices = tuple(_slice_fit(whole, own_fits[method], prior_rows) for whole in wholes)
    overall = overall_fit(merged(wholes))
    return Family(overall, slices, method, prior_rows, tried, by_fold, held_out)


def _slice_fit(whole: ScoreStats, fit: Fit, prior_rows: float) -> SliceFit:
    own, note = _own(whole, fit)
    weight = 0.0 if own is None else shrinkage_weight(whole, prior_rows)
    return SliceFit(own if weight else None, float(whole.n), weight, note)


def _mapped(stats: ScoreStats, calibrator: Calibrator) -> ScoreStats:
    return stats.map(apply_to_cells(calibrator, stats))


class _Comparison:
    """Held-out losses of every (method, n0), relative to one map for all."""

    def __init__(self, names: Sequence[tuple[str, float]], select: Score) -> None:
        self.names, self.select = list(names), select
        self.rows = self.base = 0.0
        self.sums = np.zeros(len(self.names))
        self.squares = np.zeros(len(self.names))
        self.buckets = np.zeros((BUCKETS, len(self.names) + 1))
        self.clustered = False

    def add(
        self,
        held_out: ScoreStats,
        overall: Calibrator,
        rest: ScoreStats,
        own: Mapping[str, Calibrator | None],
    ) -> None:
        """Add one slice's rows of one fold."""
        shared = apply_to_cells(overall, held_out)
        curves = {
            name: shared if one is None else apply_to_cells(one, held_out)
            for name, one in own.items()
        }
        base = cell_losses(shared, self.select)
        pos, neg = counts(held_out)
        shape = (len(pos), len(self.names))
        on_pos, on_neg = np.zeros(shape), np.zeros(shape)
        for column, (name, prior_rows) in enumerate(self.names):
            weight = shrinkage_weight(rest, prior_rows)
            if own[name] is None or weight == 0.0:
                continue
            p = log_pool((curves[name], shared), (weight, 1.0 - weight))
            loss = cell_losses(p, self.select)
            on_pos[:, column], on_neg[:, column] = loss[0] - base[0], loss[1] - base[1]
        table = held_out.table
        heavy_pos = pos if table.pos_sq is None else table.pos_sq
        heavy_neg = neg if table.neg_sq is None else table.neg_sq
        self.rows += float(pos.sum() + neg.sum())
        self.base += float(pos @ base[0] + neg @ base[1])
        self.sums += pos @ on_pos + neg @ on_neg
        self.squares += heavy_pos @ on_pos**2 + heavy_neg @ on_neg**2
        if held_out.parts is not None:
            self.clustered = True
            ones = np.ones((len(pos), 1))
            sums = held_out.bucket_sums(np.hstack([on_pos, ones]), np.hstack([on_neg, ones]))
            self.buckets[np.unique(held_out.parts.slot)] += sums

    def choose(self, *, earn: bool) -> tuple[str, float, tuple[Tried, ...]]:
        """Return method, n0 and the table."""
        rows = max(self.rows, 1e-300)
        means = self.sums / rows
        errors = np.sqrt(np.maximum(self.squares - self.rows * means**2, 0.0)) / rows
        if self.clustered:
            used = self.buckets[self.buckets[:, -1] > 0]
            pairs = np.insert(used, 0, 0.0, axis=1)  # a column for one map for all
            errors = clustered_errors(pairs, np.append(0.0, means), rows)[0, 1:]
        # The largest n0 and the first method among equals.
        order = sorted(range(len(means)), key=lambda i: (means[i], -self.names[i][1]))
        best = order[0]
        if earn and -means[best] <= errors[best]:
            best = next(i for i, (_, n0) in enumerate(self.names) if math.isinf(n0))

        def row(i: int) -> Tried:
            name, prior_rows = self.names[i]
            loss = self.base / rows + means[i]
            return Tried(name, prior_rows, loss, float(means[i]), float(errors[i]))

        methods = list(dict.fromkeys(name for name, _ in self.names))
        none = next(i for i, (_, n0) in enumerate(self.names) if math.isinf(n0))
        own = [i for i in order if not math.isinf(self.names[i][1])]
        firsts = [next(i for i in own if self.names[i][0] == name) for name in methods]
        return *self.names[best], tuple(row(i) for i in [none, *firsts])
