from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from calibcli.core.calibrators import Isotonic
from calibcli.core.calibrators.binary.isotonic import distinct_cells
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError


def dump(n=2000, seed=0, digits=None):
    rng = np.random.default_rng(seed)
    p = expit(2 * rng.standard_normal(n))
    p = p if digits is None else np.round(p, digits)
    return p, rng.random(n) < p**1.5


def test_fitted_values_equal_scipys_with_ties_as_one_point():
    p, y = dump(digits=2)
    score = np.unique(p)
    total = np.array([(p == s).sum() for s in score])
    mean = np.array([y[p == s].mean() for s in score])
    oracle = isotonic_regression(mean, weights=total).x
    for interpolation in ("linear", "step"):
        stats = ScoreStats.from_arrays(p, y)
        fitted = Isotonic.fit(stats, interpolation=interpolation, ends="raw")
        assert fitted.apply(score) == pytest.approx(oracle, abs=1e-12)


def test_interpolation_and_clipping_equal_sklearns():
    p, y = dump()
    oracle = IsotonicRegression(out_of_bounds="clip").fit(p, y)
    fitted = Isotonic.fit(ScoreStats.from_arrays(p, y), ends="raw")
    x = np.random.default_rng(1).random(5000)
    assert fitted.apply(x) == pytest.approx(oracle.predict(x), abs=1e-12)


def test_a_step_holds_from_the_first_score_of_its_block():
    stats = ScoreStats.from_arrays([0.1, 0.2, 0.4, 0.6, 0.8, 0.9], [0, 1, 0, 1, 0, 1])
    fitted = Isotonic.fit(stats, interpolation="step", ends="raw")
    x = np.array([0.0, 0.1, 0.19, 0.2, 0.3, 0.59, 0.6, 0.89, 0.9, 1.0])
    assert fitted.apply(x).tolist() == [0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1]


def test_smoothed_ends_keep_the_log_loss_finite():
    p = np.linspace(0.01, 0.99, 20)
    y = p > 0.5
    stats = ScoreStats.from_arrays(p, y)
    raw, smoothed = Isotonic.fit(stats, ends="raw"), Isotonic.fit(stats)
    assert raw.apply(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert smoothed.apply(np.array([0.0, 1.0])) == pytest.approx([1 / 11, 10 / 11])


@pytest.mark.parametrize("ends", ["smoothed", "raw"])
def test_smoothed_ends_are_isotonic_regression_of_two_more_rows(ends):
    p, y = dump(300, seed=5)
    more, labels = np.append(p, [p.min(), p.max()]), np.append(y, [True, False])
    oracle = IsotonicRegression().fit(*((more, labels) if ends == "smoothed" else (p, y)))
    fitted = Isotonic.fit(ScoreStats.from_arrays(p, y), ends=ends)
    assert fitted.apply(p) == pytest.approx(oracle.predict(p), abs=1e-12)


def test_ties_are_exact_not_within_a_tolerance():
    p = np.array([1e-9, 2e-9, 3e-9, 4e-9], dtype=np.float32)
    fitted = Isotonic.fit(ScoreStats.from_arrays(p, [0, 1, 0, 1]), ends="raw")
    assert fitted.apply(p.astype(float)) == pytest.approx([0, 0.5, 0.5, 1], abs=1e-15)


def test_counts_equal_repeated_rows_and_zero_weights_are_absent():
    p, y = dump(200, seed=2)
    w = np.random.default_rng(2).integers(0, 4, 200)
    repeated = Isotonic.fit(ScoreStats.from_arrays(np.repeat(p, w), np.repeat(y, w)))
    counted = Isotonic.fit(ScoreStats.from_arrays(p, y, w))
    assert counted.x.tolist() == repeated.x.tolist()
    assert counted.y == pytest.approx(repeated.y, abs=1e-14)


def test_far_logits_whose_probabilities_coincide_are_one_point():
    stats = ScoreStats.from_arrays([40.0, 50.0, 60.0, -1.0], [1, 0, 1, 0], logits=True)
    score, pos, total = distinct_cells(stats)
    assert len(score) == 2
    assert (pos[1], total[1]) == (2.0, 3.0)
    assert Isotonic.fit(stats).apply(np.array([1.0]))[0] == pytest.approx(2 / 4)


def test_degenerate_input_has_a_clear_outcome():
    constant = Isotonic.fit(ScoreStats.from_arrays([0.3] * 5, [0, 1, 1, 0, 1]))
    assert constant.apply(np.array([0.0, 0.3, 1.0])) == pytest.approx([4 / 7] * 3)
    assert any("constant" in note for note in constant.notes)
    backwards = Isotonic.fit(ScoreStats.from_arrays([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]))
    assert any("do not rank" in note for note in backwards.notes)
    assert any("1000 or more" in note for note in backwards.notes)
    with pytest.raises(InputError, match="label 1"):
        Isotonic.fit(ScoreStats.from_arrays([0.3, 0.4], [1, 1]))
    certain = Isotonic.fit(ScoreStats.from_arrays([0.0, 0.0, 1.0, 1.0], [0, 1, 1, 0]))
    assert np.isfinite(np.log(certain.apply(np.array([0.0, 0.5, 1.0])))).all()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(np.linspace(0, 1, 9).tolist()),
            st.booleans(),
            st.one_of(st.just(0.0), st.floats(1e-3, 3)),
        ),
        min_size=2,
        max_size=40,
    )
)
def test_the_map_never_decreases_and_stays_inside_zero_and_one(rows):
    p, y, w = (np.array(column) for column in zip(*rows, strict=True))
    if w[y].sum() <= 0 or w[~y].sum() <= 0:
        return
    for interpolation in ("linear", "step"):
        fitted = Isotonic.fit(ScoreStats.from_arrays(p, y, w), interpolation=interpolation)
        mapped = fitted.apply(np.linspace(0, 1, 101))
        assert (np.diff(mapped) >= 0).all()
        assert mapped.min() >= 0
        assert mapped.max() <= 1
