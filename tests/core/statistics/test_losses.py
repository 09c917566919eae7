from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from calibcli.core.statistics.cell_table import exact_cells
from calibcli.core.statistics.cells import logit_keys, probability_keys
from calibcli.core.statistics.losses import row_losses, slot_losses, table_losses

RNG = np.random.default_rng(0)
FAR = np.array([0.0, 1e-300, 1e-17, 1e-15, 0.5, 1 - 1e-16, 1.0])


def by_hand(p: Any, label: Any, weight: Any) -> list[float]:
    """Sums in exact arithmetic (fsum), one row at a time; p_true is 0 is clipped at 1e-15."""
    truth = [a if y else 1 - a for a, y in zip(p.tolist(), label.tolist(), strict=True)]
    return [
        math.fsum(w * (1 - t) ** 2 for t, w in zip(truth, weight, strict=True)),
        math.fsum(-w * math.log(max(t, 1e-15)) for t, w in zip(truth, weight, strict=True)),
        math.fsum(w * (t == 0) for t, w in zip(truth, weight, strict=True)),
    ]


@pytest.mark.parametrize("rows", [1, 15, 1000, 16_384, 50_001])
@pytest.mark.parametrize("ends", [False, True])
def test_products_of_probabilities_give_the_sum_of_the_logarithms(rows: int, ends: bool) -> None:
    p = RNG.beta(0.3, 0.3, rows).clip(1e-12, 1 - 1e-12)
    if ends:
        p[:: max(rows // 40, 1)] = RNG.choice(FAR, len(p[:: max(rows // 40, 1)]))
    label = RNG.random(rows) < 0.5
    found = row_losses(probability_keys(p), label, None, logits=False)
    assert found == pytest.approx(by_hand(p, label, np.ones(rows)), rel=1e-13, abs=1e-13)
    weight = RNG.integers(1, 9, rows)
    found = row_losses(probability_keys(p), label, weight, logits=False)
    assert found == pytest.approx(by_hand(p, label, weight), rel=1e-13, abs=1e-13)


def test_logits_lose_nothing_in_the_far_tail() -> None:
    z = np.concatenate([RNG.normal(0, 200, 40_000).clip(-700, 700), np.full(40_000, 40.0)])
    label = np.append(RNG.random(40_000) < 0.5, np.zeros(40_000, bool))
    # log(1 + exp(-s)) of the margin s is the log loss, in any tail
    wanted = np.logaddexp(0, np.where(label, -z, z)).sum()
    assert row_losses(logit_keys(z), label, None, logits=True)[1] == pytest.approx(
        wanted, rel=1e-13
    )


def test_slots_and_cells_give_the_same_sums() -> None:
    p = RNG.integers(0, 50, 5000) / 49
    label, slot = RNG.random(5000) < p, RNG.integers(0, 4, 5000)
    key = probability_keys(p)
    apart = slot_losses(key, label, slot, None, 5, logits=False)
    for number in range(5):
        own = slot == number
        wanted = by_hand(p[own], label[own], np.ones(own.sum()))
        assert apart[number] == pytest.approx(wanted, rel=1e-13, abs=1e-13)
    cells = table_losses(exact_cells(key, label, slot), 5, logits=False)
    assert cells == pytest.approx(apart, rel=1e-12)
