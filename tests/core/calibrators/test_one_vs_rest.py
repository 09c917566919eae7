from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit, softmax
from sklearn.isotonic import IsotonicRegression

from calibcli.core.calibrators import (
    CALIBRATORS,
    Histogram,
    Identity,
    Isotonic,
    OneVsRest,
    Platt,
    calibrate,
)
from calibcli.core.calibrators.classes.one_vs_rest import class_stats
from calibcli.core.calibrators.classes.row_scores import one_vs_rest_logits
from calibcli.core.calibrators.classes.rows import deal
from calibcli.core.fitting.problems import Rows
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal((2000, 4))
    y = np.array([rng.choice(4, p=p) for p in softmax(0.5 * z, axis=1)])
    return z, y


def test_one_vs_rest_logits_are_precise_when_a_class_is_nearly_certain():
    z = np.array([[30.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-20.0, 5.0, 4.9]])
    out = one_vs_rest_logits(z)
    assert out[0, 0] == pytest.approx(30 - np.log(1 + np.exp(-1)), rel=1e-15)
    assert out[1] == pytest.approx([-np.log(2)] * 3)
    assert out == pytest.approx(logit(softmax(z, axis=1)), rel=1e-3)
    far = one_vs_rest_logits(np.array([[800.0, 0.0], [-np.inf, 0.0]]))
    assert np.isfinite(far).all()


def test_class_stats_are_the_pairs_of_each_class_and_fold(rows, row_source):
    z, y = rows
    p = softmax(z, axis=1)
    bucket = np.arange(len(y)) % 64
    by_fold = class_stats(row_source(z, y, bucket=bucket), deal(3))
    for fold in range(3):
        inside = bucket % 3 == fold
        for k in range(4):
            stats = by_fold[fold][k]
            assert stats.n == inside.sum()
            assert stats.positives == (y[inside] == k).sum()
            assert stats.score == pytest.approx(np.sort(p[inside, k]), rel=1e-12)


def test_isotonic_of_each_class_then_divided_by_the_row_sum(rows, row_source):
    z, y = rows
    p = softmax(z, axis=1)
    fitted = OneVsRest.fit(
        class_stats(row_source(z, y), deal(1))[0], lambda s: Isotonic.fit(s, ends="raw")
    )
    columns = [IsotonicRegression().fit(p[:, k], y == k).predict(p[:, k]) for k in range(4)]
    raw = np.column_stack(columns)
    expected = raw / raw.sum(axis=1, keepdims=True)
    assert fitted.apply(z) == pytest.approx(expected, abs=1e-9)
    assert calibrate(fitted, p, logits=False) == pytest.approx(expected, abs=1e-6)


def test_a_row_that_is_all_zero_keeps_its_uncalibrated_probabilities():
    zero = Isotonic(np.array([0.0, 0.8, 0.9]), np.array([0.0, 0.0, 1.0]), ends="raw")
    fitted = OneVsRest((zero, zero, zero))
    p = np.array([[0.5, 0.3, 0.2], [0.95, 0.03, 0.02]])
    out = calibrate(fitted, p, logits=False)
    assert out[0] == pytest.approx(p[0], abs=1e-12)
    assert out[1].tolist() == [1.0, 0.0, 0.0]


def test_a_class_without_rows_keeps_its_scores_with_a_note(rows, row_source):
    z, y = rows
    y = np.where(y == 2, 0, y)
    names = ("ant", "bee", "cat", "dog")
    fitted = OneVsRest.fit(class_stats(row_source(z, y), deal(1))[0], Platt.fit, names=names)
    assert isinstance(fitted.calibrators[2], Identity)
    assert any("class cat" in note for note in fitted.notes)
    assert fitted.apply(z).sum(axis=1) == pytest.approx(np.ones(len(z)))


def test_columns_of_their_own_are_not_normalised():
    rng = np.random.default_rng(1)
    p = rng.random((500, 3))
    y = rng.random((500, 3)) < p**2
    stats = [ScoreStats.from_arrays(p[:, k], y[:, k]) for k in range(3)]
    fitted = OneVsRest.fit(stats, Platt.fit, normalize=False)
    out = calibrate(fitted, p, logits=False)
    for k in range(3):
        assert out[:, k].tolist() == Platt.fit(stats[k]).apply(logit(p[:, k])).tolist() or (
            out[:, k] == pytest.approx(Platt.fit(stats[k]).apply(logit(p[:, k])), rel=1e-12)
        )
    again = calibrate(fitted, logit(p), logits=True)
    assert again == pytest.approx(out, rel=1e-10)
    assert out[0].sum() != pytest.approx(1.0, abs=1e-6)


def test_the_number_of_columns_is_checked():
    fitted = OneVsRest((Identity(), Identity()))
    with pytest.raises(InputError, match="3 score columns"):
        fitted.apply(np.zeros((2, 3)))


def test_infinite_logits_apply(rows, row_source):
    z, y = rows
    fitted = OneVsRest.fit(class_stats(row_source(z, y), deal(1))[0], Isotonic.fit)
    out = fitted.apply(np.array([[-np.inf, 1.0, 0.0, 2.0], [np.inf, 0.0, 1.0, 3.0]]))
    assert np.isfinite(out).all()
    assert out.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert expit(one_vs_rest_logits(np.array([[np.inf, 0.0]])))[0, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["histogram", "scaling-binning"])
def test_bins_are_where_a_class_is_and_keep_the_accuracy(method, row_source):
    rng = np.random.default_rng(5)
    z = 24 * rng.standard_normal((4000, 10))
    y = (z / 2 + rng.gumbel(size=z.shape)).argmax(axis=1)
    kind = CALIBRATORS[method]
    source = row_source(z, y)
    plain = np.mean(z.argmax(axis=1) == y)
    accuracy = []
    for fit in (kind.fit, Rows(source).against_rest(kind)):
        fitted = OneVsRest.fit(class_stats(source, deal(1))[0], fit)
        accuracy.append(np.mean(fitted.apply(z).argmax(axis=1) == y))
    assert accuracy[0] < plain - 0.02  # fifteen bins of all rows, as for one score
    assert accuracy[1] > plain - 0.01


def test_equal_probabilities_leave_the_decision_to_the_scores():
    flat = Histogram(np.array([0.25]), np.array([0.1, 0.4]))
    fitted = OneVsRest((flat, flat, flat))
    p = np.array([[0.3, 0.4, 0.3], [0.26, 0.26, 0.48], [0.1, 0.1, 0.8]])
    out = calibrate(fitted, p, logits=False)
    assert out.argmax(axis=1).tolist() == [1, 2, 2]
    assert out[0] == pytest.approx([1 / 3] * 3, rel=2e-9)
