"""Calibrators: frozen maps from scores to probabilities, fitted from statistics or rows.

A binary method is fitted from a `ScoreStats`, one of several classes from a `RowSource`; both
are applied with NumPy alone. `CALIBRATORS` holds those that a name fits, from simple to free;
`composed` those that are made of others.
"""

from __future__ import annotations

from calibcli.core.calibrators.binary.beta import Beta
from calibcli.core.calibrators.binary.histogram import Histogram
from calibcli.core.calibrators.binary.isotonic import Isotonic
from calibcli.core.calibrators.binary.platt import Platt
from calibcli.core.calibrators.binary.scaling_binning import ScalingBinning
from calibcli.core.calibrators.binary.spline import Spline
from calibcli.core.calibrators.binary.venn_abers import VennAbers
from calibcli.core.calibrators.classes.dirichlet import Dirichlet, Matrix
from calibcli.core.calibrators.classes.one_vs_rest import OneVsRest
from calibcli.core.calibrators.classes.rows import RowBatch, RowSource
from calibcli.core.calibrators.classes.structured import StructuredMatrix, StructuredVector
from calibcli.core.calibrators.classes.vector import Vector
from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.calibrators.composed.model_pool import ModelPool
from calibcli.core.calibrators.composed.shrunk import Shrunk
from calibcli.core.calibrators.identity import Identity
from calibcli.core.calibrators.registry import (
    calibrate,
    calibrated_logits,
    calibrator_from_dict,
    register,
)
from calibcli.core.calibrators.temperature import Temperature
from calibcli.core.calibrators.types import Calibrator

CALIBRATORS: dict[str, type[Calibrator]] = {
    kind.method: register(kind)
    for kind in (
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
        StructuredVector,
        StructuredMatrix,
        Matrix,
        Dirichlet,
        OneVsRest,
    )
}
for _composed in (Shrunk, Grouped, ModelPool):
    register(_composed)

__all__ = [
    "CALIBRATORS",
    "Beta",
    "Calibrator",
    "Dirichlet",
    "Grouped",
    "Histogram",
    "Identity",
    "Isotonic",
    "Matrix",
    "ModelPool",
    "OneVsRest",
    "Platt",
    "RowBatch",
    "RowSource",
    "ScalingBinning",
    "Shrunk",
    "Spline",
    "StructuredMatrix",
    "StructuredVector",
    "Temperature",
    "Vector",
    "VennAbers",
    "calibrate",
    "calibrated_logits",
    "calibrator_from_dict",
]
