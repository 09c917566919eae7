from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from calibcli.core.calibrators import Identity, Temperature
from calibcli.core.calibrators.classes.rows import Batches, RowBatch, deal
from calibcli.core.fitting.choice import one_standard_error
from calibcli.core.fitting.held_out import FoldLosses, HeldOut, cell_losses
from calibcli.core.numeric.scales import softmax
from calibcli.core.statistics.stats import ScoreStats


def test_the_rule_takes_the_simplest_within_one_paired_standard_error():
    scores = np.array([0.30, 0.21, 0.20, 0.205])
    errors = np.full((4, 4), 0.02)
    np.fill_diagonal(errors, 0.0)
    names = ["a", "b", "c", "d"]
    assert one_standard_error(names, scores, errors, [0, 1, 2, 3]).chosen == "b"
    assert one_standard_error(names, scores, errors, [0, 1, 2, 3], factor=6.0).chosen == "a"
    errors[:, 2] = errors[2] = [0.02, 0.005, 0.0, 0.01]
    assert one_standard_error(names, scores, errors, [0, 1, 2, 3]).chosen == "c"
    assert one_standard_error(names, scores, errors, [0, 1, 4, 3]).chosen == "d"


def test_errors_equal_a_row_by_row_computation():
    rng = np.random.default_rng(0)
    losses, w = rng.random((50, 3)), rng.random(50)
    held = HeldOut(3)
    held.add_rows(losses, w, w * w, np.zeros(50, np.int64))
    d = losses[:, 0] - losses[:, 2]
    mean = w @ d / w.sum()
    expected = np.sqrt(np.sum(w**2 * (d - mean) ** 2)) / w.sum()
    assert held.errors[0, 2] == pytest.approx(expected, rel=1e-10)
    assert held.losses == pytest.approx(w @ losses / w.sum())


def test_errors_of_clusters_by_hand():
    rng = np.random.default_rng(1)
    losses, bucket = rng.random((80, 2)), np.repeat(np.arange(8), 10)
    held = HeldOut(2, clustered=True)
    held.add_rows(losses, np.ones(80), np.ones(80), bucket)
    d = losses[:, 1] - losses[:, 0]
    residual = (d - d.mean()).reshape(8, 10).sum(axis=1)
    assert held.errors[0, 1] == pytest.approx(np.sqrt(8 / 7 * residual @ residual) / 80)
    assert held.units == 8


def test_an_error_lies_within_one_and_two_implied_ones():
    # Honest scores of one half and a map to .8: a row's loss differs by ±log(1.6 / .4) / 2.
    swing = np.log(0.8 / 0.2)
    implied = swing / 2 / np.sqrt(100)
    for ones, factor in ((50, 1.0), (100, 1.0), (90, 1.0)):
        stats = ScoreStats.from_arrays(np.full(100, 0.5), np.arange(100) < ones)
        held = HeldOut(2, (0,))
        p = [stats.score, np.full(1, 0.8)]
        held.add_cells(stats, [cell_losses(one, "nll") for one in p], p)
        assert held.errors[0, 1] == pytest.approx(factor * implied)
    certain = ScoreStats.from_arrays(np.full(100, 1e-12), np.arange(100) < 1)
    held = HeldOut(2, (1,))
    p = [certain.score, np.full(1, 0.01)]
    held.add_cells(certain, [cell_losses(one, "nll") for one in p], [p[1]])
    swing = np.log(0.01 / 1e-12) - np.log(0.99)
    assert held.errors[1, 0] <= 2 * swing * np.sqrt(0.01 * 0.99) / 10 * 1.001


def test_rows_and_cells_of_two_classes_agree_and_parts_merge():
    rng = np.random.default_rng(2)
    z = 2 * rng.standard_normal(400)
    y = rng.random(400) < expit(z / 2)
    stats = ScoreStats.from_arrays(z, y, logits=True)
    cells = HeldOut(2, (0, 1))
    p = [expit(stats.logit), expit(stats.logit / 2)]
    cells.add_cells(stats, [cell_losses(one, "nll") for one in p], p)
    bucket = np.arange(400) % 64
    rows = np.column_stack([np.zeros(400), z])
    batches = [
        RowBatch(rows[part], True, y[part].astype(np.int64), None, None, bucket[part])
        for part in np.array_split(np.arange(400), 3)
    ]
    maps = [[Identity(), Temperature(2.0)] for _ in range(5)]
    whole = FoldLosses(HeldOut(2, (0, 1)), maps, deal(5), "nll")
    for batch in batches:
        own = whole.fresh()
        own.add(batch)
        whole.merge(own)
    assert whole.held_out.losses == pytest.approx(cells.losses, rel=1e-12)
    assert whole.held_out.errors == pytest.approx(cells.errors, rel=1e-9)
    source = Batches(batches, 2, logits=True)
    again = source.scan(FoldLosses(HeldOut(2, (0, 1)), maps, deal(5), "nll"))
    assert again.held_out.errors == pytest.approx(cells.errors, rel=1e-9)


def test_the_scores_are_judged_as_they_are_measured():
    # A gap of 745 costs 745, and a probability of 1e-13 is not raised to the floor of fits.
    z = np.array([[745.0, 0.0], [0.0, 1.0]])
    label = np.array([1, 1])
    bucket = np.zeros(2, np.int64)
    maps = [[Identity(), Temperature(1.0)]]
    logits = Batches([RowBatch(z, True, label, None, None, bucket)], 2, logits=True)
    held = logits.scan(FoldLosses(HeldOut(2), maps, deal(1), "nll")).held_out
    assert held.losses[0] == pytest.approx((745 + np.log1p(np.exp(-1))) / 2)
    p = np.array([[1 - 1e-13, 1e-13], [0.5, 0.5]])
    rows = Batches([RowBatch(p, False, label, None, None, bucket)], 2, logits=False)
    held = rows.scan(FoldLosses(HeldOut(2), maps, deal(1), "nll")).held_out
    assert held.losses[0] == pytest.approx((-np.log(1e-13) + np.log(2)) / 2)


def test_errors_of_the_most_probable_class():
    z = softmax(np.random.default_rng(0).standard_normal((30, 3)))
    label = np.arange(30) % 3
    rows = Batches([RowBatch(z, False, label, None, None, np.zeros(30, np.int64))], 3, logits=False)
    maps = [[Identity(), Temperature(3.0)]]
    held = rows.scan(FoldLosses(HeldOut(2), maps, deal(1), "error")).held_out
    assert held.losses == pytest.approx([np.mean(z.argmax(axis=1) != label)] * 2)
    assert held.interval(1, 0.95) == (0.0, 0.0)
