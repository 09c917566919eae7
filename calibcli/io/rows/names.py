"""The usual names of score and label columns, the surest first.

A column of a later list is chosen only where none of an earlier list is there. Upper and lower
case, and what stands between words, do not matter where no column of a list is named exactly so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_Tiers = tuple[tuple[str, ...], ...]

_ONE_SCORE = """
    proba y_proba y_hat yhat p_hat phat pred_proba pred_prob predict_proba predicted_proba
    predicted_prob predicted_probability y_pred_proba y_pred_prob prediction_probability
    prediction_score predicted_score pred_score model_score confidence conf risk risk_score
    scored_probability scored_probabilities scores probs probabilities probas logits preds
"""
_SEVERAL_SCORES = "probas proba predictions preds pred_proba predict_proba class_probabilities"
_LABEL = """
    labels targets class truth true true_label true_class gt ground_truth actual actuals outcome
    obs observed gold gold_label label_ids targs expected reference
"""
SCORES: _Tiers = (
    ("score", "prob", "probability", "p", "y_score", "y_prob", "logit"),
    tuple(_ONE_SCORE.split()),
)
"""One score a row; also a row of several, where a column holds such."""
ROWS: _Tiers = (
    ("scores", "probs", "probabilities", "logits"),
    tuple(_SEVERAL_SCORES.split()),
)
"""Scores of several classes in one column."""
LABELS: _Tiers = (("label", "y", "y_true", "target"), tuple(_LABEL.split()))
PREDICTED: _Tiers = (
    ("prediction_label", "predicted_label", "predicted_class", "pred_label", "pred_class"),
    ("predicted", "prediction", "y_pred"),
)
"""Predicted classes, beside which a score may be the confidence of the prediction."""
_BIGQUERY = re.compile(r"predicted_(.+)_probs")


def usual(columns: Iterable[str], tiers: _Tiers) -> list[str]:
    """Return the columns with the surest of some usual names."""
    names = list(columns)
    for tier in tiers:
        for spelled in (str, plain):
            named = [name for name in names if spelled(name) in tier]
            if named:
                return named
    return []


def plain(name: str) -> str:
    """Return a name in lower case, its words apart by one underscore."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def known(name: str) -> bool:
    """Whether a name is a usual one of scores or of labels."""
    return any(plain(name) in tier for tier in (*SCORES, *ROWS, *LABELS))


def of_bigquery(columns: Iterable[str]) -> tuple[str, str] | None:
    """Return (probabilities, label) of a table of predictions as BigQuery ML writes it."""
    names = list(columns)
    for name in names:
        match = _BIGQUERY.fullmatch(name)
        if match and match[1] in names and f"predicted_{match[1]}" in names:
            return name, match[1]
    return None
