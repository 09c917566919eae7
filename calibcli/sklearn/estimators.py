"""Classifiers around a classifier: with calibrated probabilities, or with a cut-off of their own.

Both choose on scores of rows that the classifier has not seen, by cross-fitting; the classifier
that is kept is fitted on all rows. `sklearn.frozen.FrozenEstimator` keeps one that is fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
)

from calibcli.api.calls import fit, threshold
from calibcli.errors import CalibcliError

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from calibcli.api.results import Chosen, Fitted
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds

    Scores = NDArray[np.float64]


class _Around(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier, and what is chosen on its held-out scores."""

    estimator: Any
    cv: Any
    classes_: NDArray[Any]

    def _held_out(self, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        """Fit the classifier, and return held-out scores, labels and weights as columns."""
        X, y = indexable(X, y)
        check_classification_targets(y)
        given = column_or_1d(y, warn=True)
        self.classes_, label = np.unique(given, return_inverse=True)
        self._check_classes(type_of_target(given))
        inner, params = self._inner(), {}
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
            if has_fit_parameter(inner, "sample_weight"):
                params = {"sample_weight": sample_weight}
        self.estimator_ = clone(inner).fit(X, given, **params)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        method = self._response()
        scores = cross_val_predict(clone(inner), X, given, cv=self.cv, method=method, params=params)
        columns = {"label": label, self._column: self._of_positive(scores)}
        if sample_weight is None:
            return columns
        used = sample_weight > 0  # a row of weight 0 is no row, and one of weight 2 is two
        columns = {name: values[used] for name, values in columns.items()}
        own = sample_weight[used]
        whole = bool((own == np.round(own)).all())
        return columns | ({"count": own.astype(np.int64)} if whole else {"weight": own})

    def _inner(self) -> Any:
        return LogisticRegression() if self.estimator is None else self.estimator

    def _check_classes(self, kind: str) -> None:
        """Refuse targets that are not for this estimator."""

    @property
    def _column(self) -> str:
        return "score" if len(self.classes_) == 2 else "scores"

    @property
    def _logits(self) -> bool:
        return self._response() == "decision_function"

    def _response(self) -> str:
        return "predict_proba" if hasattr(self.estimator_, "predict_proba") else "decision_function"

    def _of_positive(self, scores: Any) -> Scores:
        binary = scores.ndim == 2 and len(self.classes_) == 2
        found: Scores = np.asarray(scores[:, 1] if binary else scores, dtype=np.float64)
        return found

    def _scores(self, X: Any) -> Scores:
        """Return the scores of rows, of the positive class or of each."""
        check_is_fitted(self, "estimator_")
        return self._of_positive(getattr(self.estimator_, self._response())(X))

    def _options(self, columns: dict[str, Any], **options: Any) -> dict[str, Any]:
        weights = {name: name for name in ("count", "weight") if name in columns}
        return {"label": "label", self._column: self._column, "logits": self._logits} | (
            weights | options
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._inner()).input_tags
        return tags


class Calibrator(_Around):
    """A classifier whose probabilities are calibrated by `calibcli fit`.

    Args:
        estimator: the classifier; default a logistic regression. Of one without `predict_proba`
            the `decision_function` is read as logits.
        method: of calibration, or "auto": chosen by cross-fitting.
        cv: how rows are held out, as for `cross_val_predict`.

    Attributes:
        classes_: the classes, sorted.
        estimator_: the classifier, fitted on all rows.
        result_: the typed result of the fit, with figures before and after.
        calibrator_: the map, which `save` writes and `calibcli apply` reads.
    """

    result_: Fitted
    calibrator_: LoadedCalibrator

    def __init__(self, estimator: Any = None, *, method: str = "auto", cv: Any = 5) -> None:
        self.estimator, self.method, self.cv = estimator, method, cv

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the classifier and its calibration.

        Args:
            X: (n, features), whatever the classifier takes.
            y: (n,) classes.
            sample_weight: (n,); whole numbers count as rows.

        Raises:
            ValueError: rows that cannot be fitted.
        """
        columns = self._held_out(X, y, sample_weight)
        try:
            self.result_ = fit(columns, **self._options(columns, method=self.method))
        except CalibcliError as error:
            raise ValueError(str(error)) from error
        self.calibrator_ = self.result_.loaded
        return self

    def predict_proba(self, X: Any) -> Scores:
        """Return calibrated probabilities (n, classes)."""
        scores = self._scores(X)
        found = self.calibrator_.apply(scores, logits=self._logits)
        return found if found.ndim == 2 else np.column_stack([1.0 - found, found])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row (n,)."""
        check_is_fitted(self, "estimator_")
        found: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found

    def save(self, path: str | PathLike[str]) -> None:
        """Write the calibrator as `calibcli fit -o` does."""
        self.result_.save(path)


def _has_probabilities(found: ThresholdClassifier) -> bool:
    inner = getattr(found, "estimator_", found.estimator)
    return inner is None or hasattr(inner, "predict_proba")


class ThresholdClassifier(_Around):
    """A binary classifier with the cut-off that `calibcli threshold` chooses.

    Args:
        estimator: the classifier; default a logistic regression.
        maximize: the objective, such as "f1"; None where costs decide.
        subject_to: bounds, such as "precision>=0.9", or a list of them.
        cost: what errors cost, such as {"fp": 1, "fn": 4}.
        guarantee: the confidence with which bounds hold on new rows.
        cv: how rows are held out, as for `cross_val_predict`.

    Attributes:
        classes_: the two classes, sorted; the second is the positive one.
        estimator_: the classifier, fitted on all rows.
        result_: the typed result of the choice, with figures at the cut-off.
        thresholds_: the cut-off in use.
        threshold_: on the scale of the scores.
    """

    result_: Chosen
    thresholds_: LoadedThresholds

    def __init__(
        self,
        estimator: Any = None,
        *,
        maximize: str | None = None,
        subject_to: Any = None,
        cost: Any = None,
        guarantee: float | None = None,
        cv: Any = 5,
    ) -> None:
        self.estimator, self.maximize, self.subject_to = estimator, maximize, subject_to
        self.cost, self.guarantee, self.cv = cost, guarantee, cv

    def _check_classes(self, kind: str) -> None:
        if kind != "binary":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {kind}."
            )

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the classifier and choose its cut-off.

        Args:
            X: (n, features), whatever the classifier takes.
            y: (n,) of two classes.
            sample_weight: (n,); whole numbers count as rows.

        Raises:
            ValueError: rows that cannot be fitted, or a bound that no cut-off meets.
        """
        columns = self._held_out(X, y, sample_weight)
        options = self._options(
            columns,
            maximize=self.maximize,
            subject_to=self.subject_to,
            cost=self.cost,
            guarantee=self.guarantee,
        )
        try:
            self.result_ = threshold(columns, **options)
        except CalibcliError as error:
            raise ValueError(str(error)) from error
        self.thresholds_ = self.result_.loaded
        cut = self.result_.thresholds[0]
        found = cut.threshold if cut.logit is None else cut.logit
        self.threshold_ = np.inf if found is None else float(found)
        return self

    def decision_function(self, X: Any) -> Scores:
        """Return scores less the cut-off (n,): at least 0 where a row is positive."""
        return self._scores(X) - self.threshold_

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Scores:
        """Return the classifier's probabilities (n, 2), which the cut-off does not change."""
        check_is_fitted(self, "estimator_")
        found: Scores = self.estimator_.predict_proba(X)
        return found

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the decision for each row (n,)."""
        check_is_fitted(self, "estimator_")
        scores = self._scores(X)
        decided = self.thresholds_.decide(scores, logits=self._logits)
        found: NDArray[Any] = self.classes_[np.asarray(decided, dtype=np.intp)]
        return found

    def save(self, path: str | PathLike[str]) -> None:
        """Write the thresholds as `calibcli threshold -o` does."""
        self.result_.save(path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
