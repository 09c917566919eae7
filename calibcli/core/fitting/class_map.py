"""How sure is a fitted map of several classes? Its probability of a class, with an interval.

A row of class probabilities has K - 1 dimensions, so the map is shown where class k has probability
p and the others share the rest equally. The interval comes from the maps of the folds, each fitted
without one: the delete-a-group jackknife (Kott, "The delete-a-group jackknife", Journal of Official
Statistics 17, 2001) of the logit, with Student's t over the folds. Clusters are whole in a fold, so
they are whole in the interval, and no fit is made for it. As for binary maps, it is the uncertainty
of this method's parameters, not of its form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, calibrate
from calibcli.core.calibrators.types import CLASSES
from calibcli.core.numeric.scales import expit, logit
from calibcli.core.numeric.special import t_ppf
from calibcli.core.results.parts.stored import MapPoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.evidence import FloatArray

SCORES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MOST_CLASSES = 20
KEPT = ("temperature", "vector", "matrix", "svs", "sms", "dirichlet")
"""Methods whose maps without each fold stand in the artifact; that they cover is simulated."""
MOST_NUMBERS = 20_000
"""Numbers that the maps of the folds may have in an artifact."""
SAME_FOR_ALL = ("temperature",)
"""Methods that treat every class alike, so one class shows them all."""
OF_SHIFTED_LOGITS = ("vector", "matrix")
"""Methods for which adding a constant to a row's logits is another row."""


def jackknife_margin(without: FloatArray, confidence: float) -> FloatArray:
    """Return how far the logit of probabilities may be off, from those of the maps of the folds.

    Args:
        without: probabilities (F, ...) of the F > 1 maps that are fitted without a fold.
        confidence: level.
    """
    size = len(without)
    spread = np.sqrt((size - 1) ** 2 / size * logit(without).var(axis=0, ddof=1))
    return np.asarray(t_ppf((1.0 + confidence) / 2.0, size - 1) * spread)


def class_map(
    calibrator: Calibrator,
    folds: Sequence[Calibrator],
    n_classes: int,
    *,
    logits: bool,
    confidence: float | None = 0.95,
) -> list[tuple[int | None, list[MapPoint]]]:
    """Return (class, points) for each class, or for None where all are alike; [] for other maps.

    Args:
        calibrator: fitted on all rows, by a parametric method of several classes.
        folds: the same method fitted without each fold.
        n_classes: K.
        logits: whether it was fitted on logits.
        confidence: level of the intervals; None for none.
    """
    method = calibrator.method
    kind = CALIBRATORS.get(method)
    if kind is None or kind.free_form or not CLASSES <= kind.takes or method == "identity":
        return []
    if n_classes > MOST_CLASSES or (logits and method in OF_SHIFTED_LOGITS):
        return []
    shown = (None,) if method in SAME_FOR_ALL else tuple(range(n_classes))
    return [(k, _points(calibrator, folds, k or 0, n_classes, confidence)) for k in shown]


def kept_folds(
    calibrator: Calibrator, folds: Sequence[Calibrator], *, confidence: float | None
) -> list[dict[str, Any]]:
    """Return the maps without each fold as an artifact keeps them for the intervals of rows.

    Args:
        calibrator: fitted on all rows.
        folds: the same method fitted without each fold.
        confidence: level of the intervals; None for none.

    Returns:
        [] for other methods than `KEPT`, and where they would be more than `MOST_NUMBERS` numbers.
    """
    if calibrator.method not in KEPT or confidence is None or len(folds) < 2:
        return []
    kept = [one.to_dict() for one in folds]
    numbers = sum(np.size(value) for one in kept for value in one.values())
    return kept if numbers <= MOST_NUMBERS else []


def _points(
    calibrator: Calibrator,
    folds: Sequence[Calibrator],
    k: int,
    n_classes: int,
    confidence: float | None,
) -> list[MapPoint]:
    p = np.array(SCORES)
    rows = np.repeat(((1.0 - p) / (n_classes - 1))[:, None], n_classes, axis=1)
    rows[:, k] = p

    def curve(one: Calibrator) -> FloatArray:
        return calibrate(one, rows, logits=False)[:, k]

    fitted = curve(calibrator)
    low: list[float | None] = [None] * len(p)
    high = list(low)
    if confidence is not None and len(folds) > 1:
        margin = jackknife_margin(np.array([curve(one) for one in folds]), confidence)
        low = np.minimum(expit(logit(fitted) - margin), fitted).tolist()
        high = np.maximum(expit(logit(fitted) + margin), fitted).tolist()
    columns = zip(p.tolist(), fitted.tolist(), low, high, strict=True)
    return [MapPoint(*point) for point in columns]
