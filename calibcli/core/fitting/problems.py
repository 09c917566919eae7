"""What a calibrator is chosen for: binary pairs, or rows of several classes.

Both are fitted on all rows and outside each fold, and scored on the fold; `auto` needs no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, Histogram, OneVsRest, ScalingBinning
from calibcli.core.calibrators.classes.one_vs_rest import class_stats
from calibcli.core.calibrators.classes.rows import deal
from calibcli.core.calibrators.evidence import (
    FREE_FORM_ROWS,
    effective_rows,
    label_evidence,
    require_both_classes,
)
from calibcli.core.calibrators.types import CLASSES, SCORE, Calibrator
from calibcli.core.fitting.held_out import (
    FoldLosses,
    HeldOut,
    apply_to_cells,
    map_losses,
    mapped,
    sampled_share,
)
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import RowSource
    from calibcli.core.fitting.held_out import Score
    from calibcli.core.statistics.stats import ScoreStats

Fit = Callable[["ScoreStats"], Calibrator]

BINARY_CANDIDATES = (
    "identity",
    "temperature",
    "platt",
    "beta",
    "spline",
    "isotonic",
    "venn-abers",
)
ROW_CANDIDATES = (
    "identity",
    "temperature",
    "vector",
    "svs",
    "sms",
    "dirichlet",
    "beta",
    "spline",
    "isotonic",
)
FEW_CLASSES = 20
"""One-vs-rest maps and Dirichlet weights are candidates up to so many classes."""
BINS = 15
ROWS_OF_A_BIN = 30
"""Bins of a binary method, and the rows that each of more of them has at least."""
MANY_CLASSES = 200
"""Structured matrices are candidates up to so many classes."""


def fitted(kind: type[Calibrator], data: Any, prior: float = 0.0, **options: Any) -> Calibrator:
    """Return a method fitted to pairs or rows; free-form methods take no prior."""
    if not kind.free_form:
        options["prior"] = prior
    return cast("Calibrator", cast("Any", kind).fit(data, **options))


# -- binary pairs ----------------------------------------------------------------------------------


class Pairs:
    """Binary pairs, dealt to folds by a seeded draw; clusters stay whole."""

    def __init__(self, stats: ScoreStats, *, folds: int = 5, seed: int = 0) -> None:
        require_both_classes(stats)
        self.stats, self.folds, self.seed = stats, folds, seed
        self.effective = effective_rows(stats)
        self._splits: dict[int, list[tuple[ScoreStats, ScoreStats]]] = {}

    def split(self, again: int = 0) -> list[tuple[ScoreStats, ScoreStats]]:
        """Return (rows to fit, rows held out) of each fold."""
        if again not in self._splits:
            self._splits = {again: folds_of(self.stats, self.folds, self.seed + again)}
        return self._splits[again]

    def too_few(self) -> str | None:
        """Return why methods cannot be compared, or None."""
        scarce = min(label_evidence(self.stats))
        return f"about {scarce:.0f} rows of one label" if scarce < self.folds else None

    def unfit(self, name: str) -> str | None:
        """Return why a method is no candidate."""
        kind = CALIBRATORS[name]
        if not SCORE <= kind.takes:
            return "no candidate: for several classes"
        return _free_form(kind, self.effective)

    def rank(self, name: str) -> int:
        """Return the place of a method from simple to free."""
        return CALIBRATORS[name].complexity

    def parameters(self, name: str) -> int:
        """Return how many numbers a method fits; of those that are fitted with a prior."""
        return CALIBRATORS[name].complexity

    def fit(self, name: str, prior: float = 0.0) -> Calibrator:
        """Return a method fitted on all rows."""
        return fitted(CALIBRATORS[name], self.stats, prior)

    def fit_folds(
        self, name: str, whole: Calibrator, prior: float = 0.0, *, again: int = 0
    ) -> tuple[Calibrator, ...]:
        """Return a method fitted outside each fold of a deal."""
        kind = CALIBRATORS[name]
        return tuple(fitted(kind, rest, prior) for rest, _ in self.split(again))

    def held_out(self, size: int, repeats: int) -> HeldOut:
        """Return an accumulator of losses in which every candidate is a judge."""
        return HeldOut(size, range(size), repeats=repeats)

    def score(
        self, into: HeldOut, maps: Sequence[Sequence[Calibrator]], select: Score, *, again: int = 0
    ) -> None:
        """Add every pair's losses under the maps of its fold."""
        for fold, (_, held) in enumerate(self.split(again)):
            mine = [one[fold] for one in maps]
            losses = [map_losses(one, held, select) for one in mine]
            into.add_cells(held, losses, [apply_to_cells(one, held) for one in mine])

    def after(self, maps: Sequence[Calibrator]) -> ScoreStats:
        """Return every pair under the map that has not seen it."""
        return _after(self.split(), maps)


