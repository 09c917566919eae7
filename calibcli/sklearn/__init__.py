"""Calibration and cut-offs as scikit-learn estimators, and its calibrators as artifacts.

>>> from calibcli.sklearn import Calibrator, ThresholdClassifier
"""

from calibcli.sklearn.artifacts import to_artifact
from calibcli.sklearn.estimators import Calibrator, ThresholdClassifier

__all__ = ["Calibrator", "ThresholdClassifier", "to_artifact"]
