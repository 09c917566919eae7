"""Rows to pairs: the only place that knows one task from another."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.statistics.keys import key_logits, key_probabilities
from calibcli.io.rows.dataset import RowBatch
from calibcli.tasks.pairs import pairs_of, row_buckets

INF = np.inf


def probabilities(pairs):
    return key_probabilities(pairs.flat.key)


def test_a_binary_row_is_one_pair():
    (pairs,) = pairs_of("binary", np.array([0.2, 0.9]), np.array([0, 1], np.int8), logits=False)
    assert probabilities(pairs).tolist() == [0.2, 0.9]
    assert pairs.label.tolist() == [False, True]
    assert (pairs.slot, pairs.repeat) == (None, 1)


def test_a_row_of_classes_is_its_confidence_and_one_pair_a_class():
    rows = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    top, classes = pairs_of("multiclass", rows, np.array([0, 1]), logits=False)
    assert probabilities(top).tolist() == [0.5, 0.8]
    assert top.label.tolist() == [True, False]
    assert top.slot.tolist() == [0, 2]  # by predicted class
    assert classes.flat.repeat == 3
    np.testing.assert_allclose(probabilities(classes), rows.reshape(-1), rtol=0, atol=0)
    assert classes.flat.slot.tolist() == [0, 1, 2, 0, 1, 2]
    assert classes.flat.label.tolist() == [True, False, False, False, True, False]


def test_labels_of_a_row_are_pairs_each():
    rows, labels = np.array([[0.5, 0.9]]), np.array([[1, 0]], np.int8)
    (pairs,) = pairs_of("multilabel", rows, labels, logits=False)
    assert probabilities(pairs).tolist() == [0.5, 0.9]
    assert (pairs.label.tolist(), pairs.slot.tolist()) == ([True, False], [0, 1])


def test_infinite_logits_are_certain():
    rows = np.array([[-INF, 0.0, 0.0], [INF, 0.0, -INF], [INF, INF, 0.0], [-INF, 7.0, -INF]])
    top, classes = pairs_of("multiclass", rows, np.array([0, 0, 0, 1]), logits=True)
    assert probabilities(classes).reshape(4, 3).tolist() == [
        [0, 0.5, 0.5], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0],
    ]  # fmt: skip
    assert probabilities(top).tolist() == [0.5, 1, 0.5, 1]
    (pairs,) = pairs_of("binary", np.array([-INF, INF]), np.array([0, 1]), logits=True)
    assert key_logits(pairs.key).tolist() == [-INF, INF]


def test_float32_rows_are_computed_in_float64():
    z = np.random.default_rng(0).normal(0, 5, (50, 4)).astype(np.float32)
    label = np.zeros(50, np.int64)
    for single, double in zip(
        pairs_of("multiclass", z, label, logits=True),
        pairs_of("multiclass", z.astype(np.float64), label, logits=True),
        strict=True,
    ):
        np.testing.assert_array_equal(single.flat.key, double.flat.key)


def test_the_predicted_class_of_rounded_rows_is_the_first_of_the_largest():
    rows = np.array([[0.4, 0.4, 0.2]])
    top, _ = pairs_of("multiclass", rows, np.array([1]), logits=False)
    assert (top.slot.tolist(), top.label.tolist()) == ([0], [False])


def _batch(rows, first_row=0, source=0, kept=None, cluster=None):
    return RowBatch(
        np.zeros(rows), None, None, None, (), cluster, first_row, "x", source, kept=kept
    )


def test_the_bucket_of_a_row_is_that_of_its_place():
    whole = row_buckets(_batch(100))
    np.testing.assert_array_equal(whole[60:], row_buckets(_batch(40, first_row=60)))
    kept = np.arange(0, 100, 3)
    np.testing.assert_array_equal(whole[kept], row_buckets(_batch(len(kept), kept=kept)))
    chosen = np.arange(100) % 2 == 1
    np.testing.assert_array_equal(whole[chosen], row_buckets(_batch(100).take(chosen)))
    assert (row_buckets(_batch(100, source=1)) != whole).any()


def test_buckets_are_about_even():
    count = np.bincount(row_buckets(_batch(64_000)), minlength=64)
    assert len(count) == 64
    assert count.min() > 800
    assert count.max() < 1200


def test_the_bucket_of_a_cluster_is_the_same_everywhere():
    cluster = np.repeat(np.arange(10, dtype=np.uint64), 5)
    one = row_buckets(_batch(50, cluster=cluster))
    other = row_buckets(_batch(50, first_row=1000, source=3, cluster=cluster))
    np.testing.assert_array_equal(one, other)
    assert all(len(set(one[cluster == c])) == 1 for c in range(10))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_every_row_has_one_pair_in_each_class(task):
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(4), 30)
    labels = rng.integers(0, 4, 30) if task == "multiclass" else rng.integers(0, 2, (30, 4))
    *_, classes = pairs_of(task, p, labels, logits=False)
    assert np.bincount(classes.flat.slot).tolist() == [30] * 4
