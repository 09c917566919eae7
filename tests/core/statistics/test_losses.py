from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from calibcli.core.statistics.cell_table import exact_cells
from calibcli.core.statistics.keys import key_places, logit_keys, probability_keys
from calibcli.core.statistics.losses import (
    log_loss_sum,
    row_losses,
    slot_losses,
    table_losses,
)

RNG = np.random.default_rng(0)
FAR = np.array([0.0, 1e-300, 1e-17, 1e-15, 0.5, 1 - 1e-16, 1.0])


def by_hand(p: Any, label: Any, weight: Any) -> list[float]:
    """Sums in exact arithmetic (fsum), one row at a time; a finite loss is clipped at 1e-15."""
    truth = [a if y else 1 - a for a, y in zip(p.tolist(), label.tolist(), strict=True)]
    pairs = list(zip(truth, weight, strict=True))
    return [
        math.fsum(w * (1 - t) ** 2 for t, w in pairs),
        math.fsum(-w * math.log(max(t, 1e-15)) for t, w in pairs if t > 0),
        math.fsum(w for t, w in pairs if t == 0),
        0.0,
    ]


@pytest.mark.parametrize("rows", [1, 15, 1000, 16_384, 50_001])
@pytest.mark.parametrize("ends", [False, True])
def test_products_of_probabilities_give_the_sum_of_the_logarithms(rows: int, ends: bool) -> None:
    p = RNG.beta(0.3, 0.3, rows).clip(1e-12, 1 - 1e-12)
    if ends:
        p[:: max(rows // 40, 1)] = RNG.choice(FAR, len(p[:: max(rows // 40, 1)]))
    label = RNG.random(rows) < 0.5
    found = row_losses(probability_keys(p), label, None)
    assert found == pytest.approx(by_hand(p, label, np.ones(rows)), rel=1e-13, abs=1e-13)
    weight = RNG.integers(1, 9, rows)
    found = row_losses(probability_keys(p), label, weight)
    assert found == pytest.approx(by_hand(p, label, weight), rel=1e-13, abs=1e-13)


def of_logits(z: Any, label: Any, weight: Any = None) -> Any:
    key = logit_keys(z)
    return row_losses(key_places(key, logits=True), label, weight, z)


def test_logits_lose_nothing_in_any_tail() -> None:
    z = np.concatenate([RNG.normal(0, 200, 40_000), np.full(40_000, 40.0), [-1e5, 2e6]])
    label = np.concatenate([RNG.random(40_000) < 0.5, np.zeros(40_000, bool), [True, False]])
    # log(1 + exp(-s)) of the margin s is the log loss, in any tail
    loss = np.logaddexp(0, np.where(label, -z, z))
    weight = RNG.integers(1, 9, len(z))
    for mass in (None, weight, weight / 7.0):
        one = 1.0 if mass is None else mass
        found = of_logits(z, label, mass)
        assert found[1:].tolist() == pytest.approx([(one * loss).sum(), 0.0, 2e6], rel=1e-12)
    slot = RNG.integers(0, 3, len(z))
    place = key_places(logit_keys(z), logits=True)
    apart = slot_losses(place, label, slot, None, 3, z)
    wanted = np.bincount(slot, weights=loss)
    assert apart[:, 1] == pytest.approx(wanted, rel=1e-12)
    cells = exact_cells(logit_keys(z), label, slot, logits=True)
    assert table_losses(cells, 3, clip=False) == pytest.approx(apart, rel=1e-12)


def test_a_worse_error_never_costs_less() -> None:
    gaps = [1.0, 34.0, 35.0, 100.0, 700.0, 744.0, 745.0, 746.0, 800.0, 1e4, 1e300]
    yes = np.array([True])
    costs = [log_loss_sum(of_logits(np.array([-gap]), yes)) for gap in gaps]
    assert costs == pytest.approx(np.logaddexp(0, gaps).tolist(), rel=1e-14)
    for others in ([0.5], [-3.0, -2000.0]):
        z = np.array([-np.inf, *others])
        sums = of_logits(z, np.ones(len(z), bool))
        assert sums[2] == 1
        finite = log_loss_sum(of_logits(z[1:], np.ones(len(z) - 1, bool)))
        worst = max(np.logaddexp(0, -z[1:]).max(), 15 * math.log(10))
        assert log_loss_sum(sums) - finite == pytest.approx(worst, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_certain_scores_are_counted_and_cost_the_same_in_every_precision(dtype: Any) -> None:
    p = np.array([0.0, 1.0, 0.0, 1.0, 0.5], dtype=dtype)
    label = np.array([True, False, False, True, True])
    sums = row_losses(probability_keys(p), label, None)
    assert sums[2] == 2
    assert log_loss_sum(sums) == pytest.approx(2 * 15 * math.log(10) + math.log(2), rel=1e-14)
    z = np.array([-np.inf, np.inf, -np.inf, np.inf, 0.0], dtype=dtype)
    assert of_logits(z.astype(np.float64), label) == pytest.approx(sums, rel=1e-14)


def test_slots_and_cells_give_the_same_sums() -> None:
    p = RNG.integers(0, 50, 5000) / 49
    label, slot = RNG.random(5000) < p, RNG.integers(0, 4, 5000)
    key = probability_keys(p)
    apart = slot_losses(key, label, slot, None, 5)
    for number in range(5):
        own = slot == number
        wanted = by_hand(p[own], label[own], np.ones(own.sum()))
        assert apart[number] == pytest.approx(wanted, rel=1e-13, abs=1e-13)
    cells = table_losses(exact_cells(key, label, slot), 5, clip=True)
    assert cells == pytest.approx(apart, rel=1e-12)
