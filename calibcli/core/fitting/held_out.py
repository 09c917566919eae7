"""Losses of candidates on rows that they have not seen, less a base's: sums by unit.

Everything that chooses between maps reads these sums: the method of `auto`, the maps of classes and
groups, the pool of several models, a challenger of the champion. Each row is scored by every
candidate and by the base, and what counts is the difference: what makes a row hard for both
cancels. Rows in clusters are summed by bucket, so that whole units are compared.

Where a candidate's probabilities are right, they themselves imply how much its difference to
another should vary. Rows that happen to agree vary less, and say little, so a standard error is
never below the implied one. Where the probabilities are wrong, the observed spread is blown up by
the very rows that show it (one certain error has a log loss of 34.5), so it counts up to twice the
implied one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from calibcli.core.calibrators.evidence import counts
from calibcli.core.calibrators.registry import calibrated_logits
from calibcli.core.numeric.scales import EPS, log_softmax
from calibcli.core.numeric.special import norm_ppf, t_ppf
from calibcli.core.statistics.buckets import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.classes.rows import Block, RowBatch, RowSource
    from calibcli.core.calibrators.evidence import FloatArray
    from calibcli.core.statistics.stats import ScoreStats

    Losses = tuple[FloatArray, FloatArray]
    """Loss of a row with label 1 and of one with label 0, in each cell (C,), (C,)."""

Score = Literal["nll", "brier", "error"]
"""Log loss, Brier score, or 1 where the most probable class (a cut at one half) is wrong."""

_SAMPLE = 2e8
"""Numbers that the implied spreads of rows are computed from at most."""


class HeldOut:
    """Sums over held-out rows of m candidates' losses less the base's, the first. Mergeable.

    Args:
        size: m, the base included.
        judges: candidates whose probabilities imply spreads.
        repeats: how often each row is added, under other folds.
        share: part of the buckets whose rows the implied spreads are taken from.
        clustered: whether rows of one bucket may depend on each other; pairs tell it themselves.
    """

    def __init__(
        self,
        size: int,
        judges: Sequence[int] = (),
        *,
        repeats: int = 1,
        share: float = 1.0,
        clustered: bool = False,
    ) -> None:
        self.size, self.judges, self.repeats = size, tuple(judges), repeats
        self.share, self.clustered = share, clustered
        self.rows = self.squares = self.base = self.sampled = 0.0
        self.sums, self.weighted = np.zeros(size), np.zeros(size)
        self.products, self.implied = np.zeros((size, size)), np.zeros((size, size))
        self.buckets = np.zeros((BUCKETS, size + 1))

    def fresh(self) -> HeldOut:
        """Return one of the same kind that holds nothing."""
        return HeldOut(
            self.size,
            self.judges,
            repeats=self.repeats,
            share=self.share,
            clustered=self.clustered,
        )

    def merge(self, other: HeldOut) -> None:
        """Add other rows."""
        for name in ("rows", "squares", "base", "sampled", "sums", "weighted", "products"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.implied += other.implied
        self.buckets += other.buckets
        self.clustered = self.clustered or other.clustered

    # -- adding ---------------------------------------------------------------------------------

    def add_cells(
        self,
        held_out: ScoreStats,
        losses: Sequence[Losses],
        probabilities: Sequence[FloatArray] = (),
    ) -> None:
        """Add pairs by cell.

        Args:
            held_out: the pairs.
            losses: of each candidate, the base first.
            probabilities: (C,) of each judge.
        """
        pos, neg = counts(held_out)
        table = held_out.table
        heavy_pos = pos if table.pos_sq is None else table.pos_sq
        heavy_neg = neg if table.neg_sq is None else table.neg_sq
        base = losses[0]
        on_pos = np.column_stack([one[0] - base[0] for one in losses])
        on_neg = np.column_stack([one[1] - base[1] for one in losses])
        self.base += float(pos @ base[0] + neg @ base[1])
        self._add(on_pos, pos, heavy_pos)
        self._add(on_neg, neg, heavy_neg)
        self.sampled += float(heavy_pos.sum() + heavy_neg.sum())
        swing, heavy = on_pos - on_neg, heavy_pos + heavy_neg
        for judge, p in zip(self.judges, probabilities, strict=False):
            self.implied[judge] += (heavy * p * (1.0 - p)) @ (swing - swing[:, [judge]]) ** 2
        if held_out.parts is not None:
            self.clustered = True
            ones = np.ones((len(pos), 1))
            sums = held_out.bucket_sums(np.hstack([on_pos, ones]), np.hstack([on_neg, ones]))
            self.buckets[np.unique(held_out.parts.slot)] += sums

    def add_rows(
        self,
        losses: FloatArray,
        weight: FloatArray,
        square: FloatArray,
        bucket: NDArray[np.integer],
    ) -> None:
        """Add rows with losses (n, m), the base's first; for the rest see `RowBatch`."""
        apart = losses - losses[:, :1]
        self.base += float(weight @ losses[:, 0])
        self._add(apart, weight, square)
        for column in range(self.size):
            worth = weight * apart[:, column]
            self.buckets[:, column] += np.bincount(bucket, worth, BUCKETS)
        self.buckets[:, -1] += np.bincount(bucket, weight, BUCKETS)

    def _add(self, apart: FloatArray, mass: FloatArray, heavy: FloatArray) -> None:
        self.rows += float(mass.sum())
        self.squares += float(heavy.sum())
        self.sums += mass @ apart
        self.weighted += heavy @ apart
        self.products += (apart.T * heavy) @ apart

    def add_probabilities(
        self,
        block: Block,
        p: Sequence[FloatArray],
        select: Score,
        truth_of_base: FloatArray | None = None,
    ) -> None:
        """Add rows of several classes.

        Args:
            block: the rows.
            p: (n, K) probabilities of each candidate, the base's first.
            select: the loss.
            truth_of_base: (n,) losses of the base, where they are not those of its probabilities.
        """
        each: dict[int, FloatArray] = {}
        for one in p:
            each.setdefault(id(one), label_losses(one, select))
        losses = [each[id(one)] for one in p]
        truth = np.column_stack([loss[block.truth] for loss in losses])
        if truth_of_base is not None:
            truth[:, 0] = truth_of_base
        self.add_rows(truth, block.weight, block.square, block.bucket)
        some = np.flatnonzero(np.asarray(block.bucket) < self.share * BUCKETS)
        heavy = block.square[some]
        self.sampled += float(heavy.sum())
        for judge in self.judges if len(some) else ():
            own = p[judge][some]
            for other in range(self.size):
                if p[other] is not p[judge]:
                    swing = losses[other][some] - losses[judge][some]
                    mean = np.einsum("ij,ij->i", own, swing)
                    square = np.einsum("ij,ij,ij->i", own, swing, swing)
                    self.implied[judge, other] += float(heavy @ (square - mean**2))

    # -- reading --------------------------------------------------------------------------------

    @property
    def differences(self) -> FloatArray:
        """Mean loss of each candidate less the base's (m,)."""
        return self.sums / max(self.rows, 1e-300)

    @property
    def losses(self) -> FloatArray:
        """Mean loss of each candidate (m,)."""
        return self.base / max(self.rows, 1e-300) + self.differences

    @property
    def units(self) -> int | None:
        """Buckets of clusters that hold rows; None where rows are independent."""
        return int(np.count_nonzero(self.buckets[:, -1])) if self.clustered else None

    @property
    def errors(self) -> FloatArray:
        """Standard errors of the paired mean differences (m, m), within the implied ones' reach.

        Entry (i, j) is judged by the probabilities of candidate i, where it is a judge.
        """
        means, rows = self.differences, max(self.rows, 1e-300)
        second = np.diag(self.products)
        mean = means[:, None] - means[None, :]
        cross = self.weighted[:, None] - self.weighted[None, :]
        spread = second[:, None] + second[None, :] - 2.0 * self.products
        spread = spread - 2.0 * mean * cross + mean**2 * self.squares
        # Every repeat scores the same rows, so the sums hold no more evidence than one of them.
        errors: FloatArray = np.sqrt(np.maximum(spread, 0.0) * self.repeats) / rows
        found = self._clustered() if self.clustered else errors.copy()
        scale = self.squares / max(self.sampled, 1e-300) * self.repeats
        for judge in self.judges:
            expected = np.sqrt(np.maximum(self.implied[judge], 0.0) * scale) / rows
            within, seen = np.clip(errors[judge], expected, 2.0 * expected), errors[judge] > 0.0
            # Clusters widen an error by as much as they widen the observed one.
            ratio = np.divide(found[judge], errors[judge], out=np.ones_like(within), where=seen)
            found[judge] = within * ratio
        return found

    def _clustered(self) -> FloatArray:
        """Return standard errors from the sums by bucket (m, m)."""
        full = self.buckets[self.buckets[:, -1] > 0]
        centred = full[:, :-1] - full[:, -1:] * self.differences
        products = centred.T @ centred
        second = np.diag(products)
        spread = second[:, None] + second[None, :] - 2.0 * products
        factor = len(full) / max(len(full) - 1, 1)
        return np.asarray(np.sqrt(np.maximum(spread * factor, 0.0)) / max(self.rows, 1e-300))

    def interval(self, candidate: int, confidence: float) -> tuple[float, float]:
        """Return (low, high) of a candidate's mean difference to the base, Student's t by units."""
        tail = (1.0 + confidence) / 2.0
        units = self.units
        quantile = norm_ppf(tail) if units is None else t_ppf(tail, max(units - 1, 1))
        margin = quantile * float(self.errors[0, candidate])
        difference = float(self.differences[candidate])
        return difference - margin, difference + margin


