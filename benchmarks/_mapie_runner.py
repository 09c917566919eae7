"""Runs inside an environment that has MAPIE: draws in, thresholds and sets out, as NPZ.

`python _mapie_runner.py IN.npz OUT.npz`; see `benchmarks.guarantees`.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np


def thresholds(score, label, risk, target, confidence):
    """Return the cut-off that the default controller certifies on each draw, NaN for none."""
    from mapie.risk_control import BinaryClassificationController

    found = []
    for scores, labels in zip(score, label, strict=True):
        controller = BinaryClassificationController(
            lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
            risk=risk,
            target_level=target,
            confidence_level=confidence,
        )
        controller.calibrate(scores[:, None], labels)
        best = controller.best_predict_param
        found.append(np.nan if best is None else float(best))
    return np.array(found)


def label_sets(p, y, risk, target, confidence):
    """Return the cut-off of all labels that the controller finds on each draw, NaN for none.

    Recall by RCPS with the bound of Waudby-Smith and Ramdas, precision by learn-then-test.
    """
    from mapie.risk_control import MultiLabelClassificationController

    how = {"method": "rcps", "rcps_bound": "wsr"} if risk == "recall" else {"method": "ltt"}
    found = []
    for scores, labels in zip(p, y, strict=True):
        controller = MultiLabelClassificationController(
            lambda x: x,
            risk=risk,
            target_level=target,
            confidence_level=confidence,
            **how,
        )
        controller.calibrate(scores, labels)
        best = np.ravel(controller.best_predict_param)[0]
        found.append(np.nan if best is None else float(best))
    return np.array(found)


class Frozen:
    """A classifier whose probabilities are its input."""

    _estimator_type = "classifier"

    def __init__(self, classes):
        self.classes_ = np.arange(classes)
        self.n_features_in_ = classes

    def fit(self, x, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        from sklearn.base import BaseEstimator, ClassifierMixin

        class Tagged(ClassifierMixin, BaseEstimator):
            pass

        return Tagged().__sklearn_tags__()

    def get_params(self, deep=True):
        return {"classes": len(self.classes_)}

    def predict_proba(self, x):
        return np.asarray(x)

    def predict(self, x):
        return np.asarray(x).argmax(axis=1)


def lac_sets(p, label, fresh, coverage):
    """Return which classes are in the LAC set of each fresh row."""
    from mapie.classification import SplitConformalClassifier

    found = SplitConformalClassifier(
        Frozen(p.shape[1]), confidence_level=coverage, conformity_score="lac", prefit=True
    )
    found.conformalize(p, label)
    return found.predict_set(fresh)[1][:, :, 0]


def main():
    warnings.simplefilter("ignore")
    given = np.load(sys.argv[1])
    out = {"sets": lac_sets(given["p"], given["y"], given["fresh"], float(given["coverage"]))}
    for risk in ("precision", "recall"):
        confidence = float(given["confidence"])
        target = float(given[f"{risk}_target"])
        out[risk] = thresholds(given["score"], given["label"], risk, target, confidence)
        # Of clusters: all rows as if they were independent, and the first of each cluster.
        score, label = given["unit_score"], given["unit_label"]
        rows = score.reshape(len(score), -1), label.reshape(len(label), -1)
        out[f"{risk}_all"] = thresholds(*rows, risk, target, confidence)
        first = score[:, :, 0], label[:, :, 0]
        out[f"{risk}_first"] = thresholds(*first, risk, target, confidence)
        target = float(given[f"set_{risk}_target"])
        sets = given["set_score"], given["set_label"]
        out[f"set_{risk}"] = label_sets(*sets, risk, target, confidence)
    np.savez(sys.argv[2], **out)


if __name__ == "__main__":
    main()
