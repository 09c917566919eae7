from __future__ import annotations

import json
import math
from functools import reduce
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.decisions.thresholds import Curve
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.registry import METRICS
from calibcli.core.numeric.scales import EPS, expit
from calibcli.core.statistics.counting import tally
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import BUCKETS, ScoreStats, buckets_of
from calibcli.errors import InputError
from calibcli.io.artifacts.stats import stats_from_dict, stats_to_dict

EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
scores = (
    st.integers(0, 60).map(lambda i: 0.3 + i * 1e-5)
    | st.integers(0, 8).map(lambda i: i / 8)
    | st.sampled_from([1e-40, 1 - 2**-53])
)
rows = st.lists(st.tuples(scores, st.booleans(), st.integers(0, 30)), min_size=1, max_size=60)
limits = pytest.mark.parametrize("limit", [4, 10**6], ids=["grid", "exact"])


def of_rows(data: list[Any], *, clusters: bool = False, **options: Any) -> ScoreStats:
    score, label, cluster = (np.array(c) for c in zip(*data, strict=True))
    own = cluster if clusters else None
    return ScoreStats.from_arrays(score, label, cluster=own, edges=EDGES, **options)


def same(a: ScoreStats, b: ScoreStats) -> bool:
    def columns(stats: ScoreStats) -> list[Any]:
        tables = [stats.table, *([] if stats.parts is None else [stats.parts])]
        return [
            None if c is None else c.tolist()
            for t in tables
            for c in (t.slot, t.key, t.pos, t.neg, t.offset, t.pos_sq, t.neg_sq)
        ] + [t.bits for t in tables]

    return columns(a) == columns(b) and a.digest() == b.digest()


def random_stats(n: int = 5000, seed: int = 0, *, clusters: int = 0, **options: Any) -> ScoreStats:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 0.9, n)
    y = rng.random(n) < expit(1.3 * np.log(p / (1 - p)) + 0.2)
    cluster = rng.integers(0, clusters, n) if clusters else None
    return ScoreStats.from_arrays(p, y, cluster=cluster, edges=EDGES, **options)


def grid_mode() -> Any:
    return mock.patch.object(tally, "EXACT_CELLS", 100)


# -- cells ---------------------------------------------------------------------------------------


def test_cells_are_the_distinct_scores_in_order() -> None:
    stats = ScoreStats.from_arrays([0.7, 0.2, 0.7, 0.2, 0.5], [1, 0, 0, 0, 1])
    assert stats.score.tolist() == [0.2, 0.5, 0.7]
    assert (stats.pos.tolist(), stats.neg.tolist()) == ([0, 1, 1], [2, 0, 1])
    assert (stats.n, stats.positives, stats.negatives) == (5, 2, 3)
    assert all(isinstance(v, int) for v in (stats.n, stats.positives, stats.certain_errors))
    assert stats.exact
    assert np.array_equal(stats.floor, stats.score)


def test_logits_give_both_their_probability_and_themselves() -> None:
    z = np.array([-np.inf, -100.0, -40.0, -1.0, 0.0, 1.0, 40.0, 100.0, np.inf])
    stats = ScoreStats.from_arrays(z, np.ones(9), logits=True)
    assert stats.logit[1:-1] == pytest.approx(z[1:-1], abs=1e-12)
    assert stats.score == pytest.approx(expit(z), abs=1e-16)
    assert np.isfinite(stats.logit).all()
    assert (np.diff(stats.logit) > 0).all()


def test_logits_of_probabilities_are_clipped_on_both_sides_alike() -> None:
    stats = ScoreStats.from_arrays([0.0, 1e-20, 0.5, 1.0], [0, 0, 1, 1])
    limit = math.log((1 - EPS) / EPS)
    assert stats.logit == pytest.approx([-limit, -limit, 0.0, limit])


@pytest.mark.parametrize("z", [-60.0, -45.0, 45.0, 60.0])
def test_logits_far_in_a_tail_survive_a_grid(z: float) -> None:
    with grid_mode():
        body = np.random.default_rng(0).normal(0, 3, 1000)
        stats = ScoreStats.from_arrays([*body, z], np.ones(1001), logits=True)
    assert not stats.exact
    assert stats.logit[0 if z < 0 else -1] == pytest.approx(z, abs=0.01)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50), st.booleans())
