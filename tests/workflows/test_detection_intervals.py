"""The intervals of average precision and of LRP hold the truth about as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from calibcli.core.detection.average_precision import (
    Ranking,
    average_precision,
    jackknife_variance,
    without_each_bucket,
)
from calibcli.core.detection.lrp import LrpCurve, bucket_residuals
from calibcli.core.numeric.mixing import mixed
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.tasks.detection.figures import with_ends
from calibcli.tasks.units import buckets_of_all

RUNS = 160


def drawn(rng, images):
    """Boxes of one class: what is hard in an image is hard for all its boxes."""
    hard = rng.normal(0, 0.8, images)
    objects = rng.poisson(2.5, images)
    home = np.repeat(np.arange(images), objects)
    hit = rng.uniform(size=len(home)) < 1 / (1 + np.exp(hard[home] - 1.5))
    false = np.repeat(np.arange(images), rng.poisson(1.5 * np.exp(0.5 * hard)))
    image = np.r_[home[hit], false]
    right = np.r_[np.ones(hit.sum(), bool), np.zeros(len(false), bool)]
    score = np.r_[rng.beta(4, 2, hit.sum()), rng.beta(2, 4, len(false))]
    overlap = np.where(right, rng.beta(6, 2, len(right)) / 2 + 0.5, 0.0)
    order = np.argsort(-score, kind="stable")
    return image[order], right[order], score[order], overlap[order], objects


def parts(rng, images):
    image, right, score, overlap, objects = drawn(rng, images)
    bucket = buckets_of_all(mixed(np.arange(images)))
    counts = np.bincount(bucket, weights=objects, minlength=BUCKETS).astype(int)
    curve = LrpCurve.of(score, right, overlap, int(objects.sum()), 0.5)
    return Ranking(right, bucket[image], counts), curve, overlap


@pytest.mark.parametrize(("buckets", "level"), [(2, 0.95), (5, 0.95), (5, 0.8), (64, 0.99)])
def test_ends_are_those_of_as_many_trials_as_the_variance_is_worth(buckets, level):
    found = with_ends(0.7, 1e-4, buckets, level)
    upper = (1 + level) / 2  # Korn and Graubard, 1998
    fewer = (scipy.stats.norm.ppf(upper) / scipy.stats.t.ppf(upper, buckets - 1)) ** 2
    trials = 0.7 * 0.3 / 1e-4 * fewer
    hits, misses = 0.7 * trials, 0.3 * trials
    expected = (
        scipy.stats.beta.ppf(1 - upper, hits, misses + 1),
        scipy.stats.beta.ppf(upper, hits + 1, misses),
    )
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("images", [50, 300])
def test_intervals_cover(images):
    whole, curve, _ = parts(np.random.default_rng(0), 60_000)
    truth = average_precision(whole), curve.at(curve.best())["value"]
    held = np.zeros(2)
    for seed in range(1, RUNS + 1):
        ranking, curve, overlap = parts(np.random.default_rng(seed), images)
        used = np.unique(buckets_of_all(mixed(np.arange(images))))
        spread = jackknife_variance(without_each_bucket(ranking)[used])
        found = [with_ends(average_precision(ranking), spread, len(used), 0.95)]
        place = curve.best()
        value = curve.at(place)["value"]
        kept = np.arange(len(ranking.right)) < curve.hits[place] + curve.alarms[place]
        residual = bucket_residuals(
            kept, ranking.right, overlap, ranking.bucket, ranking.objects, 0.5, value
        )[used]
        between = (residual**2).sum() * len(used) / (len(used) - 1)
        found.append(with_ends(value, between, len(used), 0.95))
        held += [one.low <= right <= one.high for one, right in zip(found, truth, strict=True)]
    # Three standard errors of a share of 160 below 95%.
    assert (held / RUNS >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / RUNS)).all(), held / RUNS
