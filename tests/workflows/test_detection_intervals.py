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
from calibcli.core.detection.lrp import LrpCurve, bucket_residuals, held_out_lrp
from calibcli.core.numeric.mixing import mixed
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.tasks.detection.figures import box_figures, with_ends
from calibcli.tasks.detection.found import RIGHT, WRONG, FoundBoxes, Piece
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


def test_the_error_of_unseen_images_is_that_of_loops():
    image, right, score, overlap, objects = drawn(np.random.default_rng(4), 40)
    bucket, fold = image % BUCKETS, np.arange(40) % BUCKETS % 5
    counts = np.bincount(np.arange(40) % BUCKETS, weights=objects, minlength=BUCKETS).astype(int)
    errors = rows = 0.0
    for f in range(5):
        known, own = bucket % 5 != f, bucket % 5 == f
        best, at = 1.0, np.inf
        for cut in np.unique(score[known]):
            kept = known & (score >= cut)
            alarms, missed = (kept & ~right).sum(), objects[fold != f].sum() - (kept & right).sum()
            off = (1 - overlap[kept & right]).sum() / 0.5
            error = (off + alarms + missed) / (objects[fold != f].sum() + alarms)
            best, at = min((best, at), (error, cut))
        kept = own & (score >= at)
        alarms, missed = (kept & ~right).sum(), objects[fold == f].sum() - (kept & right).sum()
        errors += (1 - overlap[kept & right]).sum() / 0.5 + alarms + missed
        rows += objects[fold == f].sum() + alarms
    found = held_out_lrp(score, right, overlap, bucket, counts, 0.5)
    assert found == pytest.approx(errors / rows, rel=1e-12)


@pytest.mark.slow
def test_the_interval_of_a_mean_over_rare_classes_covers():
    """The least error of any cut-off flatters every class, and their mean as much as each."""
    classes, images, runs = 30, 100, 60

    def rare(rng, images):
        """Boxes of one class of which few images have an object."""
        image, right, score, overlap, objects = drawn(rng, images)
        kept = rng.uniform(size=images) < 0.1
        own = kept[image]
        return image[own], right[own], score[own], overlap[own], objects * kept

    def figures(rng):
        made = [rare(rng, images) for _ in range(classes)]
        label = np.concatenate([np.full(len(one[0]), k) for k, one in enumerate(made)])
        image, right, score, overlap = (np.concatenate([one[j] for one in made]) for j in range(4))
        objects = [np.repeat(np.arange(images), one[4]) for one in made]
        piece = Piece(
            label, image, score, score, np.where(right, RIGHT, WRONG)[:, None], overlap,
            np.full((len(label), 4), np.nan),
            np.concatenate([np.full(len(one), k) for k, one in enumerate(objects)]),
            np.concatenate(objects), np.arange(images, dtype=np.uint64), None, (),
        )  # fmt: skip
        found = FoundBoxes(tuple(map(str, range(classes))), (0.5,), pieces=[piece])
        return box_figures(found, confidence=0.95)

    _, right, score, overlap, objects = rare(np.random.default_rng(0), 300_000)
    curve = LrpCurve.of(score, right, overlap, int(objects.sum()), 0.5)
    truth = curve.at(curve.best())["value"]
    found = [figures(np.random.default_rng(k))["lrp"] for k in range(1, runs + 1)]
    assert np.mean([one.value for one in found]) < truth - 0.02
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.9