class FoldLosses:
    """An accumulator of held-out losses: each row is scored by the maps of its fold.

    Args:
        held_out: what is filled.
        maps: by fold, one a candidate, the base first.
        deal: (64,) the fold of each bucket.
        select: the loss.
    """

    def __init__(
        self,
        held_out: HeldOut,
        maps: Sequence[Sequence[Calibrator]],
        deal: NDArray[np.int64],
        select: Score,
    ) -> None:
        self.held_out, self.maps, self.deal, self.select = held_out, maps, deal, select

    def fresh(self) -> FoldLosses:
        """Return one that holds nothing."""
        return FoldLosses(self.held_out.fresh(), self.maps, self.deal, self.select)

    def add(self, rows: RowBatch) -> None:
        """Take in rows."""
        fold_of = self.deal[np.asarray(rows.bucket)]
        for fold, maps in enumerate(self.maps):
            mine = np.flatnonzero(fold_of == fold)
            if not len(mine):
                continue
            for block in rows.take(mine).blocks():
                p = [row_probabilities(one, block, logits=rows.logits) for one in maps]
                as_measured = None
                if self.select == "nll" and rows.logits and maps[0].method == "identity":
                    as_measured = -log_softmax(block.z)[block.truth]  # logits are not clipped
                self.held_out.add_probabilities(block, p, self.select, as_measured)

    def merge(self, other: FoldLosses) -> None:
        """Take in other rows."""
        self.held_out.merge(other.held_out)


