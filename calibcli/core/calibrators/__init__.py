"""Calibrators: frozen maps from scores to probabilities, fitted from statistics or rows.

A binary method is fitted from a `ScoreStats`, one of several classes from a `RowSource`; both
are applied with NumPy alone. `CALIBRATORS` names them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators.beta import Beta
from calibcli.core.calibrators.dirichlet import Dirichlet, Matrix
from calibcli.core.calibrators.histogram import Histogram
from calibcli.core.calibrators.identity import Identity
from calibcli.core.calibrators.isotonic import Isotonic
from calibcli.core.calibrators.one_vs_rest import OneVsRest
from calibcli.core.calibrators.platt import Platt
from calibcli.core.calibrators.rowmath import clipped_log, finite_rows
from calibcli.core.calibrators.scaling_binning import ScalingBinning
from calibcli.core.calibrators.spline import Spline
from calibcli.core.calibrators.temperature import Temperature
from calibcli.core.calibrators.types import Calibrator, FloatArray, RowBatch, RowSource
from calibcli.core.calibrators.vector import Vector
from calibcli.core.calibrators.venn_abers import VennAbers
from calibcli.core.numeric.scales import expit, logit, softmax
from calibcli.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

CALIBRATORS: dict[str, type[Calibrator]] = {
    one.method: one
    for one in (
        Identity,
        Temperature,
        Platt,
        Beta,
        ScalingBinning,
        Histogram,
        Spline,
        Isotonic,
        VennAbers,
        Vector,
        Matrix,
        Dirichlet,
        OneVsRest,
    )
}

__all__ = [
    "CALIBRATORS",
    "Beta",
    "Calibrator",
    "Dirichlet",
    "Histogram",
    "Identity",
    "Isotonic",
    "Matrix",
    "OneVsRest",
    "Platt",
    "RowBatch",
    "RowSource",
    "ScalingBinning",
    "Spline",
    "Temperature",
    "Vector",
    "VennAbers",
    "calibrate",
    "calibrator_from_dict",
]


def calibrate(
    calibrator: Calibrator, scores: NDArray[np.floating[Any]], *, logits: bool
) -> FloatArray:
    """Return calibrated float64 probabilities of scores (n,) or (n, K), in the same shape.

    Args:
        calibrator: a fitted one.
        scores: logits, or probabilities; any float dtype, read as float64.
        logits: which of the two they are.
    """
    x = np.asarray(scores, dtype=np.float64)
    columns = isinstance(calibrator, OneVsRest) and not calibrator.normalize
    if calibrator.space == "logit":
        if logits:
            return calibrator.apply(x)
        return calibrator.apply(logit(x) if x.ndim == 1 or columns else clipped_log(x))
    if logits:
        return calibrator.apply(expit(x) if x.ndim == 1 else softmax(finite_rows(x)))
    return calibrator.apply(x)


def calibrator_from_dict(payload: dict[str, Any]) -> Calibrator:
    """Return the calibrator that its `to_dict` wrote.

    Raises:
        InputError: when the method is unknown or its parameters are missing or malformed.
    """
    method = str(payload.get("method"))
    kind = CALIBRATORS.get(method) or _composed(method)
    if kind is None:
        raise InputError(
            f"unknown calibration method {method!r}", did_you_mean(method, CALIBRATORS)
        )
    try:
        return kind.from_dict(payload)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the {method} calibrator's parameters are missing or malformed "
            f"({type(error).__name__}: {error})"
        ) from error


def _composed(method: str) -> type[Calibrator] | None:
    """Return a calibrator that is made of others: fitted by a workflow, not by its name."""
    if method == "shrunk":
        from calibcli.core.fitting.shrinkage import Shrunk

        return Shrunk
    if method == "grouped":
        from calibcli.core.calibrators.grouped import Grouped

        return Grouped
    if method == "pool":
        from calibcli.core.calibrators.model_pool import ModelPool

        return ModelPool
    return None
