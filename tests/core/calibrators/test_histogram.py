from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.calibrators import Histogram
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError, UsageError


def brute_force(p, y, inner, x):
    """Bins (lo, hi], the first also holds 0; one row of the prevalence added to each bin."""
    edges = [-np.inf, *inner, np.inf]
    for lo, hi in pairwise(edges):
        if lo < x <= hi:
            inside = (p > lo) & (p <= hi)
            if not inside.any():
                return (max(lo, 0) + min(hi, 1)) / 2
            return (y[inside].sum() + y.mean()) / (inside.sum() + 1)
    raise AssertionError


def test_equal_width_bins_equal_brute_force_also_on_edges():
    rng = np.random.default_rng(0)
    p = np.round(rng.random(500), 2)
    y = rng.random(500) < p
    fitted = Histogram.fit(ScoreStats.from_arrays(p, y), bins=10, binning="width")
    inner = [i / 10 for i in range(1, 10)]
    x = np.array([*np.linspace(0, 1, 101).round(2), 0.3, 0.30000000000000004])
    assert fitted.apply(x) == pytest.approx([brute_force(p, y, inner, v) for v in x], abs=1e-14)


def test_float32_three_tenths_lies_above_the_edge_at_fit_and_apply():
    p = np.array([0.3, 0.3, 0.9, 0.9], dtype=np.float32)
    fitted = Histogram.fit(ScoreStats.from_arrays(p, [0, 1, 1, 1]), bins=10, binning="width")
    assert fitted.apply(p)[0] == pytest.approx((1 + 0.75) / 3)  # bin (0.3, 0.4]
    assert fitted.apply(np.array([0.3]))[0] == pytest.approx(0.25)  # (0.2, 0.3] is empty


def test_equal_mass_bins_hold_equal_counts_and_never_split_ties():
    p = (np.arange(1000) + 0.5) / 1000
    y = np.arange(1000) % 3 == 0
    fitted = Histogram.fit(ScoreStats.from_arrays(p, y), bins=8, binning="mass")
    counts = np.bincount(np.searchsorted(fitted.edges, p, side="left"))
    assert counts.tolist() == [125] * 8
    tied = np.repeat([0.1, 0.5, 0.9], [800, 100, 100])
    fitted = Histogram.fit(ScoreStats.from_arrays(tied, np.arange(1000) % 2), bins=10)
    assert fitted.edges == pytest.approx([0.3, 0.7])


def test_empty_bins_return_their_midpoint_and_say_so():
    fitted = Histogram.fit(ScoreStats.from_arrays([0.1, 0.9], [0, 1]), bins=5, binning="width")
    assert fitted.apply(np.array([0.3, 0.5, 0.7])) == pytest.approx([0.3, 0.5, 0.7])
    assert any("3 of 5 bins" in note for note in fitted.notes)


def test_no_bin_is_certain():
    fitted = Histogram.fit(ScoreStats.from_arrays([0.0] * 9 + [1.0] * 9, [0] * 9 + [1] * 9))
    assert fitted.apply(np.array([0.0, 1.0])) == pytest.approx([0.05, 0.95])


def test_weights_equal_repeated_rows():
    rng = np.random.default_rng(1)
    p, y, w = rng.random(300), rng.random(300) < 0.4, rng.integers(0, 4, 300)
    for binning in ("width", "mass"):
        a = Histogram.fit(ScoreStats.from_arrays(p, y, w), binning=binning)
        b = Histogram.fit(ScoreStats.from_arrays(np.repeat(p, w), np.repeat(y, w)), binning=binning)
        assert a.edges.tolist() == b.edges.tolist()
        assert a.values.tolist() == b.values.tolist()


def test_degenerate_input_has_a_clear_outcome():
    constant = Histogram.fit(ScoreStats.from_arrays([0.3] * 5, [0, 1, 1, 0, 1]))
    assert constant.apply(np.array([0.0, 1.0])) == pytest.approx([0.6, 0.6])
    with pytest.raises(InputError):
        Histogram.fit(ScoreStats.from_arrays([0.3, 0.4], [1, 1]))
    with pytest.raises(UsageError):
        Histogram.fit(ScoreStats.from_arrays([0.3, 0.4], [0, 1]), bins=0)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=50),
    st.integers(1, 20),
    st.sampled_from(["width", "mass"]),
)
def test_every_row_is_calibrated_by_the_bin_it_was_counted_in(rows, bins, binning):
    p, y = (np.array(column) for column in zip(*rows, strict=True))
    if y.all() or not y.any():
        return
    fitted = Histogram.fit(ScoreStats.from_arrays(p, y), bins=bins, binning=binning)
    home = np.searchsorted(fitted.edges, p, side="left")
    for b in np.unique(home):
        inside = home == b
        expected = (y[inside].sum() + y.mean()) / (inside.sum() + 1)
        assert fitted.apply(p[inside]) == pytest.approx(np.full(inside.sum(), expected))