def test_float32_scores_equal_their_float64_promotion(values: list[float], logits: bool) -> None:
    narrow = np.array(values, np.float32)
    labels = np.arange(len(values)) % 2
    a = ScoreStats.from_arrays(narrow, labels, logits=logits)
    b = ScoreStats.from_arrays(narrow.astype(np.float64), labels, logits=logits)
    assert same(a, b)


@limits
def test_weights_of_1_equal_no_weights(limit: int) -> None:
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        rng = np.random.default_rng(3)
        p, y = rng.random(300), rng.integers(0, 2, 300)
        plain = ScoreStats.from_arrays(p, y)
        ones = ScoreStats.from_arrays(p, y, np.ones(300))
    assert ones.weighted
    for name in ("key", "pos", "neg", "score"):
        assert np.array_equal(getattr(plain, name), getattr(ones, name))
    for name, metric in METRICS.items():
        if not name.startswith(("spiegelhalter", "hosmer", "miscalibration_p")):
            found = [metric(View(s, Binning())) for s in (plain, ones)]
            assert found[0] == pytest.approx(found[1], rel=1e-12), name


@pytest.mark.slow
@limits
@given(data=rows, seed=st.integers(0, 999))
def test_integer_weights_equal_repeated_rows(data: list[Any], seed: int, limit: int) -> None:
    count = np.random.default_rng(seed).integers(0, 4, len(data))
    count[0] += 1
    repeated = [row for row, c in zip(data, count, strict=True) for _ in range(c)]
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        assert same(of_rows(data, clusters=True, weight=count), of_rows(repeated, clusters=True))


# -- merge ---------------------------------------------------------------------------------------


@pytest.mark.slow
@limits
@pytest.mark.parametrize("clusters", [False, True])
@given(data=rows, cuts=st.lists(st.integers(0, 60), max_size=3), order=st.randoms())
def test_merge_of_any_partition_in_any_order_is_the_whole(
    data: list[Any], cuts: list[int], order: Any, clusters: bool, limit: int
) -> None:
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        whole = of_rows(data, clusters=clusters)
        order.shuffle(data)
        ends = sorted({0, *(c % len(data) for c in cuts), len(data)})
        parts = [of_rows(data[a:b], clusters=clusters) for a, b in pairwise(ends)]
        order.shuffle(parts)
        merged = reduce(ScoreStats.merge, parts)
    assert same(merged, whole)
    assert merged.losses == pytest.approx(whole.losses, rel=1e-12)


def test_merge_crosses_from_exact_cells_to_a_grid() -> None:
    with grid_mode():
        rng = np.random.default_rng(0)
        p, y = rng.random(180), rng.integers(0, 2, 180)
        halves = [ScoreStats.from_arrays(p[i::2], y[i::2], edges=EDGES) for i in (0, 1)]
        assert all(half.exact for half in halves)
        whole = ScoreStats.from_arrays(p, y, edges=EDGES)
        merged = halves[0].merge(halves[1])
    assert not merged.exact
    assert same(merged, whole)


def test_nothing_is_neutral_in_a_merge() -> None:
    nothing = ScoreStats.from_arrays([], [], edges=EDGES)
    stats = random_stats(50, clusters=10)
    assert same(stats.merge(nothing), stats)
    assert same(nothing.merge(stats), stats)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"logits": True}, "logits"),
        ({"weight": [1.0]}, "weighted"),
        ({"edges": (0.0, 0.5, 1.0)}, "edges"),
        ({"cluster": [1]}, "clusters"),
    ],
)
def test_what_counts_differently_is_not_merged(other: dict[str, Any], word: str) -> None:
    one = ScoreStats.from_arrays([0.5], [1], edges=other.get("edges", EDGES)[:0])
    two = ScoreStats.from_arrays([0.5], [1], **other)
    with pytest.raises(InputError, match=word):
        one.merge(two)


def test_the_digest_tells_other_rows_but_not_other_bins() -> None:
    p, y = [0.1, 0.2, 0.9], [0, 1, 1]
    digest = ScoreStats.from_arrays(p, y).digest()
    assert digest == ScoreStats.from_arrays(p[::-1], y[::-1], edges=EDGES).digest()
    for scores_, labels in (([0.1, 0.2, 0.8], y), (p, [0, 1, 0]), (p * 2, y * 2)):
        assert digest != ScoreStats.from_arrays(scores_, labels).digest()


# -- sums ----------------------------------------------------------------------------------------


