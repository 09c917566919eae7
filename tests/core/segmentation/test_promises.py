"""Mask rules certified in the mean over images: the figures that are meant, and that they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibcli.core.decisions.objectives import Objective, f1, parse_constraint
from calibcli.core.decisions.thresholds import Choice, choose
from calibcli.core.segmentation.promises import certified_masks, mask_means
from calibcli.core.segmentation.search import MaskFamily, flattened

AT = tuple((np.arange(1, 20) / 20).tolist())
AREAS = (0, 4)


def family(rng: np.random.Generator, images: int) -> MaskFamily:
    """Return candidates of images of 40 pixels, some of them harder than others."""
    z = rng.normal(0, 2, (images, 40)) + rng.normal(0, 0.7, (images, 1))
    label = rng.random(z.shape) < 1 / (1 + np.exp(-z + rng.normal(0, 0.8, (images, 1))))
    score = 1 / (1 + np.exp(-z))
    on = score[:, :, None] >= np.array(AT)
    few = on.sum(axis=1) < 4  # a mask of fewer pixels than the least area is left out
    right = np.stack([(on & label[:, :, None]).sum(axis=1)] * 2, axis=1)
    wrong = np.stack([(on & ~label[:, :, None]).sum(axis=1)] * 2, axis=1)
    for counts in (right, wrong):
        counts[:, 1][few] = 0
    pixels = np.full(images, 40)
    return flattened(
        AT, AREAS, (False,), right[:, :, None], wrong[:, :, None], label.sum(axis=1), pixels
    )


def test_means_are_those_of_images():
    own = family(np.random.default_rng(0), 30)
    for index in (0, 7, 25):
        wanted = parse_constraint("recall>=0"), parse_constraint("precision>=0")
        images, means = mask_means(own, wanted, index)
        some = own.positives > 0
        assert means[0] == pytest.approx((own.right[some, index] / own.positives[some]).mean())
        decided = own.right[:, index] + own.wrong[:, index]
        used = decided > 0
        assert means[1] == pytest.approx((own.right[used, index] / decided[used]).mean())
        assert images == min(some.sum(), used.sum())


def kept(text: str, draws: int) -> tuple[float, float]:
    """Return the shares of draws that were certified, and whose promise is broken."""
    rng, wanted = np.random.default_rng(draws), (parse_constraint(text),)
    large = family(rng, 20_000)
    truth = [mask_means(large, wanted, k)[1][0] for k in range(len(large.threshold))]
    certified = broken = 0
    for _ in range(draws):
        own = family(rng, 80)
        best = choose(own.whole, Objective("f1", f1), allowed=certified_masks(own, wanted, 0.9))
        if isinstance(best, Choice):
            certified += 1
            broken += not wanted[0].met(np.array(truth[best.index]))
    return certified / draws, broken / draws


@pytest.mark.parametrize("text", ["recall>=0.8", "precision>=0.65"])
def test_promises_are_kept(text):
    certified, broken = kept(text, 50)
    assert certified > 0.3
    assert broken <= 0.1 + 2 * math.sqrt(0.09 / 50)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["recall>=0.8", "precision>=0.65", "fpr<=0.3"])
def test_promises_are_kept_over_many_draws(text):
    certified, broken = kept(text, 1000)
    assert certified > 0.3
    assert broken <= 0.1 + 2 * math.sqrt(0.09 / 1000)
