"""Multinomial logistic regression on rows of K numbers: the fit of matrix and Dirichlet maps.

Logits are f = W x + c; the parameters are theta = (W, c), a (K, K + 1) matrix. What is minimised
is the summed log loss plus half the weighted squares of theta's distance from the identity map.
With few classes by Newton's method, with many by L-BFGS; memory does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators.classes.rows import blocks
from calibcli.core.calibrators.types import FloatArray, require_two_classes
from calibcli.core.numeric.scales import log_softmax

if TYPE_CHECKING:
    from calibcli.core.calibrators.types import RowSource

Features = Callable[[FloatArray], FloatArray]
"""What is done to a block of logits (n, K) before the affine map."""

NEWTON_CLASSES = 12
_MAX_STEPS = 100
_CURVATURE = 0.1
"""A typical p (1 - p), the weight of a row in the curvature of the loss."""


def identity_map(n_classes: int) -> FloatArray:
    """Return theta of the identity: (I, 0)."""
    return np.hstack([np.eye(n_classes), np.zeros((n_classes, 1))])


def map_rows(x: FloatArray, theta: FloatArray) -> FloatArray:
    """Return softmax(W x + c) of rows (n, K)."""
    f = x @ theta[:, :-1].T + theta[:, -1]
    f -= f.max(axis=1, keepdims=True)
    np.exp(f, out=f)
    f /= f.sum(axis=1, keepdims=True)
    return f


@dataclass(slots=True)
class _Pass:
    """Sums of one pass: loss, gradient (K, K+1), and where asked the Hessian of theta.ravel()."""

    loss: float
    gradient: FloatArray
    hessian: FloatArray | None
    classes: FloatArray


def _sums(rows: RowSource, features: Features, theta: FloatArray, *, curvature: bool) -> _Pass:
    size = len(theta)
    width = size + 1
    found = _Pass(
        0.0,
        np.zeros((size, width)),
        np.zeros((size, width, size, width)) if curvature else None,
        np.zeros(size),
    )
    for z, label, weight in blocks(rows()):
        x = np.column_stack([features(z), np.ones(len(z))])
        # From the logits: the logarithm of a probability that underflows would be flat.
        logs = log_softmax(x @ theta.T)
        p = np.exp(logs)
        found.loss -= float(weight @ logs[np.arange(len(p)), label])
        found.classes += np.bincount(label, weights=weight, minlength=size)
        residual = p * weight[:, None]
        residual[np.arange(len(p)), label] -= weight
        found.gradient += residual.T @ x
        if found.hessian is not None:
            for j in range(size):
                for k in range(j + 1):
                    mass = weight * p[:, j] * ((1.0 if j == k else 0.0) - p[:, k])
                    part = (x * mass[:, None]).T @ x
                    found.hessian[j, :, k] += part
                    if j != k:
                        found.hessian[k, :, j] += part
    return found


def fit_affine(
    rows: RowSource,
    features: Features,
    penalty: FloatArray,
    start: FloatArray | None = None,
    centre: FloatArray | None = None,
) -> FloatArray:
    """Return theta (K, K + 1) of least penalised loss.

    Args:
        rows: source of passes.
        features: what is done to a block of logits first.
        penalty: (K, K + 1) weight of each parameter's squared distance from `centre`, halved.
        start: theta to begin at, else `centre`.
        centre: where the penalty pulls to, else the identity map.

    Raises:
        InputError: when the labels are all of one class.
    """
    middle = identity_map(len(penalty)) if centre is None else centre
    theta = middle if start is None else start
    if len(penalty) > NEWTON_CLASSES:
        return _by_lbfgs(rows, features, penalty, theta, middle)

    def penalised(found: _Pass, at: FloatArray) -> float:
        return found.loss + 0.5 * float(np.sum(penalty * (at - middle) ** 2))

    found = _sums(rows, features, theta, curvature=True)
    require_two_classes(found.classes)
    value = penalised(found, theta)
    for _ in range(_MAX_STEPS):
        gradient = (found.gradient + penalty * (theta - middle)).ravel()
        assert found.hessian is not None
        hessian = found.hessian.reshape(theta.size, theta.size) + np.diag(penalty.ravel())
        step = -np.linalg.lstsq(hessian, gradient, rcond=1e-13)[0]
        decrease = float(gradient @ step)
        if decrease > -1e-13 * max(value, 1.0):
            return theta + step.reshape(theta.shape)
        size = 1.0
        for _ in range(40):
            trial = theta + size * step.reshape(theta.shape)
            found = _sums(rows, features, trial, curvature=True)
            trial_value = penalised(found, trial)
            if trial_value <= value + 1e-4 * size * decrease:
                break
            size /= 2.0
        else:
            return theta
        theta, value = trial, trial_value
    return theta


def _by_lbfgs(
    rows: RowSource, features: Features, penalty: FloatArray, theta: FloatArray, centre: FloatArray
) -> FloatArray:
    from scipy.optimize import minimize

    # Correlated logits make the loss a narrow valley. In coordinates that whiten the features
    # (and the penalty) it is nearly round, and a tenth of the passes is enough.
    gram = np.diag(penalty.mean(axis=0))
    for z, _, weight in blocks(rows()):
        x = np.column_stack([features(z), np.ones(len(z))])
        gram += _CURVATURE * (x * weight[:, None]).T @ x
    root = np.linalg.cholesky(gram + 1e-10 * np.trace(gram) / len(gram) * np.eye(len(gram)))
    inverse = np.linalg.inv(root)

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        at = flat.reshape(theta.shape) @ inverse
        found = _sums(rows, features, at, curvature=False)
        require_two_classes(found.classes)
        away = at - centre
        value = found.loss + 0.5 * float(np.sum(penalty * away**2))
        return value, ((found.gradient + penalty * away) @ inverse.T).ravel()

    done = minimize(
        objective,
        (theta @ root).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 300, "maxcor": 20, "ftol": 1e-11, "gtol": 1e-6},
    )
    return np.asarray(done.x, dtype=np.float64).reshape(theta.shape) @ inverse
