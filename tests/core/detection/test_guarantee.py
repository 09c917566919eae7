from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.decisions.objectives import parse_constraint
from calibcli.core.decisions.promises.means import hoeffding_bentkus
from calibcli.core.detection.guarantee import ByImage, certified, check
from calibcli.errors import UsageError

LEVEL = 0.1


def drawn(rng, images, sure=0.0):
    """Images of which some err in many boxes: those of one image are far from independent."""
    count = rng.poisson(3, images)
    image = np.repeat(np.arange(images), count)
    hard = rng.beta(1, 4, images)[image]
    score = rng.beta(4, 2, len(image))
    right = rng.uniform(size=len(image)) < np.clip(0.55 + 0.5 * score - hard + sure, 0, 1)
    order = np.argsort(-score, kind="stable")
    hits = np.bincount(image, right, images).astype(int)
    objects = hits + rng.binomial(2, 0.1, images)
    return ByImage(score[order], right[order], image[order], objects)


def plain_precision(found, threshold):
    shares = [
        found.right[mine].mean()
        for i in range(len(found.objects))
        if (mine := (found.image == i) & (found.score >= threshold)).any()
    ]
    return len(shares), float(np.mean(shares)) if shares else 0.0


@given(st.integers(0, 2**32 - 1))
def test_means_over_images_are_the_plain_ones(seed):
    found = drawn(np.random.default_rng(seed), 12)
    images, mean = found.mean_precision()
    number, recall = found.mean_recall()
    assert number == (found.objects > 0).sum()
    for k, threshold in enumerate(found.score, start=1):
        assert (images[k], mean[k]) == pytest.approx(plain_precision(found, threshold))
        shares = [
            found.right[:k][found.image[:k] == i].sum() / objects
            for i, objects in enumerate(found.objects)
            if objects
        ]
        assert recall[k] == pytest.approx(np.mean(shares) if shares else 0.0)
    assert images[0] == mean[0] == recall[0] == 0


def test_the_p_value_of_no_error_is_that_of_the_binomial():
    found = hoeffding_bentkus(np.array([1.0, 1.0, 0.5]), np.array([59, 58, 100]), 0.95)
    assert found[0] == pytest.approx(0.95**59)
    assert found[0] <= 0.05 < found[1]
    assert found[2] == 1.0


def test_p_values_are_valid_for_means_at_the_target():
    rng = np.random.default_rng(0)
    figures = rng.beta(9, 1, (4000, 80))  # of mean 0.9
    for target in (0.9, 0.93):
        p = hoeffding_bentkus(figures.mean(axis=1), np.full(4000, 80), target)
        for level in (0.05, 0.2):
            assert (p <= level).mean() <= level


@pytest.mark.parametrize("text", ["precision>=0.7", "recall>=0.8"])
def test_the_promise_is_kept_on_new_images(text):
    constraint = parse_constraint(text)
    population = drawn(np.random.default_rng(99), 40_000)
    grid = np.linspace(0.0, 1.0, 1001)
    place = np.searchsorted(-population.score, -grid, side="right")
    if constraint.name == "precision":
        truth = population.mean_precision()[1][place]
    else:
        truth = population.mean_recall()[1][place]
    broken = answered = 0
    for seed in range(200):
        found = drawn(np.random.default_rng(seed), 600)
        at = np.unique(found.score)
        sure = at[certified(found, (constraint,), LEVEL, at)]
        if not sure.size:
            continue
        answered += 1
        # The cut-off that makes most of the promise: it fails first.
        chosen = sure.min() if constraint.name == "precision" else sure.max()
        broken += truth[np.searchsorted(grid, chosen)] < constraint.target - 1e-3
    assert answered >= 120
    assert broken / 200 <= LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / 200)


def test_both_at_once_share_the_error():
    found = drawn(np.random.default_rng(3), 3000, sure=0.3)
    at = np.unique(found.score)
    both = tuple(map(parse_constraint, ("precision>=0.8", "fnr<=0.4")))
    each = [certified(found, (one,), LEVEL / 2, at) for one in both]
    assert certified(found, both, LEVEL, at).tolist() == (each[0] & each[1]).tolist()
    assert (each[0] & each[1]).any()


@pytest.mark.parametrize("text", ["f1>=0.5", "precision<=0.5", "recall>=1", "alerts<=3"])
def test_what_cannot_be_certified_is_refused(text):
    with pytest.raises(UsageError):
        check((parse_constraint(text),), 0.95)
    with pytest.raises(UsageError):
        check((), 0.95)
