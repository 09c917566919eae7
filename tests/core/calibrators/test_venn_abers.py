from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from calibcli.core.calibrators import VennAbers
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError


def brute_force(p, y, w, s):
    """The isotonic fit at s with the test row added under either label, weight 1."""
    return [
        IsotonicRegression()
        .fit(np.append(p, s), np.append(y, label), sample_weight=np.append(w, 1.0))
        .predict([s])[0]
        for label in (0, 1)
    ]


def check(p, y, w):
    fitted = VennAbers.fit(ScoreStats.from_arrays(p, y, w))
    distinct = np.unique(p[np.asarray(w) > 0])
    between = (distinct[1:] + distinct[:-1]) / 2
    x = np.concatenate([distinct, between, [0.0, 1.0]])
    low, high = fitted.interval(x)
    rows = w * (w.sum() / (w**2).sum())  # Kish's effective rows
    expected = np.array([brute_force(p[w > 0], y[w > 0], rows[w > 0], s) for s in x])
    assert low == pytest.approx(expected[:, 0], abs=1e-12)
    assert high == pytest.approx(expected[:, 1], abs=1e-12)
    merged = expected[:, 1] / (1 - expected[:, 0] + expected[:, 1])
    assert fitted.apply(x) == pytest.approx(merged, abs=1e-12)


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.booleans(), st.sampled_from([0.0, 1.0, 1.0, 2.5, 0.25])),
        min_size=2,
        max_size=25,
    )
)
def test_equals_brute_force_at_ties_between_scores_and_out_of_range(rows):
    p, y, w = (np.array(column) for column in zip(*rows, strict=True))
    if w[y].sum() == 0 or w[~y].sum() == 0:
        return
    check(p / 10, y, w)


@pytest.mark.parametrize("seed", range(4))
def test_equals_brute_force_on_distinct_scores(seed):
    rng = np.random.default_rng(seed)
    p = expit(2 * rng.standard_normal(120))
    check(p, rng.random(120) < p, np.ones(120))


def test_the_interval_holds_the_merged_probability_and_narrows_with_rows():
    widths = []
    for n in (100, 10_000):
        rng = np.random.default_rng(0)
        p = rng.random(n)
        fitted = VennAbers.fit(ScoreStats.from_arrays(p, rng.random(n) < p))
        x = np.linspace(0, 1, 301)
        low, high = fitted.interval(x)
        merged = fitted.apply(x)
        assert ((low <= merged) & (merged <= high)).all()
        assert (low < high).all()
        widths.append(np.mean(high - low))
    assert widths[1] < widths[0] / 4


def test_no_probability_is_certain():
    fitted = VennAbers.fit(ScoreStats.from_arrays([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]))
    p = fitted.apply(np.array([0.0, 0.1, 0.5, 0.9, 1.0]))
    assert ((p > 0) & (p < 1)).all()
    # At the lowest of two negatives: p0 = 0 of 3 and p1 = 1 of 3, so 1/3 / (1 + 1/3).
    assert p[1] == pytest.approx(0.25)


def test_one_of_the_two_is_calibrated():
    """Over many draws the mean of p_y equals the frequency of 1: the validity theorem."""
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(300):
        p = rng.random(41)
        y = rng.random(41) < p**3
        if y[:40].all() or not y[:40].any():
            continue
        low, high = VennAbers.fit(ScoreStats.from_arrays(p[:40], y[:40])).interval(p[40:])
        gaps.append((high if y[40] else low)[0] - y[40])
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(len(gaps))


def test_one_class_is_refused_and_few_rows_warn():
    with pytest.raises(InputError):
        VennAbers.fit(ScoreStats.from_arrays([0.1, 0.2], [1, 1]))
    assert "1000 or more" in VennAbers.fit(ScoreStats.from_arrays([0.1, 0.2], [0, 1])).notes[0]


def test_many_cells_are_quick_and_compact():
    rng = np.random.default_rng(0)
    p = rng.random(100_000)
    fitted = VennAbers.fit(ScoreStats.from_arrays(p, rng.random(100_000) < p))
    assert len(fitted.x0) + len(fitted.x1) < 5000
