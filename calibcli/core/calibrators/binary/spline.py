"""A monotone smoothing spline of the logit: as straight as the data allow.

The calibrated logit is a linear spline g of the score's logit, fitted by penalised maximum
likelihood: the penalty on the change of slope (O'Sullivan, Yandell and Raynor 1986; Eilers and
Marx 1996) leaves a straight line, which is Platt scaling, as the limit, and slopes are bounded
below by 0, so the map never decreases. The weight of the penalty is cross-validated. Lucena,
"Spline-Based Probability Calibration" (2018), has the same idea without monotonicity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.binary.bent_line import BentLine
from calibcli.core.calibrators.binary.logistic import fit_logistic, log_loss
from calibcli.core.calibrators.evidence import (
    FloatArray,
    array,
    certain_limits,
    counts,
    few_rows_note,
    interpolate,
    limited,
    require_both_classes,
    sums_by,
    worth,
)
from calibcli.core.calibrators.pieces import curve
from calibcli.core.calibrators.piecewise import Logistic, Piece, Pieces
from calibcli.core.calibrators.types import SCORE, Calibrator, Space, Takes
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.folds import deal_rows
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats

_KNOTS = 32
_GROUPS = 512
_PATIENCE = 2
_FOLDS = 5
_PENALTIES = tuple(10.0**power for power in range(5, -3, -1))


@dataclass(frozen=True, slots=True)
class Spline(Calibrator):
    """Logit to logit, linear between the knots and constant beyond them.

    Attributes:
        x: (m,) knots: logits of the score, increasing.
        y: (m,) calibrated logits there, non-decreasing.
    """

    x: FloatArray
    y: FloatArray
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "spline"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = SCORE
    free_form: ClassVar[bool] = True
    complexity: ClassVar[int] = 6

    @classmethod
    def fit(cls, stats: ScoreStats) -> Self:
        """Fit from collapsed pairs, targets as for Platt scaling.

        Cells are merged to at most 512 groups of equal mass, and the penalty is chosen by the
        log loss over five folds, clusters kept whole.

        Raises:
            InputError: when only one class is present.
        """
        require_both_classes(stats)
        design = _Design.of(stats)
        pos, neg = design.grouped(stats)
        notes = few_rows_note(cls.method, stats)
        if len(design.knots) == 1:
            level = np.log(pos.sum() + 1.0) - np.log(neg.sum() + 1.0)
            notes += ("all scores are equal: the map is constant",)
            return cls(array(design.knots), array([level]), notes)
        penalty, start = _cross_validated(design, stats, design.start(pos, neg))
        theta = design.minimise(pos, neg, penalty, start)
        y = np.cumsum(design.line.lines[-1] * theta)
        if not theta[1:].any():
            notes += ("the fitted map is constant: the scores do not rank the labels",)
        return cls(array(design.knots), array(y), notes)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities of logits, any shape."""
        return expit(interpolate(limited(x, (None, None)), self.x, self.y))

    def pieces(self, *, logits: bool) -> Pieces:
        """Return a logistic curve between two knots each."""

        def piece(z: float) -> Piece | None:
            k = int(np.searchsorted(self.x, z, side="right")) - 1
            slope = float((self.y[k + 1] - self.y[k]) / (self.x[k + 1] - self.x[k]))
            return Logistic(float(self.y[k]), slope, float(self.x[k])) if slope else None

        return curve(
            self,
            lambda z: np.interp(z, self.x, self.y),
            piece,
            logits=logits,
            limits=(float(self.x[0]), float(self.x[-1])),
            bends=self.x,
        )

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when the knots are not a non-decreasing map.
        """
        x, y = array(payload["x"]), array(payload["y"])
        if len(x) == 0 or x.shape != y.shape or (np.diff(x) <= 0).any() or (np.diff(y) < 0).any():
            raise InputError("the spline's knots are not a non-decreasing map")
        return cls(x, y, tuple(payload["notes"]))


@dataclass(frozen=True, slots=True)
class _Design:
    """Groups of cells and the spline's basis at them.

    The parameters are the value at the first knot and the slope of each piece, so monotone means
    that all but the first are at least 0. `upper` is the highest logit of each group, `worth` the
    rows of a unit of weight.
    """

    knots: FloatArray
    upper: FloatArray
    line: BentLine
    limits: tuple[float | None, float | None]
    worth: float

    @classmethod
    def of(cls, stats: ScoreStats) -> _Design:
        limits = certain_limits(stats)
        total = np.asarray(stats.total, dtype=np.float64)
        z, mass = limited(stats.logit, limits)[total > 0], total[total > 0]
        place = (np.cumsum(mass) - mass / 2.0) / mass.sum()
        ends = np.append(np.diff(np.floor(place * _GROUPS)) > 0, True) if len(z) > _GROUPS else None
        upper = np.unique(z if ends is None else z[ends])
        home = np.searchsorted(upper, z, side="left")
        centre = sums_by(home, mass * z, len(upper)) / sums_by(home, mass, len(upper))
        # Knots follow the rows by half and the range by half, so that thin tails can bend too.
        share = place - place[0] + (z - z[0]) / max(z[-1] - z[0], 1e-300) * (place[-1] - place[0])
        wanted = np.linspace(0.0, share[-1], _KNOTS)
        knots = np.unique(np.append(np.interp(wanted, share, z), [z[0], z[-1]]))
        gaps = np.diff(knots)
        knots = knots[np.append(True, gaps > 1e-6 * max(knots[-1] - knots[0], 1e-300))]
        gaps = np.diff(knots)
        scale = max(float(np.sqrt(np.average((z - z.mean()) ** 2, weights=mass))), 1e-300)
        unit = scale / max(knots[-1] - knots[0], 1e-300)
        bends = np.zeros((max(len(gaps) - 1, 0), len(knots)))
        for j in range(len(bends)):
            width = np.sqrt((gaps[j] + gaps[j + 1]) / (2.0 * scale))
            bends[j, j + 1], bends[j, j + 2] = -unit / width, unit / width
        line = BentLine.of(centre, knots, bends)
        return cls(knots, upper, line, limits, worth(stats))

    def grouped(self, stats: ScoreStats) -> tuple[FloatArray, FloatArray]:
        """Return (pos, neg) of each group (G,), (G,), in rows."""
        z = limited(stats.logit, self.limits)
        home = np.minimum(np.searchsorted(self.upper, z, side="left"), len(self.upper) - 1)
        pos, neg = counts(stats)
        size = len(self.upper)
        return sums_by(home, self.worth * pos, size), sums_by(home, self.worth * neg, size)

    def start(self, pos: FloatArray, neg: FloatArray) -> FloatArray:
        """Return the parameters of the straight line of Platt scaling, or of the constant map.

        A strong penalty leaves little else than the line.
        """
        centre = self.line.basis[:, 1:].sum(axis=1)
        columns = np.column_stack([centre, np.ones(len(centre))])
        theta = np.zeros(len(self.knots))
        theta[0] = np.log(pos.sum() + 1.0) - np.log(neg.sum() + 1.0)
        (slope, level), _ = fit_logistic(columns, *_targets(pos, neg), np.array([0.0, theta[0]]))
        if slope > 0.0:
            theta[0], theta[1:] = level, slope
        return theta

    def minimise(
        self, pos: FloatArray, neg: FloatArray, penalty: float, theta: FloatArray
    ) -> FloatArray:
        """Return the parameters (..., m) of least penalised loss with slopes of at least 0.

        Args:
            pos: (..., G) positives of each group; of one problem or of several.
            neg: (..., G) negatives.
            penalty: weight of the squared bends.
            theta: (..., m) where to begin.
        """
        pos, neg = np.atleast_2d(pos), np.atleast_2d(neg)
        found = self.line.minimise(*_targets(pos, neg), penalty, np.atleast_2d(theta))
        return found.reshape(theta.shape)


def _targets(pos: FloatArray, neg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weight on outcome 1 and on 0 of each group (..., G) under Platt's targets."""
    n_pos, n_neg = pos.sum(axis=-1, keepdims=True), neg.sum(axis=-1, keepdims=True)
    high, low = (n_pos + 1.0) / (n_pos + 2.0), 1.0 / (n_neg + 2.0)
    return pos * high + neg * low, pos * (1.0 - high) + neg * (1.0 - low)