def test_losses_of_cells_equal_losses_of_rows() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(0, 30, 500)
    y = rng.integers(0, 2, 500)
    stats = ScoreStats.from_arrays(z, y, logits=True)
    assert stats.log_loss_sum == pytest.approx(np.logaddexp(0, np.where(y, -z, z)).sum(), rel=1e-13)
    positive, negative = stats.cell_losses()
    assert positive == pytest.approx(np.logaddexp(0, -stats.logit), rel=1e-12)
    assert negative == pytest.approx(np.logaddexp(0, stats.logit), rel=1e-12)


def test_losses_are_exact_in_a_grid() -> None:
    exact = random_stats()
    with grid_mode():
        rough = random_stats()
    assert not rough.exact
    assert rough.squared_loss_sum == pytest.approx(exact.squared_loss_sum, rel=1e-12)
    assert rough.log_loss_sum == pytest.approx(exact.log_loss_sum, rel=1e-12)
    assert rough.certain_errors == exact.certain_errors


@limits
def test_certain_errors_are_counted(limit: int) -> None:
    p = np.concatenate([[0.0, 0.0, 1.0, 1.0, 1.0, 1e-300], np.linspace(0.1, 0.9, 200)])
    y = np.concatenate([[1, 0, 0, 0, 1, 1], np.ones(200)])
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        assert ScoreStats.from_arrays(p, y).certain_errors == 3


# -- clusters -------------------------------------------------------------------------------------


def row_sums(score: Any, label: Any, cluster: Any, f: Any, g: Any) -> Any:
    """The sum over the rows of each bucket of f(score) for positives and g(score) for negatives."""
    bucket = np.unique(buckets_of(cluster), return_inverse=True)[1]
    return np.bincount(bucket, weights=np.where(label, f(score), g(score)))


@pytest.mark.parametrize("limit", [100, 700, 10**6])
def test_bucket_sums_equal_sums_over_rows(limit: int) -> None:
    # 100: cells and buckets in a grid; 700: only the cells would be; then neither.
    rng = np.random.default_rng(0)
    p, cluster = rng.random(2000), rng.integers(0, 500, 2000)
    y = rng.random(2000) < p
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        stats = ScoreStats.from_arrays(p, y, cluster=cluster)
    assert stats.exact == (limit > 2000)
    found = stats.bucket_sums(stats.score**2, -stats.score)
    expected = row_sums(p, y, cluster, np.square, np.negative)
    assert found == pytest.approx(expected, abs=1e-12 if stats.exact else 0.3)
    columns = np.stack([stats.score**2, np.ones(len(stats.score))], axis=1)
    both = stats.bucket_sums(columns, columns * [-1, 1])
    assert both[:, 1] == pytest.approx(np.bincount(buckets_of(cluster)))


@limits
def test_buckets_sum_to_the_cells(limit: int) -> None:
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        stats = random_stats(2000, clusters=300)
    assert stats.parts is not None
    home = stats.part_cells()
    cells, index = np.unique(stats.parts.key, return_inverse=True)
    for name in ("pos", "neg"):
        ours = np.bincount(home, weights=getattr(stats, name), minlength=len(cells))
        theirs = np.bincount(index, weights=getattr(stats.parts, name))
        assert np.array_equal(ours, theirs)


def test_buckets_are_even_and_fixed() -> None:
    bucket = buckets_of(np.arange(64_000))
    counts = np.bincount(bucket, minlength=BUCKETS)
    assert len(counts) == BUCKETS
    assert counts.min() > 800
    assert (
        buckets_of(np.array([0, 1, 2, -1])).tolist()
        == buckets_of(np.array([0, 1, 2, 2**64 - 1], np.uint64)).tolist()
    )


# -- map -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "weighted", "clusters"])
def test_map_equals_the_statistics_of_mapped_rows(kind: str) -> None:
    rng = np.random.default_rng(0)
    p, y = np.round(rng.random(800), 2), rng.integers(0, 2, 800)
    weight = rng.integers(1, 30, 800) / 7 if kind == "weighted" else None
    cluster = rng.integers(0, 90, 800) if kind == "clusters" else None

    def falling(x: Any) -> Any:  # neither increasing nor one-to-one
        return np.round(np.abs(x - 0.4), 1) + 1e-3

    stats = ScoreStats.from_arrays(p, y, weight, cluster=cluster)
    mapped = stats.map(falling(stats.score))
    expected = ScoreStats.from_arrays(falling(p), y, weight, cluster=cluster)
    assert mapped.key.tolist() == expected.key.tolist()
    assert mapped.pos == pytest.approx(expected.pos, rel=1e-12)
    assert mapped.loss_sums == pytest.approx(expected.loss_sums, rel=1e-10)
    if cluster is not None:
        assert same(mapped, expected)
        positive, negative = (1 - mapped.score) ** 2, mapped.score**2
        found = mapped.bucket_sums(positive, negative)
        assert found == pytest.approx(
            row_sums(falling(p), y, cluster, lambda s: (1 - s) ** 2, np.square)
        )


