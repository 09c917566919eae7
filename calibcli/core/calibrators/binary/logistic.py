"""Newton's method for logistic regression on a few columns of collapsed pairs.

Shared by Platt and beta calibration: `C` cells, `d` columns, real-valued positive and negative
weight for each cell. The loss is convex, and it is summed in log form for both signs (Lin, Lin
and Weng 2007), so no score overflows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators.evidence import evidence
from calibcli.core.numeric.scales import expit

if TYPE_CHECKING:
    from calibcli.core.calibrators.evidence import FloatArray
    from calibcli.core.statistics.stats import ScoreStats

_MAX_STEPS = 500
_SMALL_GRADIENT = 1e-9
_LEAST_DAMPING = 1e-14
_MOST_DAMPING = 1e3
_COARSE = 4096
MANY_CELLS = 4 * _COARSE
"""More cells than this are worth a start from merged ones."""


def lin_targets(stats: ScoreStats) -> tuple[FloatArray, FloatArray]:
    """Return each cell's weight on outcome 1 and 0 under Lin, Lin and Weng's targets.

    A positive row counts (N₊+1)/(N₊+2) towards outcome 1 and the rest towards 0, a negative row
    1/(N₋+2) and the rest: a uniform prior on each class, counted in rows. The optimum is then
    finite even when the labels are separable.
    """
    pos, neg = evidence(stats)
    n_pos, n_neg = pos.sum(), neg.sum()
    high, low = (n_pos + 1.0) / (n_pos + 2.0), 1.0 / (n_neg + 2.0)
    return pos * high + neg * low, pos * (1.0 - high) + neg * (1.0 - low)


def log_loss(f: FloatArray, pos: FloatArray, neg: FloatArray) -> float:
    """Return the summed log loss of logits f with weight `pos` on 1 and `neg` on 0."""
    tail = np.log1p(np.exp(-np.abs(f)))
    return float(pos @ (tail - np.minimum(f, 0.0)) + neg @ (tail + np.maximum(f, 0.0)))


def merged(values: FloatArray, pos: FloatArray, neg: FloatArray) -> list[FloatArray]:
    """Return the weighted means of neighbours' values (C, d), and their pos and neg, for a start.

    Cells are in score order, so a few thousand groups of neighbours have nearly the optimum of
    all cells, and Newton's method has then one or two steps left to take over these.
    """
    starts = np.arange(0, len(pos), -(-len(pos) // _COARSE))
    mass = np.maximum(np.add.reduceat(pos + neg, starts), 1e-300)
    means = np.add.reduceat(values * (pos + neg)[:, None], starts) / mass[:, None]
    return [means, np.add.reduceat(pos, starts), np.add.reduceat(neg, starts)]


def fit_logistic(
    columns: FloatArray,
    pos: FloatArray,
    neg: FloatArray,
    start: FloatArray,
    offset: FloatArray | None = None,
) -> tuple[FloatArray, float]:
    """Minimise the log loss of logits `offset + columns @ theta`; returns (theta, loss).

    Where scores saturate, the curvature vanishes while the gradient does not, and a plain Newton
    step is useless there. So the curvature is damped by a multiple of its upper bound (Levenberg
    1944; Boehning and Lindsay 1988), which falls to nothing near the optimum, and the search ends
    on the gradient, not on the length of a step.

    Args:
        columns: (C, d) float64; the last one is constant.
        pos: (C,) weight on outcome 1.
        neg: (C,) weight on outcome 0.
        start: (d,) where to begin, unless the best constant map is better; directions that the
            data leave open stay as they are there.
        offset: (C,) fixed part of the logit, or None.
    """
    if offset is None and len(pos) > MANY_CELLS:
        few, few_pos, few_neg = merged(columns, pos, neg)
        start, _ = fit_logistic(few, few_pos, few_neg, start)
    total = pos + neg
    mass = max(float(total.sum()), 1e-300)
    scale = np.sqrt(np.maximum(total @ columns**2, 1e-300) / mass)
    scale[scale < 1e-140] = 1.0
    x = columns / scale
    base = np.zeros(len(x)) if offset is None else offset
    theta = start * scale
    f = base + x @ theta
    loss = log_loss(f, pos, neg)
    if offset is None:
        flat = np.zeros_like(theta)
        flat[-1] = np.log(max(pos.sum(), 1e-300)) - np.log(max(neg.sum(), 1e-300))
        level = x @ flat
        if (flat_loss := log_loss(level, pos, neg)) < loss:
            theta, f, loss = flat, level, flat_loss
    bound = 0.25 * mass * np.eye(x.shape[1])
    damping = 1e-3
    for _ in range(_MAX_STEPS):
        p = expit(f)
        gradient = x.T @ (total * p - pos)
        hessian = (x * (total * p * (1.0 - p))[:, None]).T @ x
        if float(np.abs(gradient).max()) <= _SMALL_GRADIENT * mass:
            # Too small to show in the loss, one more step still squares the error of theta.
            last = theta - np.linalg.lstsq(hessian, gradient, rcond=1e-13)[0]
            better = np.abs(x.T @ (total * expit(base + x @ last) - pos)).max()
            theta = last if better <= np.abs(gradient).max() else theta
            break
        while damping <= _MOST_DAMPING:
            step = -np.linalg.solve(hessian + damping * bound, gradient)
            f_trial = base + x @ (theta + step)
            trial_loss = log_loss(f_trial, pos, neg)
            if trial_loss <= loss + 1e-4 * float(gradient @ step):
                break
            damping *= 8.0
        else:
            break  # the gradient is what rounding leaves of it
        theta, f, loss = theta + step, f_trial, trial_loss
        damping = max(damping / 64.0, _LEAST_DAMPING)
    return theta / scale, loss
