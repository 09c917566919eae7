"""Estimators by scikit-learn's own checks, in pipelines and searches, and its calibrators."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import calibcli
from calibcli.errors import UsageError
from calibcli.sklearn import Calibrator, ThresholdClassifier, to_artifact


def expected(estimator):
    """Return the checks that scikit-learn leaves out for its own tuned cut-off as well."""
    if isinstance(estimator, Calibrator):
        return {}
    found = {"check_classifiers_train": "the cut-off is not at a probability of 0.5"}
    if sklearn.__version__.startswith("1.6."):
        # It makes two classes of three by the first label, which repeating and shuffling changes.
        reason = "the weighted and the repeated rows get other labels"
        for kind in ("dense", "sparse"):
            found[f"check_sample_weight_equivalence_on_{kind}_data"] = reason
    return found


CHECKS = parametrize_with_checks(
    [Calibrator(), ThresholdClassifier()], expected_failed_checks=expected
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [Calibrator(cv=3), ThresholdClassifier(cv=3)])
def test_a_weight_is_so_many_rows_for_the_classifier_that_is_kept(estimator):
    rng = np.random.default_rng(4)
    X, y, weight = rng.normal(size=(60, 3)), np.arange(60) % 2, rng.integers(1, 4, 60)
    weighted = clone(estimator).fit(X, y, sample_weight=weight).estimator_
    repeated = clone(estimator).fit(X.repeat(weight, axis=0), y.repeat(weight)).estimator_
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-5, atol=1e-8
    )


@pytest.fixture(scope="module")
def rows():
    X, y = make_classification(3000, 8, n_informative=4, flip_y=0.1, random_state=0)
    return X[:2000], y[:2000], X[2000:], y[2000:]


@pytest.mark.slow
def test_probabilities_are_better_and_saved(rows, tmp_path):
    X, y, new, truth = rows
    plain = GaussianNB().fit(X, y)
    found = Calibrator(GaussianNB()).fit(X, np.array(["no", "yes"])[y])
    assert log_loss(truth, found.predict_proba(new)) < log_loss(truth, plain.predict_proba(new))
    assert set(found.predict(new)) == {"no", "yes"}
    found.save(tmp_path / "cal.json")
    loaded = calibcli.load(tmp_path / "cal.json")
    again = loaded.apply(plain.predict_proba(new)[:, 1])
    np.testing.assert_array_equal(again, found.predict_proba(new)[:, 1])
    assert found.result_.after.kind == "cross-fitted"


@pytest.mark.slow
def test_several_classes_and_margins(rows):
    X, y, new, _ = rows
    three = y + (X[:, 0] > 1)
    found = Calibrator(GaussianNB(), method="temperature").fit(X, three)
    assert found.predict_proba(new).shape == (1000, 3)
    margins = Calibrator(LinearSVC(), method="platt").fit(X, y)
    np.testing.assert_allclose(margins.predict_proba(new).sum(axis=1), 1.0)
    assert margins.calibrator_.logits


@pytest.mark.slow
def test_a_pipeline_and_a_search(rows):
    X, y, new, truth = rows
    whole = make_pipeline(StandardScaler(), Calibrator(LogisticRegression()))
    search = GridSearchCV(
        whole,
        {"calibrator__method": ["platt", "beta"], "calibrator__estimator__C": [0.1, 1.0]},
        scoring="neg_log_loss",
        cv=2,
    ).fit(X, y)
    assert search.best_params_["calibrator__method"] in ("platt", "beta")
    assert log_loss(truth, search.predict_proba(new)) < 0.6


@pytest.mark.slow
def test_the_cutoff_is_that_of_held_out_scores(rows, tmp_path):
    X, y, new, truth = rows
    inner = RandomForestClassifier(50, random_state=0)
    costly = ThresholdClassifier(
        FrozenEstimator(inner.fit(X[:1000], y[:1000])), cost={"fp": 1, "fn": 9}
    )
    costly.fit(X[1000:], y[1000:])
    scores = inner.predict_proba(X[1000:])[:, 1]
    chosen = calibcli.threshold({"score": scores, "label": y[1000:]}, cost={"fp": 1, "fn": 9})
    assert costly.threshold_ == chosen.thresholds[0].threshold < 0.5
    np.testing.assert_array_equal(costly.predict(new), costly.decision_function(new) >= 0)
    costly.save(tmp_path / "cut.json")
    decided = calibcli.load(tmp_path / "cut.json").decide(inner.predict_proba(new)[:, 1])
    np.testing.assert_array_equal(costly.predict(new), decided)
    stacked = ThresholdClassifier(Calibrator(LogisticRegression()), maximize="f1").fit(X, y)
    plain = LogisticRegression().fit(X, y)
    assert f1_score(truth, stacked.predict(new)) > f1_score(truth, plain.predict(new)) - 0.02
    with pytest.raises(ValueError, match="at most"):
        ThresholdClassifier(subject_to=["precision>=0.98", "recall>=0.98"]).fit(X, y)


def test_weights_are_rows(rows):
    X, y, new, _ = rows
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    folds = np.random.default_rng(1).integers(0, 4, len(y))
    again = np.repeat(np.arange(len(y)), weight)

    def cv(of):
        return [(np.flatnonzero(of != k), np.flatnonzero(of == k)) for k in range(4)]

    one = Calibrator(GaussianNB(), method="platt", cv=cv(folds)).fit(X, y, weight)
    two = Calibrator(GaussianNB(), method="platt", cv=cv(folds[again])).fit(X[again], y[again])
    np.testing.assert_allclose(one.predict_proba(new), two.predict_proba(new), rtol=1e-9)


def test_artifacts_of_its_own_calibrators(rows, tmp_path, good):
    X, y, new, _ = rows
    margins = CalibratedClassifierCV(LinearSVC(), method="sigmoid", ensemble=False).fit(X, y)
    kept = to_artifact(margins, tmp_path / "sigmoid.json")
    score = margins.calibrated_classifiers_[0].estimator.decision_function(new)
    np.testing.assert_allclose(kept.apply(score), margins.predict_proba(new)[:, 1], rtol=1e-12)
    steps = CalibratedClassifierCV(GaussianNB(), method="isotonic", ensemble=False).fit(X, y)
    kept = to_artifact(steps, tmp_path / "steps.json")
    p = steps.calibrated_classifiers_[0].estimator.predict_proba(new)[:, 1]
    np.testing.assert_allclose(kept.apply(p), steps.predict_proba(new)[:, 1], atol=1e-12)
    alone = IsotonicRegression(out_of_bounds="clip").fit(p, rows[3])
    np.testing.assert_allclose(to_artifact(alone).apply(p), alone.predict(p), atol=1e-12)
    path = tmp_path / "new.csv"
    path.write_text("score\n" + "\n".join(map(str, p)) + "\n")
    good("apply", tmp_path / "steps.json", path, "-o", tmp_path / "out.csv")
    loaded = calibcli.load(tmp_path / "steps.json")
    np.testing.assert_array_equal(loaded.apply(p), kept.apply(p))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CalibratedClassifierCV(GaussianNB()), "5 classifiers"),
        (lambda: CalibratedClassifierCV(GaussianNB(), ensemble=False), "sigmoid of probabilities"),
        (lambda: GaussianNB(), "no calibrator"),
        (lambda: IsotonicRegression(), "no map of probabilities"),
    ],
)
def test_what_is_no_map_of_one_score_is_refused(make, message, rows):
    X, y, *_ = rows
    found = make()
    found.fit(X[:, 0] if isinstance(found, IsotonicRegression) else X, y)
    with pytest.raises(UsageError, match=message):
        to_artifact(found)