class OfRows(Pairs):
    """Pairs of one label of rows that have several: the labels of a row are in the same fold.

    The buckets are of rows, so that pairs are kept by bucket `after` the fit, for figures of all
    labels together. One label has a pair a row: its own fits and losses are of independent pairs.
    """

    def __init__(self, stats: ScoreStats, *, folds: int = 5, seed: int = 0) -> None:
        super().__init__(replace(stats, parts=None), folds=folds, seed=seed)
        self._by_row = stats

    def split(self, again: int = 0) -> list[tuple[ScoreStats, ScoreStats]]:
        """Return (rows to fit, rows held out) of each fold."""
        if again not in self._splits:
            dealt = folds_of(self._by_row, self.folds, self.seed + again)
            bare = [(replace(rest, parts=None), replace(held, parts=None)) for rest, held in dealt]
            self._splits = {again: bare}
        return self._splits[again]

    def after(self, maps: Sequence[Calibrator]) -> ScoreStats:
        """Return every pair, by bucket, under the map that has not seen it."""
        return _after(folds_of(self._by_row, self.folds, self.seed), maps)


class Forward(Pairs):
    """Binary pairs in blocks of time: each but the first is judged by fits on those before it.

    What is told of the future is then what could have been known (walk-forward validation).
    """

    def __init__(self, blocks: Sequence[ScoreStats]) -> None:
        *before, whole = accumulate(blocks, lambda a, b: a.merge(b))
        super().__init__(whole, folds=len(blocks) - 1)
        self._parts = list(zip(before, blocks[1:], strict=True))

    @property
    def judged(self) -> ScoreStats:
        """The rows that are judged: all but those of the first block."""
        return reduce(lambda a, b: a.merge(b), (held for _, held in self._parts))

    def split(self, again: int = 0) -> list[tuple[ScoreStats, ScoreStats]]:
        """Return (rows before, rows of a block) of each block but the first, whatever the deal."""
        return self._parts


def folds_of(stats: ScoreStats, folds: int, seed: int) -> list[tuple[ScoreStats, ScoreStats]]:
    """Return (rows to fit, rows held out) for each fold that holds rows."""
    parts = [part for part in stats.split(folds, seed) if part.n > 0]
    pairs = []
    for index, held_out in enumerate(parts):
        if len(parts) > 1:
            pairs.append((stats.rest(parts, index), held_out))
    return pairs


def _after(
    parts: Sequence[tuple[ScoreStats, ScoreStats]], maps: Sequence[Calibrator]
) -> ScoreStats:
    logits = all(one.has_logits for one in maps)
    pairs = zip(parts, maps, strict=True)
    after = [mapped(held, one, logits=logits) for (_, held), one in pairs]
    return reduce(lambda a, b: a.merge(b), after)


def cross_fit(stats: ScoreStats, fit: Fit, *, folds: int = 5, seed: int = 0) -> ScoreStats:
    """Return every pair under the probability of a fit on the other folds.

    Raises:
        InputError: when a fit refuses, for example because the other folds hold one class.
    """
    pairs = Pairs(stats, folds=folds, seed=seed)
    if not pairs.split():
        raise InputError("too few rows for cross-fitting", hint="give more rows")
    return pairs.after([fit(rest) for rest, _ in pairs.split()])


def _free_form(kind: type[Calibrator], effective: float) -> str | None:
    if kind.free_form and effective < FREE_FORM_ROWS:
        return f"no candidate: free-form, and {effective:.0f} rows are below {FREE_FORM_ROWS}"
    return None


# -- rows of several classes -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _ClassPairs:
    """Each class against the rest (K,): of all rows, and of those outside each fold (F, K)."""

    whole: list[ScoreStats]
    outside: list[list[ScoreStats]]

    @classmethod
    def of(cls, by_fold: list[list[ScoreStats]]) -> Self:
        """Join the pairs of folds (F, K)."""
        by_class = [list(parts) for parts in zip(*by_fold, strict=True)]
        whole = [reduce(lambda a, b: a.merge(b), parts) for parts in by_class]
        outside = [
            [one.rest(parts, fold) for one, parts in zip(whole, by_class, strict=True)]
            for fold in range(len(by_fold))
        ]
        return cls(whole, outside)