def _cross_validated(
    design: _Design, stats: ScoreStats, start: FloatArray
) -> tuple[float, FloatArray]:
    """Return the penalty of least held-out log loss, and the mean of the folds' parameters there.

    Penalties are tried from strong to weak until the loss has risen.
    """
    parts = _fold_counts(design, stats)
    held_pos, held_neg = (np.stack([part[side] for part in parts]) for side in (0, 1))
    rest_pos, rest_neg = held_pos.sum(axis=0) - held_pos, held_neg.sum(axis=0) - held_neg
    best, least, rises = (_PENALTIES[0], start), np.inf, 0
    if min(rest_pos.sum(axis=1).min(), rest_neg.sum(axis=1).min()) <= 0:
        return best
    thetas = np.repeat(start[None], len(parts), axis=0)
    for penalty in _PENALTIES:
        thetas = design.minimise(rest_pos, rest_neg, penalty, thetas)
        loss = log_loss((thetas @ design.line.basis.T).ravel(), held_pos.ravel(), held_neg.ravel())
        if loss < least:
            best, least, rises = (penalty, thetas.mean(axis=0)), loss, 0
        else:
            rises += 1
            if rises == _PATIENCE:
                break
    return best


def _fold_counts(design: _Design, stats: ScoreStats) -> list[tuple[FloatArray, FloatArray]]:
    """Return (pos, neg) of each group for each fold; rows of a group are exchangeable enough."""
    if stats.parts is not None or stats.weighted:
        return [design.grouped(part) for part in stats.split(_FOLDS, seed=0)]
    pos, neg = (np.rint(side).astype(np.int64) for side in design.grouped(stats))
    none = np.zeros(len(pos), dtype=np.int64)
    key = np.arange(len(pos), dtype=np.int64)
    parts = deal_rows(CellTable(none.astype(np.int32), key, pos, neg, none), _FOLDS, seed=0)
    return [
        (sums_by(part.key, part.pos * 1.0, len(pos)), sums_by(part.key, part.neg * 1.0, len(pos)))
        for part in parts
    ]