def sampled_share(rows: RowSource, pairs: int) -> float:
    """Return the share of buckets whose rows are enough for the implied spreads of some pairs."""
    work = rows.summary.effective * rows.n_classes * max(pairs, 1)
    return min(1.0, max(_SAMPLE / max(work, 1.0), 1.0 / BUCKETS))


# -- losses ----------------------------------------------------------------------------------------


def apply_to_cells(calibrator: Calibrator, stats: ScoreStats) -> FloatArray:
    """Return the calibrated probability of each cell (C,)."""
    return calibrator.apply(stats.logit if calibrator.space == "logit" else stats.score)


def mapped(stats: ScoreStats, calibrator: Calibrator, *, logits: bool = True) -> ScoreStats:
    """Return the pairs under a map; of logits that it maps to logits, as such where wanted."""
    if logits and stats.logits and calibrator.has_logits:
        return stats.map(calibrated_logits(calibrator, stats.logit), logits=True)
    return stats.map(apply_to_cells(calibrator, stats))


def cell_losses(p: FloatArray, select: Score) -> Losses:
    """Return the loss of a positive and of a negative row at probabilities p (C,), (C,)."""
    if select == "brier":
        return (1.0 - p) ** 2, p**2
    if select == "error":
        above = p >= 0.5
        return np.where(above, 0.0, 1.0), np.where(above, 1.0, 0.0)
    return -np.log(np.maximum(p, EPS)), -np.log(np.maximum(1.0 - p, EPS))


def map_losses(calibrator: Calibrator, stats: ScoreStats, select: Score) -> Losses:
    """Return the losses of a map in each cell, those of the scores themselves as measured."""
    if calibrator.method == "identity" and select == "nll":
        return stats.cell_losses()
    return cell_losses(apply_to_cells(calibrator, stats), select)


def row_probabilities(calibrator: Calibrator, block: Block, *, logits: bool) -> FloatArray:
    """Return a map's probabilities (n, K); of the identity the scores as they were read."""
    if calibrator.method == "identity" and not logits:
        return np.asarray(block.scores, dtype=np.float64)
    if calibrator.space == "logit":
        return calibrator.apply(block.z)
    return calibrator.apply(np.exp(log_softmax(block.z)))


def label_losses(p: FloatArray, select: Score) -> FloatArray:
    """Return the loss for each label (..., K) of probabilities (..., K)."""
    if select == "brier":
        squared: FloatArray = np.sum(p * p, axis=-1, keepdims=True) - 2.0 * p + 1.0
        return squared
    if select == "error":
        wrong = np.ones(p.shape)
        np.put_along_axis(wrong, p.argmax(axis=-1)[..., None], 0.0, axis=-1)
        return wrong
    loss: FloatArray = -np.log(np.maximum(p, EPS))
    return loss