def test_map_of_weighted_clusters_keeps_buckets_and_cells_in_step() -> None:
    # A weighted mean of one number can differ from it in the last digit.
    rng = np.random.default_rng(0)
    p, cluster = rng.random(500), np.arange(500)
    stats = ScoreStats.from_arrays(p, p > 0.5, rng.random(500), cluster=cluster)
    mapped = stats.map(0.9 * stats.score**1.3 + 0.01)
    assert mapped.parts is not None
    assert np.array_equal(np.unique(mapped.parts.key), mapped.key)


def test_map_in_a_grid_keeps_the_rows_of_each_bucket() -> None:
    with grid_mode():
        stats = random_stats(20_000, clusters=900)
        mapped = stats.map(expit(0.8 * stats.logit + 0.3))
        ones = np.ones(len(mapped.score))
        before = stats.bucket_sums(np.ones(len(stats.score)), np.zeros(len(stats.score)))
        assert mapped.bucket_sums(ones, 0 * ones) == pytest.approx(before)
        assert mapped.n == stats.n


# -- split ---------------------------------------------------------------------------------------


def split_cases() -> Any:
    return pytest.mark.parametrize(
        "options", [{}, {"clusters": 200}, {"weight": "w"}, {"clusters": 200, "weight": "w"}]
    )


@limits
@split_cases()
def test_parts_sum_to_the_whole(options: dict[str, Any], limit: int) -> None:
    options = dict(options)
    if options.get("weight"):
        options["weight"] = np.random.default_rng(1).integers(1, 9, 3000) / 8
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        stats = random_stats(3000, **options)
        parts = stats.split(5, seed=1)
        assert len(parts) == 5
        total = reduce(ScoreStats.merge, parts)
        assert total.n == pytest.approx(stats.n, rel=1e-12)
        assert total.positives == pytest.approx(stats.positives, rel=1e-12)
        if not stats.weighted and stats.parts is None:
            assert total.digest() == stats.digest()
        if stats.weighted and stats.table.pos_sq is not None:
            squares = sum(float(p.table.pos_sq.sum()) for p in parts)  # type: ignore[union-attr]
            assert squares == pytest.approx(stats.table.pos_sq.sum(), rel=1e-9)
        for part in parts:
            assert part.n == pytest.approx(stats.n / 5, rel=0.35 if stats.parts else 0.1)
            assert (part.total > 0).all()


@limits
@split_cases()
def test_the_rest_of_the_rows_is_the_other_parts_merged(
    options: dict[str, Any], limit: int
) -> None:
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        options = dict(options)
        if options.get("weight"):
            options["weight"] = np.random.default_rng(1).integers(1, 9, 3000) / 8
        stats = random_stats(3000, **options)
        parts = stats.split(5, seed=1)
        for held in range(5):
            found = stats.rest(parts, held)
            merged = reduce(ScoreStats.merge, parts[:held] + parts[held + 1 :])
            assert same(found, merged)
            assert found.loss_sums == merged.loss_sums
            np.testing.assert_array_equal(found.score, merged.score)


def test_parts_are_the_same_for_the_same_seed_only() -> None:
    for clusters in (0, 300):
        stats = random_stats(2000, clusters=clusters)
        one, again, other = (stats.split(5, seed) for seed in (7, 7, 8))
        assert [p.digest() for p in one] == [p.digest() for p in again]
        assert [p.digest() for p in one] != [p.digest() for p in other]


def test_folds_are_equally_large_and_both_labels_are_balanced() -> None:
    stats = random_stats(1003)
    parts = stats.split(4, seed=0)
    for counts in ([p.positives for p in parts], [p.negatives for p in parts]):
        assert max(counts) - min(counts) <= 1


