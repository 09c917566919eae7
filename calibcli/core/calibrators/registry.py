"""Calibrators by the name in their JSON, and how one is applied to scores of either kind.

Maps that are made of others read their parts here, so the registry itself knows no map: each
enters by `register`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from calibcli.core.calibrators.classes.row_scores import clipped_log, finite_rows
from calibcli.core.numeric.scales import expit, logit, softmax
from calibcli.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators.evidence import FloatArray
    from calibcli.core.calibrators.types import Calibrator

Kind = TypeVar("Kind", bound="type[Calibrator]")

_KINDS: dict[str, type[Calibrator]] = {}
_INFINITE = 1e290
"""Logits beyond are of infinite ones, which `limited` makes finite."""


def register(kind: Kind) -> Kind:
    """Enter a class of calibrators under its method's name; a decorator."""
    _KINDS[kind.method] = kind
    return kind


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
    columns = calibrator.by_column(x.shape[1]) if x.ndim == 2 else ()
    if columns:
        maps = zip(columns, x.T, strict=True)
        return np.stack([calibrate(one, scores, logits=logits) for one, scores in maps], axis=1)
    if calibrator.space == "logit":
        if logits:
            return calibrator.apply(x)
        return calibrator.apply(logit(x) if x.ndim == 1 else clipped_log(x))
    if logits:
        return calibrator.apply(expit(x) if x.ndim == 1 else softmax(finite_rows(x)))
    return calibrator.apply(x)


def calibrated_logits(calibrator: Calibrator, z: NDArray[np.floating[Any]]) -> FloatArray:
    """Return the float64 logits of calibrated logits (n,) or (n, K), in the same shape.

    Of a calibrator that `has_logits` only. What is infinite stays so.
    """
    found = calibrator.logits(np.asarray(z, dtype=np.float64))
    far = np.abs(found) > _INFINITE
    return np.where(far, np.copysign(np.inf, found), found) if far.any() else found


def calibrator_from_dict(payload: dict[str, Any]) -> Calibrator:
    """Return the calibrator that its `to_dict` wrote.

    Raises:
        InputError: when the method is unknown or its parameters are missing or malformed.
    """
    method = str(payload.get("method"))
    kind = _KINDS.get(method)
    if kind is None:
        raise InputError(f"unknown calibration method {method!r}", did_you_mean(method, _KINDS))
    try:
        return kind.from_dict(payload)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the {method} calibrator's parameters are missing or malformed "
            f"({type(error).__name__}: {error})"
        ) from error
