"""The metrics of `measure --no-ci` by a scikit-learn script, as one is usually written."""

import sys

import numpy as np
from pyarrow import parquet
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)

table = parquet.read_table(sys.argv[1], columns=["score", "label"])
p, y = table["score"].to_numpy(), table["label"].to_numpy()
bins = np.clip(np.ceil(p * 15).astype(int), 1, 15)
gaps = [abs(y[bins == b].mean() - p[bins == b].mean()) for b in range(1, 16)]
ece = sum(g * (bins == b).mean() for b, g in zip(range(1, 16), gaps, strict=True))
ordered = np.argsort(p)
walk = np.cumsum((y - p)[ordered]) / len(p)
fitted = IsotonicRegression().fit_transform(p, y)
calibration_curve(y, p, n_bins=15)
print(
    ece,
    max(gaps),
    np.mean(gaps),
    np.abs(walk).max(),
    walk.max() - walk.min(),
    brier_score_loss(y, p),
    np.mean((p - y) ** 2) - np.mean((fitted - y) ** 2),
    log_loss(y, p),
    roc_auc_score(y, p),
    average_precision_score(y, p),
    confusion_matrix(y, p >= 0.5),
)