def test_folds_keep_clusters_whole() -> None:
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, 100, 3000)
    p = (cluster + rng.random(3000)) / 101  # tells the cluster
    stats = ScoreStats.from_arrays(p, rng.integers(0, 2, 3000), cluster=cluster)
    homes: dict[int, set[int]] = {}
    for fold, part in enumerate(stats.split(5, seed=3)):
        for one in np.floor(part.score * 101).astype(int).tolist():
            homes.setdefault(one, set()).add(fold)
    assert len(homes) == 100
    assert all(len(folds) == 1 for folds in homes.values())


def test_a_deal_of_rows_is_as_random_as_a_shuffle() -> None:
    # The positives of a cell of 40 rows in the first of two folds are hypergeometric.
    stats = ScoreStats.from_arrays(np.repeat([0.3, 0.6], [40, 160]), np.tile([0, 1], 100))
    drawn = [stats.split(2, seed)[0] for seed in range(400)]
    first = np.array([part.pos[part.score == 0.3].sum() for part in drawn])
    expected = 20 * 0.5 * 0.5 * 80 / 99  # variance of 50 drawn out of 100, 20 of them here
    assert first.mean() == pytest.approx(10, abs=4 * math.sqrt(expected / 400))
    assert first.var() == pytest.approx(expected, rel=0.3)


def test_weights_of_1_are_dealt_like_rows() -> None:
    p, y = np.repeat([0.2, 0.7], 50), np.tile([0, 1], 50)
    plain = ScoreStats.from_arrays(p, y).split(5, seed=2)
    ones = ScoreStats.from_arrays(p, y, np.ones(100)).split(5, seed=2)
    for a, b in zip(plain, ones, strict=True):
        assert a.pos.tolist() == b.pos.tolist()
        assert a.neg.tolist() == b.neg.tolist()


def test_tied_weighted_rows_reach_every_fold() -> None:
    stats = ScoreStats.from_arrays(np.full(100, 0.5), np.tile([0, 1], 50), np.full(100, 0.25))
    assert [part.n for part in stats.split(5, seed=0)] == pytest.approx([5.0] * 5)


def test_more_rows_than_numpy_can_deal_exactly() -> None:
    count = np.array([3 * 10**9, 10**9, 5])
    stats = ScoreStats.from_arrays([0.1, 0.5, 0.9], [1, 1, 1], count)
    parts = stats.split(4, seed=0)
    assert reduce(ScoreStats.merge, parts).pos.tolist() == count.tolist()
    assert [part.n for part in parts] == pytest.approx([10**9] * 4, rel=1e-3)


@pytest.mark.parametrize("labels", [[], [1], [0, 0]])
def test_splitting_almost_nothing(labels: list[int]) -> None:
    stats = ScoreStats.from_arrays([0.5] * len(labels), labels)
    assert sum(part.n for part in stats.split(5, seed=0)) == len(labels)


# -- JSON ----------------------------------------------------------------------------------------


@limits
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clusters", [0, 80])
def test_json_round_trip_is_exact(clusters: int, weighted: bool, limit: int) -> None:
    weight = np.random.default_rng(1).random(700) if weighted else None
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        stats = random_stats(700, clusters=clusters, weight=weight)
        text = json.dumps(stats_to_dict(stats), allow_nan=False)
        back = stats_from_dict(json.loads(text))
        assert same(back, stats)
        assert back.losses == stats.losses
        assert (back.logits, back.weighted, back.edges) == (stats.logits, stats.weighted, EDGES)
        assert same(back.merge(stats), stats.merge(stats))
        assert json.dumps(stats_to_dict(back)) == text


@pytest.mark.parametrize("logits", [False, True])
def test_json_keeps_both_tails_and_every_corner(logits: bool) -> None:
    values = [0.0, 5e-324, 1e-300, 0.1, 0.5, 1 - 2**-53, 1.0]
    values = [-np.inf, -800, -40.0, -1e-3, 0.0, 1.0, 40.0, 700.0, np.inf] if logits else values
    stats = ScoreStats.from_arrays(values, np.arange(len(values)) % 2, logits=logits)
    back = stats_from_dict(json.loads(json.dumps(stats_to_dict(stats), allow_nan=False)))
    assert back.key.tolist() == stats.key.tolist()
    assert back.logit.tolist() == stats.logit.tolist()


