"""What each metric means, in a line; the words are those of the command line's contract."""

from __future__ import annotations

from typing import Final

from calibcli.core.metrics.registry import ALL, OF_CLASSES

METRICS: Final = {
    **{name: metric.means for name, metric in ALL.items()},
    **{name: means for name, (_, means) in OF_CLASSES.items()},
}

HEADLINE: Final = {
    "ece": "calibration error",
    "brier": "squared error",
    "nll": "log loss",
    "auc": "ranking",
    "accuracy": "predicted class is right",
}
