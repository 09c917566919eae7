"""The estimated prevalence against the one that was drawn: coverage, clusters, and label shift."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.calibrators import Platt
from calibcli.core.comparison.label_shift import design_effect, map_error, mixture, prevalence
from calibcli.core.statistics.stats import ScoreStats


def drawn(rng, n, share, *, size=1, apart=1.0, shared=0.5):
    """Logits that are normal within a label; clusters of `size` rows share label and some noise."""
    y = np.repeat(rng.random(n // size) < share, size)
    common = np.repeat(rng.normal(size=n // size), size)
    noise = common if size > 1 else rng.normal(size=n)
    if size > 1:
        noise = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=n)
    z = np.where(y, apart, -apart) + noise
    return z, y, np.repeat(np.arange(n // size), size)


def pairs(z, y):
    return ScoreStats.from_arrays(z, y, logits=True)


def unlabelled(z, cluster=None):
    return ScoreStats.from_arrays(z, np.zeros(len(z)), logits=True, cluster=cluster)


@pytest.mark.slow
def test_the_interval_holds_the_truth_only_with_the_calibrators_own_error():
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    runs = 60
    for _ in range(runs):
        reference = pairs(*drawn(rng, 400, 0.3)[:2])
        current = unlabelled(drawn(rng, 6000, 0.15)[0])
        fitted = Platt.fit(reference)
        old = reference.positives / reference.n
        error = map_error(fitted, reference, current, None)
        for place, extra in enumerate((0.0, error)):
            found = prevalence(fitted, current, old, error=extra)
            held[place] += found.low[0] <= 0.15 <= found.high[0]
    assert held[0] / runs < 0.8
    assert held[1] / runs >= 0.88  # a 95% interval falls below one time in a hundred


def test_clusters_are_worth_fewer_rows():
    rng = np.random.default_rng(1)
    held = np.zeros(2)
    runs = 60
    exact = Platt(-2.0, -float(np.log(0.3 / 0.7)))  # the posterior of these normal logits
    for _ in range(runs):
        z, _, cluster = drawn(rng, 3000, 0.4, size=10)
        for place, own in enumerate((None, cluster)):
            found = prevalence(exact, unlabelled(z, own), 0.3)
            held[place] += found.low[0] <= 0.4 <= found.high[0]
    assert held[0] / runs < 0.7
    assert held[1] / runs >= 0.86


def test_without_clusters_there_is_no_design_effect():
    z, _, _ = drawn(np.random.default_rng(2), 1000, 0.4)
    current = unlabelled(z)
    assert design_effect(np.full(len(current.key), 0.5), current, 0.3) == 1.0
    alone = unlabelled(z, np.arange(1000))
    p = Platt(-2.0, 0.0).apply(alone.logit)
    assert design_effect(p, alone, 0.3) < 1.6


def test_a_known_width_of_the_map_widens_the_error():
    rng = np.random.default_rng(3)
    reference = pairs(*drawn(rng, 800, 0.3)[:2])
    current = unlabelled(drawn(rng, 2000, 0.15)[0])
    fitted = Platt.fit(reference)
    scores = np.linspace(0.1, 0.9, 9)
    plain = map_error(fitted, reference, current, None)
    assert map_error(fitted, reference, current, (scores, np.zeros(9))) == pytest.approx(plain)
    wide = map_error(fitted, reference, current, (scores, np.ones(9)))
    assert wide > 4 * plain


def test_a_mixture_of_the_same_labels_is_one_and_another_model_is_not():
    rng = np.random.default_rng(4)
    same, other = [], []
    for _ in range(60):
        reference = pairs(*drawn(rng, 3000, 0.3)[:2])
        same.append(mixture(reference, unlabelled(drawn(rng, 2000, 0.6)[0])).p)
        other.append(mixture(reference, unlabelled(drawn(rng, 2000, 0.6, apart=2.0)[0])).p)
    assert np.mean(np.array(same) < 0.1) <= 0.22  # 0.1 of them, with a margin of three errors
    assert max(other) < 1e-6


def test_clustered_rows_do_not_look_like_another_model():
    rng = np.random.default_rng(5)
    reference = pairs(*drawn(rng, 20_000, 0.3)[:2])
    found = []
    for _ in range(40):
        z, _, cluster = drawn(rng, 3000, 0.5, size=10, shared=0.95)
        found.append([mixture(reference, unlabelled(z, own)).p < 0.01 for own in (None, cluster)])
    apart, whole = np.mean(found, axis=0)
    assert apart > 0.5
    assert whole <= 0.15
