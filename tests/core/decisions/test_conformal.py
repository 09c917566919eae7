from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.decisions.conformal import (
    METHODS,
    ConformalSets,
    conformal_quantile,
    coverage_interval,
    nonconformity,
    parse_method,
    rows_for,
)
from calibcli.errors import InputError, UsageError


def rows(rng: np.random.Generator, n: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return over-confident probabilities and labels."""
    z = rng.normal(0, 1.5, (n, classes))
    truth = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    label = (truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    shown = np.exp(2 * z) / np.exp(2 * z).sum(axis=1, keepdims=True)
    return shown, label


@given(
    score=st.lists(st.integers(0, 5).map(float), min_size=1, max_size=40),
    coverage=st.sampled_from([0.5, 0.8, 0.9, 0.95, 1 - 0.07]),
)
def test_quantile_is_the_ceil_of_n_plus_one_times_coverage_th_smallest(
    score: list[float], coverage: float
) -> None:
    n = len(score)
    place = math.ceil(round((n + 1) * coverage, 9))
    expected = sorted(score)[place - 1] if place <= n else math.inf
    assert conformal_quantile(np.array(score), coverage) == expected
    distinct, count = np.unique(score, return_counts=True)
    assert conformal_quantile(distinct, coverage, count) == expected


def test_level_above_one_puts_every_class_in_the_set() -> None:
    p = np.full((8, 3), 1 / 3)
    fitted = ConformalSets.fit(p, np.zeros(8, dtype=int), 0.9)
    assert fitted.uninformative == ("",)
    assert fitted.sets(p).all()
    assert rows_for(0.9) == 9
    assert rows_for(0.95) == 19
    assert math.isfinite(conformal_quantile(np.arange(9.0), 0.9))
    assert math.isinf(conformal_quantile(np.arange(8.0), 0.9))


def test_scores_by_their_definitions() -> None:
    p = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])
    assert nonconformity(p, "lac") == pytest.approx(1 - p)
    aps = np.array([[1.0, 0.5, 0.8], [0.4, 1.0, 0.8]])
    assert nonconformity(p, "aps") == pytest.approx(aps)
    raps = nonconformity(p, "raps", penalty=0.1, free_rank=1)
    assert raps == pytest.approx(aps + 0.1 * np.array([[2, 0, 1], [0, 2, 1]]))


def test_true_class_at_the_quantile_is_in_the_set() -> None:
    p = np.array([[0.7, 0.3]] * 19)
    label = np.array([0] * 10 + [1] * 9)
    fitted = ConformalSets.fit(p, label, 0.95)
    assert fitted.quantiles[""] == 1 - 0.3
    assert fitted.sets(p).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [50, 300])
def test_marginal_coverage_is_as_promised(method: str, n: int) -> None:
    rng = np.random.default_rng([n, len(method)])
    covered = []
    for _ in range(150):
        p, label = rows(rng, n + 100)
        fitted = ConformalSets.fit(p[:n], label[:n], 0.9, method=method, penalty=0.05, free_rank=1)
        sets = fitted.sets(p[n:])
        covered.append(sets[np.arange(100), label[n:]].mean())
    error = 3 * np.std(covered) / math.sqrt(150)
    # The most probable class is always in a set of APS and RAPS, which can only cover more.
    over = 1 / (n + 1) if method == "lac" else 0.03
    assert 0.9 - error <= np.mean(covered) <= 0.9 + over + error


@pytest.mark.parametrize("method", ["aps", "raps"])
def test_sets_of_aps_and_raps_are_never_empty(method: str) -> None:
    sure, unsure = np.array([[0.97, 0.02, 0.01]]), np.array([[0.5, 0.3, 0.2]] * 20)
    fitted = ConformalSets.fit(unsure, np.zeros(20, np.int64), 0.9, method=method)
    assert fitted.quantiles[""] == 0.5
    assert fitted.sets(sure).tolist() == [[True, False, False]]


def test_class_conditional_coverage_holds_for_each_class() -> None:
    rng = np.random.default_rng(0)
    hits, seen = np.zeros(4), np.zeros(4)
    for _ in range(60):
        p, label = rows(rng, 800)
        p[:, 0] *= 0.3
        p /= p.sum(axis=1, keepdims=True)
        fitted = ConformalSets.fit(p[:400], label[:400], 0.9, by_class=True)
        inside = fitted.sets(p[400:])[np.arange(400), label[400:]]
        hits += np.bincount(label[400:], inside, minlength=4)
        seen += np.bincount(label[400:], minlength=4)
    assert np.all(hits / seen >= 0.9 - 0.012)
    assert np.all(hits / seen <= 0.93)


def test_group_conditional_coverage_holds_for_each_group() -> None:
    rng = np.random.default_rng(1)
    hits = {"a": 0.0, "b": 0.0}
    marginal = {"a": 0.0, "b": 0.0}
    for _ in range(60):
        p, label = rows(rng, 800)
        group = np.where(np.arange(800) % 4 == 0, "a", "b")
        wrong = (group == "a") & (rng.random(800) < 0.3)
        label = np.where(wrong, (label + 1) % 4, label)
        fitted = ConformalSets.fit(p[:400], label[:400], 0.9, group=group[:400])
        overall = ConformalSets.fit(p[:400], label[:400], 0.9)
        inside = fitted.sets(p[400:], group[400:])[np.arange(400), label[400:]]
        plain = overall.sets(p[400:])[np.arange(400), label[400:]]
        for name in hits:
            hits[name] += inside[group[400:] == name].mean() / 60
            marginal[name] += plain[group[400:] == name].mean() / 60
    assert all(0.885 <= share <= 0.925 for share in hits.values())
    assert marginal["a"] < 0.88


def test_coverage_of_one_calibration_lies_in_its_beta_interval() -> None:
    low, high = coverage_interval(200, 0.9, 0.9)
    rng = np.random.default_rng(2)
    covered = [conformal_quantile(rng.random(200), 0.9) for _ in range(1000)]
    inside = np.mean([(low <= c) & (c <= high) for c in covered])
    assert 0.87 <= inside <= 0.93
    assert coverage_interval(5, 0.9) == (1.0, 1.0)


def test_a_class_too_rare_is_in_every_set_and_named() -> None:
    p, label = rows(np.random.default_rng(3), 200)
    keep = (label != 2) | (np.cumsum(label == 2) <= 8)
    fitted = ConformalSets.fit(p[keep], label[keep], 0.9, by_class=True)
    assert fitted.uninformative == ("2",)
    assert fitted.rows["2"] == 8
    assert fitted.sets(p)[:, 2].all()
    assert not fitted.sets(p).all()


def test_unknown_group_gets_every_class() -> None:
    p, label = rows(np.random.default_rng(4), 100)
    fitted = ConformalSets.fit(p, label, 0.9, group=np.repeat(["x", "y"], 50))
    assert fitted.sets(p[:1], np.array(["z"])).all()
    with pytest.raises(InputError, match="group"):
        fitted.sets(p[:1])


@pytest.mark.parametrize("options", [{}, {"by_class": True}, {"group": np.arange(60) % 2}])
def test_dict_round_trip_is_exact(options: dict[str, Any]) -> None:
    p, label = rows(np.random.default_rng(5), 60)
    fitted = ConformalSets.fit(p, label, 0.95, method="raps", penalty=1 / 3, free_rank=2, **options)
    again = ConformalSets.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again == fitted


def test_batches_and_the_whole_fit_alike() -> None:
    p, label = rows(np.random.default_rng(6), 100)
    true = np.concatenate(
        [
            nonconformity(p[i : i + 7], "aps")[np.arange(len(label[i : i + 7])), label[i : i + 7]]
            for i in range(0, 100, 7)
        ]
    )
    whole = ConformalSets.fit(p, label, 0.9, method="aps")
    assert ConformalSets.from_scores(true, 0.9, classes=4, method="aps") == whole


def test_wrong_use_is_refused() -> None:
    p, label = rows(np.random.default_rng(7), 20)
    with pytest.raises(UsageError, match="coverage"):
        ConformalSets.fit(p, label, 90)
    with pytest.raises(UsageError, match="not both"):
        ConformalSets.fit(p, label, 0.9, by_class=True, group=label)
    with pytest.raises(UsageError, match="unknown conformal method") as error:
        parse_method("rasp")
    assert "raps" in (error.value.hint or "")
    with pytest.raises(UsageError, match="weights"):
        conformal_quantile(np.arange(3.0), 0.9, np.array([0.5, 1.0, 2.0]))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="4 classes"):
        ConformalSets.fit(p, label, 0.9).sets(p[:, :3])
