"""Cut-offs of boxes that are certified in the mean over images: what is meant, and it holds."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.decisions.objectives import parse_constraint
from calibcli.core.decisions.thresholds import Curve
from calibcli.core.detection.guarantee import FoundByUnit, check, most_alarms, promised
from calibcli.errors import UsageError

LEVEL = 0.1


def bound(text):
    return parse_constraint(text, boxes=True)


def drawn(rng, images, sure=0.0):
    """Images of which some err in many boxes: those of one image are far from independent."""
    count = rng.poisson(3 * rng.gamma(2.0, 0.5, images))
    image = np.repeat(np.arange(images), count)
    hard = rng.beta(1, 4, images)[image]
    score = np.round(rng.beta(4, 2, len(image)), 3)
    right = rng.uniform(size=len(image)) < np.clip(0.55 + 0.5 * score - hard + sure, 0, 1)
    hits = np.bincount(image, right, images).astype(int)
    objects = hits + rng.binomial(2, 0.1, images)
    return FoundByUnit(score, right, image, objects, np.ones(images, np.int64))


def curve_of(found):
    distinct, place = np.unique(found.score, return_inverse=True)
    pos = np.bincount(place, found.right, len(distinct)).astype(np.int64)
    return Curve.from_cells(distinct, pos, np.bincount(place).astype(np.int64) - pos)


def plainly(found, threshold):
    """Return the mean over images of precision, recall and false boxes, image by image."""
    precision, recall, wrong = [], [], []
    for i, objects in enumerate(found.objects):
        mine = found.right[(found.place == i) & (found.score >= threshold)]
        precision += [mine.mean()] if len(mine) else []
        recall += [mine.sum() / objects] if objects else []
        wrong.append(min((~mine).sum() / found.images[i], 10.0))
    return [np.mean(one) if one else None for one in (precision, recall, wrong)]


@pytest.mark.parametrize("several", [False, True])
def test_means_are_those_of_images_one_by_one(several):
    rng = np.random.default_rng(4)
    found = drawn(rng, 12)
    if several:  # a unit may be the images of a patient
        found = FoundByUnit(found.score, found.right, found.place // 2, found.objects[::2],
                            np.full(6, 2))  # fmt: skip
    curve = curve_of(found)
    bounds = tuple(map(bound, ("precision>=0.1", "recall>=0.1", "fp_per_image<=1")))
    sure = promised(found, curve, bounds, LEVEL, 10.0)
    for index in range(0, len(curve.threshold) - 1, 5):
        means = sure.at(index, bounds)
        assert means.means == pytest.approx(plainly(found, curve.threshold[index]))


def test_an_image_counts_at_most_so_many_false_boxes():
    assert most_alarms((bound("fp_per_image<=0.5"),), 4000) == 10
    assert most_alarms((bound("fp_per_image<=4"),), 4000) == 40
    assert most_alarms((bound("fp_per_image<=0.5"), bound("recall>=0.5")), 3) == 3
    wrong = np.array([0] * 30 + [1] * 2)
    found = FoundByUnit(
        np.full(32, 0.5), np.zeros(32, bool), wrong, np.ones(2, int), np.ones(2, int)
    )
    bounds = (bound("fp_per_image<=2"),)
    means = promised(found, curve_of(found), bounds, LEVEL, 20.0).at(0, bounds)
    assert (means.means, means.clipped) == ((11.0,), 1)


def kept(texts, images, draws):
    """Return the shares of draws that were certified, and whose promise is broken."""
    bounds = tuple(map(bound, texts))
    population = drawn(np.random.default_rng(99), 30_000)
    truth = curve_of(population)
    table = population.table(truth.threshold, 10.0)
    means = {
        step: [table.figures(one.name, *at)[1].mean() for one in bounds]
        for step, *at in table.walk(downward=True)
        if at[0].any()
    }
    certified = broken = 0
    for seed in range(draws):
        found = drawn(np.random.default_rng(seed), images)
        curve = curve_of(found)
        sure = np.flatnonzero(promised(found, curve, bounds, LEVEL, 10.0).allowed)
        if not sure.size:
            continue
        certified += 1
        # The end that makes most of the promise: it fails first.
        chosen = sure[-1] if texts[0].startswith("recall") else sure[0]
        own = means[truth.index(curve.threshold[chosen])]
        broken += not all(one.met(np.array(m)) for one, m in zip(bounds, own, strict=True))
    return certified / draws, broken / draws


CASES = [
    (("precision>=0.7",), 600),
    (("recall>=0.8",), 300),
    (("fp_per_image<=0.5",), 300),
    (("fp_per_image<=0.5", "precision>=0.7"), 400),
    (("recall>=0.6", "fp_per_image<=0.9"), 400),
]


@pytest.mark.parametrize(("texts", "images"), CASES[2:3])
def test_promises_are_kept(texts, images):
    certified, broken = kept(texts, images, 15)
    assert certified > 0.5
    assert broken <= LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / 15)


@pytest.mark.slow
@pytest.mark.parametrize(("texts", "images"), CASES)
def test_promises_are_kept_over_many_draws(texts, images):
    certified, broken = kept(texts, images, 1000)
    assert certified > 0.5
    assert broken <= LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / 1000)


def test_bounds_of_one_direction_share_no_error_and_others_do():
    found = drawn(np.random.default_rng(3), 3000, sure=0.3)
    curve = curve_of(found)

    def allowed(level, *texts):
        return promised(found, curve, tuple(map(bound, texts)), level, 10.0).allowed

    both = allowed(LEVEL, "precision>=0.8", "fnr<=0.4")
    each = [allowed(LEVEL / 2, one) for one in ("precision>=0.8", "fnr<=0.4")]
    assert both.tolist() == (each[0] & each[1]).tolist()
    assert both.any()
    down = allowed(LEVEL, "fp_per_image<=0.3", "fp_per_image<=0.6")
    assert down.tolist() == allowed(LEVEL, "fp_per_image<=0.3").tolist()


@pytest.mark.parametrize(
    "text",
    ["f1>=0.5", "precision<=0.5", "recall>=1", "alerts<=3", "fp_per_image<=0", "fp_per_image>=1"],
)
def test_what_cannot_be_certified_is_refused(text):
    with pytest.raises(UsageError):
        check((bound(text),), 0.95)
    with pytest.raises(UsageError):
        check((), 0.95)


def test_false_boxes_an_image_are_no_figure_of_rows():
    with pytest.raises(UsageError, match="of boxes in images"):
        parse_constraint("fp_per_image<=1")