def test_json_of_no_rows() -> None:
    for weight in (None, np.zeros(0)):
        stats = ScoreStats.from_arrays([], [], weight, cluster=np.zeros(0, int))
        back = stats_from_dict(json.loads(json.dumps(stats_to_dict(stats))))
        assert back.n == 0
        assert back.pos.dtype == stats.pos.dtype


def damaged() -> dict[str, Any]:
    def change(**cells: Any) -> dict[str, Any]:
        payload = stats_to_dict(
            ScoreStats.from_arrays([0.1, 0.2, 0.9], [0, 1, 1], cluster=[1, 2, 3])
        )
        payload["cells"] |= cells
        return payload

    plain = change()
    return {
        "missing": {k: v for k, v in plain.items() if k != "losses"},
        "not a dict": plain | {"cells": [1, 2]},
        "short column": change(pos=[1]),
        "negative count": change(pos=[0, -1, 1]),
        "fractional count": change(neg=[0.5, 0.0, 0.0]),
        "text": change(pos=["a", "b", "c"]),
        "score above one half": change(score=[0.1, 0.7]),
        "negative score": change(score=[-0.1, 0.2]),
        "not a number": change(score=[0.1, float("nan")]),
        "out of order": change(score=[0.2, 0.1]),
        "twice": change(score=[0.1, 0.1]),
        "unknown grid": change(bits=40, offset=[0, 0, 0]),
        "not a cell of the grid": change(bits=10, offset=[0, 0, 0]),
        "unknown bucket": plain | {"buckets": plain["buckets"] | {"bucket": [1, 2, 64]}},
        "huge": change(pos=[0, 10**30, 1]),
        "two losses": plain | {"losses": [1.0, 2.0]},
        "edge": plain | {"edges": [0.0, 2.0]},
    }


@pytest.mark.parametrize("name", list(damaged()))
def test_damaged_statistics_are_an_input_error(name: str) -> None:
    with pytest.raises(InputError, match="damaged"):
        stats_from_dict(damaged()[name])


# -- logits ----------------------------------------------------------------------------------------


def test_logits_beyond_37_and_beyond_745_are_distinct_scores() -> None:
    z = np.array([38.0, 39.0, 40.0, 41.0, 42.0])
    stats = ScoreStats.from_arrays(z, z >= 40, logits=True)
    assert stats.cut.tolist() == z.tolist()
    assert (stats.score == 1.0).all()
    curve = Curve.from_cells(stats.cut, stats.pos, stats.neg)
    assert (curve.at(40.0).tp, curve.at(40.0).fp) == (3, 0)
    wide = np.array([-1e300, -2000.0, -800.0, -746.0, 0.0, 746.0, 2000.0])
    stats = ScoreStats.from_arrays(wide, wide > -800, logits=True, cluster=np.arange(7))
    assert stats.cut.tolist() == stats.logit.tolist() == wide.tolist()
    assert METRICS["auc"](View(stats, Binning())) == 1.0
    assert sum(part.n for part in stats.split(3, seed=0)) == stats.n == 7


def test_infinite_logits_are_read_as_no_more_than_the_largest_finite_one() -> None:
    infinite = ScoreStats.from_arrays([-np.inf, 1.0, np.inf], [0, 1, 1], logits=True)
    assert infinite.logit[0] == -infinite.logit[2] == pytest.approx(-690.8, abs=0.1)
    wider = ScoreStats.from_arrays([-np.inf, 1e4, np.inf], [0, 1, 1], logits=True)
    assert wider.logit.tolist() == [-1e4, 1e4, 1e4]
    back = stats_from_dict(json.loads(json.dumps(stats_to_dict(wider), allow_nan=False)))
    assert back.cut.tolist() == [-np.inf, 1e4, np.inf]
    assert back.certain_errors == 0


def test_logits_and_places_of_logits_can_be_merged() -> None:
    z, y = np.array([-800.0, -1.0, 0.5, 40.0, 41.0]), [0, 1, 0, 1, 0]
    stats = ScoreStats.from_arrays(z, y, logits=True, cluster=np.arange(5))
    placed = stats.by_place()
    assert len(placed.key) == 5
    for one, other in ((stats, placed), (placed, stats)):
        total = one.merge(other)
        assert total.n == 10
        assert total.log_loss_sum == pytest.approx(
            2 * np.logaddexp(0, [-800, 1, 0.5, -40, 41]).sum()
        )
        assert len(total.places.buckets) == len(stats.places.buckets)