class Rows:
    """Rows of several classes; a row's fold is its bucket's. Binary methods are one-vs-rest."""

    def __init__(self, source: RowSource, *, folds: int = 5, clustered: bool = False) -> None:
        source.summary.require_two_classes()
        self.source, self.folds, self.clustered = source, folds, clustered
        self.effective = source.summary.effective
        self._pairs: tuple[int, _ClassPairs] | None = None

    def too_few(self) -> str | None:
        """Return why methods cannot be compared, or None."""
        mass = self.source.summary.by_fold(deal(self.folds))
        outside = mass.sum(axis=0) - mass
        if self.effective < self.folds or (np.count_nonzero(outside > 0, axis=1) < 2).any():
            return f"{self.effective:.0f} rows"
        return None

    def unfit(self, name: str) -> str | None:
        """Return why a method is no candidate."""
        kind, size = CALIBRATORS[name], self.source.n_classes
        if size > FEW_CLASSES and name in {"matrix", "dirichlet"}:
            return f"no candidate: K² weights of more than {FEW_CLASSES} classes"
        if size > MANY_CLASSES and name == "sms":
            return f"no candidate: K² weights of more than {MANY_CLASSES} classes"
        if size > FEW_CLASSES and not CLASSES <= kind.takes:
            return f"no candidate: one-vs-rest of more than {FEW_CLASSES} classes"
        return _free_form(kind, self.effective)

    def rank(self, name: str) -> int:
        """Order by complexity, one-vs-rest methods (K maps each) after those of whole rows."""
        kind = CALIBRATORS[name]
        return kind.complexity + (0 if CLASSES <= kind.takes else 100)

    def parameters(self, name: str) -> int:
        """Return how many numbers a method fits, those that a penalty holds left out."""
        kind, size = CALIBRATORS[name], self.source.n_classes
        if not CLASSES <= kind.takes:
            return kind.complexity
        return kind.complexity if kind.complexity <= 1 else 2 * size

    def fit(self, name: str, prior: float = 0.0) -> Calibrator:
        """Return a method fitted on all rows; a binary method one-vs-rest."""
        kind = CALIBRATORS[name]
        if CLASSES <= kind.takes:
            return fitted(kind, self.source, prior)
        return self._one_vs_rest(kind, self._by_fold(0).whole, prior)

    def fit_folds(
        self, name: str, whole: Calibrator, prior: float = 0.0, *, again: int = 0
    ) -> tuple[Calibrator, ...]:
        """Return a method fitted outside each fold of a deal."""
        kind: Any = CALIBRATORS[name]
        folds = deal(self.folds, again)
        if CLASSES <= kind.takes:
            return tuple(kind.fit_folds(self.source, folds, whole, prior=prior))
        pairs = self._by_fold(again)
        return tuple(self._one_vs_rest(kind, rest, prior) for rest in pairs.outside)

    def _by_fold(self, again: int) -> _ClassPairs:
        if self._pairs is None or self._pairs[0] != again:
            self._pairs = again, _ClassPairs.of(class_stats(self.source, deal(self.folds, again)))
        return self._pairs[1]

    def _one_vs_rest(
        self, kind: type[Calibrator], classes: list[ScoreStats], prior: float
    ) -> OneVsRest:
        return OneVsRest.fit(classes, self.against_rest(kind, prior), floor=self.source.floor)

    def against_rest(self, kind: type[Calibrator], prior: float = 0.0) -> Fit:
        """Return what fits a binary method to one class against the rest.

        Most of the rest lies near 0, where bins of equal mass would lie too: a class has its
        usual number of bins in the K-th of the rows that is its own.
        """
        options: dict[str, Any] = {}
        if kind in (Histogram, ScalingBinning):
            most = int(self.effective / ROWS_OF_A_BIN)
            options["bins"] = max(BINS, min(BINS * self.source.n_classes, most))
        return lambda stats: fitted(kind, stats, prior, **options)

    def held_out(self, size: int, repeats: int) -> HeldOut:
        """Return an accumulator of losses in which every candidate is a judge."""
        share = sampled_share(self.source, size * (size - 1))
        return HeldOut(size, range(size), repeats=repeats, share=share, clustered=self.clustered)

    def score(
        self, into: HeldOut, maps: Sequence[Sequence[Calibrator]], select: Score, *, again: int = 0
    ) -> None:
        """Add every row's losses under the maps of its fold, in one pass."""
        by_fold = [[one[fold] for one in maps] for fold in range(self.folds)]
        self.source.scan(FoldLosses(into, by_fold, deal(self.folds, again), select))


def cross_fit_rows(source: RowSource, method: str, *, folds: int = 5) -> tuple[Calibrator, ...]:
    """Return one calibrator a fold, fitted on the rows outside it (bucket % folds).

    Raises:
        InputError: when the rows outside a fold hold one class only.
    """
    rows = Rows(source, folds=folds)
    return rows.fit_folds(method, rows.fit(method))
