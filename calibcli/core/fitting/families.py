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
from calibcli.core.calibrators.evidence import label_evidence, separates
from calibcli.core.calibrators.types import Calibrator
from calibcli.core.fitting.held_out import HeldOut, apply_to_cells, cell_losses
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.fitting.held_out import Score

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
    positive, negative = label_evidence(stats)
    total = positive + negative
    return 4.0 * positive * negative / total if total > 0 else 0.0


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
    found = []
    for place, stats in enumerate(slices):
        parts = stats.split(folds, seed + place, balanced=False)
        # The few rows of tiny slices would all be in one fold.
        turn = place % folds if stats.n < folds else 0
        found.append(parts[turn:] + parts[:turn])
    return found


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
    fewest = min(label_evidence(stats))
    if fewest == 0:
        return "one label only: the overall map"
    return f"fewer than {FEWEST} rows of one label: the overall map" if fewest < FEWEST else ""


def _own(stats: ScoreStats, fit: Fit) -> tuple[Calibrator | None, str]:
    reason = _scarce(stats)
    if reason:
        return None, reason
    try:
        own = fit(stats)
    except InputError as error:
        return None, f"could not be fitted ({error.message}): the overall map"
    if own.at_bound or (not own.free_form and separates(stats.logit, stats)):
        return None, "the scores separate its labels: the overall map"
    return own, ""


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
    columns = [(name, n0) for name in own_fits for n0 in PRIOR_ROWS]
    held = HeldOut(1 + len(columns), (0,))
    kept = []
    for fold in folds:
        rests = [merged([one[f] for f in folds if f != fold]) for one in parts]
        overall = overall_fit(merged(rests))
        owns = {name: [_own(rest, fit)[0] for rest in rests] for name, fit in own_fits.items()}
        kept.append((overall, rests, owns))
        for place, own_parts in enumerate(parts):
            if own_parts[fold].n:
                fitted = {name: maps[place] for name, maps in owns.items()}
                _compared(held, own_parts[fold], columns, overall, rests[place], fitted, select)
    choice = choose_prior(held, columns, earn=earn)
    method, prior_rows = choice.method, choice.prior_rows
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
    return Family(overall, slices, method, prior_rows, choice.tried, by_fold, held_out)


def _slice_fit(whole: ScoreStats, fit: Fit, prior_rows: float) -> SliceFit:
    own, note = _own(whole, fit)
    weight = 0.0 if own is None else shrinkage_weight(whole, prior_rows)
    return SliceFit(own if weight else None, float(whole.n), weight, note)


def _mapped(stats: ScoreStats, calibrator: Calibrator) -> ScoreStats:
    return stats.map(apply_to_cells(calibrator, stats))


def _compared(
    held: HeldOut,
    held_out: ScoreStats,
    columns: Sequence[tuple[str, float]],
    overall: Calibrator,
    rest: ScoreStats,
    own: Mapping[str, Calibrator | None],
    select: Score,
) -> None:
    """Add one slice's rows of one fold: one map for all first, then each (method, n0)."""
    shared = apply_to_cells(overall, held_out)
    curves = {
        name: shared if one is None else apply_to_cells(one, held_out) for name, one in own.items()
    }
    losses = [cell_losses(shared, select)]
    for name, prior_rows in columns:
        weight = shrinkage_weight(rest, prior_rows)
        if own[name] is None or weight == 0.0:
            losses.append(losses[0])
            continue
        losses.append(cell_losses(log_pool((curves[name], shared), (weight, 1.0 - weight)), select))
    held.add_cells(held_out, losses, [shared])


@dataclass(frozen=True, slots=True)
class PriorChoice:
    """Which n0 was taken, of which method, and the table of what was compared."""

    method: str
    prior_rows: float
    tried: tuple[Tried, ...]


def choose_prior(held: HeldOut, columns: Sequence[tuple[str, float]], *, earn: bool) -> PriorChoice:
    """Return the method and n0 of least held-out loss.

    Args:
        held: losses of one map for all, the base, then of each column.
        columns: (method, n0).
        earn: keep one map for all unless another is better by more than one standard error.
    """
    means, losses, errors = held.differences[1:], held.losses, held.errors[0, 1:]
    # The largest n0 and the first method among equals.
    order = sorted(range(len(columns)), key=lambda i: (means[i], -columns[i][1]))
    common = next(i for i, (_, n0) in enumerate(columns) if math.isinf(n0))
    best = order[0]
    if earn and -means[best] <= errors[best]:
        best = common
    own = [i for i in order if not math.isinf(columns[i][1])]
    methods = list(dict.fromkeys(name for name, _ in columns))
    firsts = [next(i for i in own if columns[i][0] == name) for name in methods]
    tried = tuple(
        Tried(*columns[i], float(losses[i + 1]), float(means[i]), float(errors[i]))
        for i in [common, *firsts]
    )
    return PriorChoice(*columns[best], tried)
