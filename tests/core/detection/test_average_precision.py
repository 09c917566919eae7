from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.detection.average_precision import (
    Ranking,
    average_precision,
    jackknife_variance,
    without_each_bucket,
)


def plain(right, objects):
    """COCO's definition: the largest precision at each of 101 recalls or beyond."""
    if objects == 0:
        return np.nan
    tp = np.cumsum(right)
    precision = tp / np.arange(1, len(right) + 1) if len(right) else np.zeros(0)
    total = 0.0
    for level in np.linspace(0.0, 1.0, 101):
        beyond = precision[tp / objects >= level] if len(right) else precision
        total += beyond.max() if len(beyond) else 0.0
    return total / 101


@given(st.integers(0, 2**32 - 1))
def test_average_precision_and_every_image_left_out(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(0, 40)
    bucket, right = rng.integers(0, 8, n), rng.uniform(size=n) < 0.6
    objects = np.bincount(bucket[right], minlength=8) + rng.integers(0, 2, 8)
    ranking = Ranking(right, bucket, objects)
    assert average_precision(ranking) == pytest.approx(
        plain(right, objects.sum()), abs=1e-12, nan_ok=True
    )
    left = without_each_bucket(ranking)
    for b in range(8):
        rest = plain(right[bucket != b], objects.sum() - objects[b])
        assert left[b] == pytest.approx(rest, abs=1e-12, nan_ok=True)


def test_the_jackknife_of_a_mean_is_its_variance():
    x = np.random.default_rng(1).normal(size=30)
    left = (x.sum() - x) / 29
    assert jackknife_variance(left) == pytest.approx(x.var(ddof=1) / 30)
    assert np.isnan(jackknife_variance(np.array([0.5, np.nan])))
