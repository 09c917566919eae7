"""Fits outside each fold, side by side, are those of the rows outside it by themselves."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.calibrators import (
    Dirichlet,
    Matrix,
    StructuredMatrix,
    StructuredVector,
    Vector,
)
from calibcli.core.calibrators.classes.regression import minimise
from calibcli.core.calibrators.classes.regression_problem import Problem, identity_map
from calibcli.core.calibrators.classes.regression_sums import Sums
from calibcli.core.calibrators.classes.rows import deal

REGRESSION = "calibcli.core.calibrators.classes.regression"
KINDS = (Vector, StructuredVector, StructuredMatrix, Matrix, Dirichlet)


def drawn(n, k, seed=0):
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((n, k))
    f = z * rng.uniform(0.4, 1.4, k) + rng.normal(0, 0.3, k)
    return z, (f + rng.gumbel(size=z.shape)).argmax(axis=1), rng.integers(0, 64, n)


@pytest.mark.parametrize("newton", [320, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_folds_side_by_side_equal_the_rows_outside_each(kind, newton, row_source, monkeypatch):
    monkeypatch.setattr(f"{REGRESSION}.NEWTON_PARAMETERS", newton)
    z, y, bucket = drawn(600, 4)
    w = np.random.default_rng(1).integers(0, 3, 600)
    rows, folds = row_source(z, y, w, bucket), deal(3)
    whole = kind.fit(rows)
    rows.passes = 0
    side_by_side = kind.fit_folds(rows, folds, whole)
    together, rows.passes = rows.passes, 0
    grid = np.random.default_rng(2).standard_normal((50, 4))
    close = 1e-9 if newton > 1 else 1e-4
    for fold, one in enumerate(side_by_side):
        alone = kind.fit(rows.outside(folds, fold), start=whole)
        assert one.apply(grid) == pytest.approx(alone.apply(grid), abs=close)
    assert together < 0.7 * rows.passes


def test_the_weights_outside_a_fold_are_those_of_its_rows(row_source):
    z, y, bucket = drawn(300, 3)
    w = np.random.default_rng(3).uniform(0.5, 2.0, 300)
    rows, folds = row_source(z, y, w, bucket), deal(5)
    for fold in range(5):
        found, alone = rows.outside_summary(folds, fold), rows.outside(folds, fold).summary
        assert found.classes == pytest.approx(alone.classes, rel=1e-12)
        assert found.effective == pytest.approx(alone.effective, rel=1e-12)


def test_products_of_many_classes_in_float32_change_nothing_that_counts(row_source, monkeypatch):
    z, y, bucket = drawn(500, 24)
    rows = row_source(z, y, None, bucket)
    penalty = np.full((24, 25), 60.0)
    problem = Problem(rows, lambda x: x, penalty, identity_map(24))
    exact = minimise(problem)
    monkeypatch.setattr("calibcli.core.calibrators.classes.regression_sums.WIDE", 8)
    monkeypatch.setattr(f"{REGRESSION}.WIDE", 8)
    theta = exact + 0.01 * np.random.default_rng(4).standard_normal(exact.shape)
    rounded, rows.passes = minimise(problem, theta), 0
    lost = rows.scan(Sums(problem, rounded)).step().value
    monkeypatch.undo()
    assert lost - rows.scan(Sums(problem, exact)).step().value < 2e-4
    assert rounded == pytest.approx(exact, abs=2e-4)


@pytest.mark.parametrize("kind", [StructuredMatrix, Matrix, Dirichlet])
@pytest.mark.parametrize("wide", [256, 8], ids=["float64", "float32"])
def test_entries_of_the_curvature_lead_to_the_same_optimum(kind, wide, row_source, monkeypatch):
    z, y, bucket = drawn(3000, 20)
    rows = row_source(z - np.log(np.exp(z).sum(axis=1, keepdims=True)), y, None, bucket)
    grid = 2 * np.random.default_rng(2).standard_normal((50, 20))
    blocks = kind.fit(rows)
    monkeypatch.setattr(f"{REGRESSION}.BLOCK_WORK", 0.0)
    monkeypatch.setattr(f"{REGRESSION}.WIDE", wide)
    monkeypatch.setattr(f"{REGRESSION}_sums.WIDE", wide)
    entries = kind.fit(rows)
    assert entries.apply(grid) == pytest.approx(blocks.apply(grid), abs=2e-4)


def test_few_steps_lead_from_the_means_of_the_features_to_the_end(row_source, monkeypatch):
    z, y, bucket = drawn(4000, 40)
    rows = row_source(z, y, None, bucket)
    monkeypatch.setattr(f"{REGRESSION}.BLOCK_WORK", 0.0)
    rows.passes = 0
    StructuredMatrix.fit(rows)
    assert rows.passes <= 40  # with the diagonal alone 390
