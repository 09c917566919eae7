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
    default_free_rank,
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
    aps = np.array([[0.8, 0.0, 0.5], [0.0, 0.8, 0.4]])
    assert nonconformity(p, "aps") == pytest.approx(aps)
    raps = nonconformity(p, "raps", penalty=0.1, free_rank=1)
    assert raps == pytest.approx(aps + 0.1 * np.array([[2, 0, 1], [0, 2, 1]]))
    assert nonconformity(p, "aps", inclusive=True) == pytest.approx(aps + p)
    for method in ("aps-randomised", "raps-randomised"):
        plain = nonconformity(p, method.removesuffix("-randomised"))
        share = (nonconformity(p, method) - plain) / p
        assert share == pytest.approx(np.tile(share[:, :1], 3))
        assert ((share >= 0) & (share < 1)).all()


def test_the_draw_of_a_row_is_its_own_and_uniform() -> None:
    p, _ = rows(np.random.default_rng(0), 20_000)
    draw = (nonconformity(p, "aps-randomised") - nonconformity(p, "aps"))[:, 0] / p[:, 0]
    assert np.histogram(draw, 10, (0, 1))[0] == pytest.approx(2000, abs=200)
    again = nonconformity(p[::-1], "aps-randomised")[::-1]
    assert np.array_equal(again, nonconformity(p, "aps-randomised"))


def test_impossible_classes_stay_out_of_sets() -> None:
    p = np.repeat([[1.0, 0, 0], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], 30, axis=0)
    label = np.repeat([0, 1, 2], 30)
    for method in ("aps", "raps"):
        fitted = ConformalSets.fit(p, label, 0.9, method=method)
        assert fitted.sets(np.array([[1.0, 0, 0]])).tolist() == [[True, False, False]]


def test_raps_differs_from_aps_where_it_is_asked_to() -> None:
    p, label = rows(np.random.default_rng(1), 2000, classes=8)
    aps, raps = (
        ConformalSets.fit(p, label, 0.95, method=method, penalty=0.2, free_rank=2)
        for method in ("aps", "raps")
    )
    assert raps.sets(p).sum(axis=1).max() < aps.sets(p).sum(axis=1).max()
    assert [default_free_rank(k) for k in (2, 3, 8, 100)] == [1, 1, 4, 5]


def test_artifacts_of_the_inclusive_score_decide_as_they_did() -> None:
    p, label = rows(np.random.default_rng(2), 200)
    old = ConformalSets.fit(p, label, 0.8, method="aps").to_dict()
    for name in ("inclusive", "held"):
        del old[name]
    old["quantiles"] = {"": 0.7}
    inside = ConformalSets.from_dict(old).sets(np.array([[0.9, 0.05, 0.03, 0.02]]))
    assert inside.tolist() == [[True, False, False, False]]
    kept = ConformalSets.from_dict(old).sets(np.array([[0.4, 0.3, 0.2, 0.1]]))
    assert kept.tolist() == [[True, True, False, False]]


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
    assert 0.9 - error <= np.mean(covered) <= 0.9 + 1 / (n + 1) + error


@pytest.mark.parametrize("method", ["aps", "raps"])
def test_sets_of_aps_and_raps_are_never_empty_and_cover_what_the_model_does(method: str) -> None:
    rng = np.random.default_rng(3)
    p, label = rows(rng, 4000, classes=3)
    right = (p.argmax(axis=1) == label).mean()
    fitted = ConformalSets.fit(p, label, right - 0.1, method=method)
    sets = fitted.sets(p)
    assert fitted.quantiles[""] == 0
    assert (sets.sum(axis=1) == 1).all()
    randomised = ConformalSets.fit(p, label, right - 0.1, method=f"{method}-randomised")
    inside = randomised.sets(p)
    assert inside[np.arange(4000), label].mean() == pytest.approx(right - 0.1, abs=0.002)
    assert (inside.sum(axis=1) == 0).any()


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


def test_ties_make_the_coverage_at_least_what_is_promised() -> None:
    rng = np.random.default_rng(4)
    rounded = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    inside = []
    for _ in range(400):
        score = rng.choice(rounded, 200)
        quantile = conformal_quantile(score, 0.85)
        held = int((score <= quantile).sum())
        low, high = coverage_interval(200, 0.85, 0.9, held=held)
        inside.append(low <= np.mean(np.array(rounded) <= quantile) <= high)
    assert np.mean(inside) >= 0.9
    assert coverage_interval(200, 0.85, 0.9, held=171) == coverage_interval(200, 0.85, 0.9)
    assert coverage_interval(20, 0.85, held=20)[1] == 1.0


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
