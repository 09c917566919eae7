from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.decisions.objectives import FIGURES, parse_constraint, parse_objective
from calibcli.core.decisions.parity import broken, equal_thresholds
from calibcli.core.decisions.thresholds import Confusion, Curve
from calibcli.errors import UsageError

counts = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=5)
groups_of_counts = st.lists(counts, min_size=1, max_size=3)
EQUAL: tuple[Literal["recall", "fpr"], ...] = ("recall", "fpr")


def curves_of(groups: list[list[tuple[int, int]]]) -> dict[str, Curve]:
    out = {}
    for g, cells in enumerate(groups):
        pos, neg = np.array(cells).T
        out[f"g{g}"] = Curve.from_cells((np.arange(len(pos)) + g / 10) / 10, pos, neg)
    return out


def usable(curves: dict[str, Curve]) -> bool:
    return all(c.positives and c.negatives for c in curves.values())


@pytest.mark.parametrize("equal", EQUAL)
@given(groups=groups_of_counts, level=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_each_group_meets_the_level_from_the_safe_side_at_its_own_score(
    equal: Literal["recall", "fpr"], groups: list[list[tuple[int, int]]], level: float
) -> None:
    curves = curves_of(groups)
    if not usable(curves):
        return
    found = equal_thresholds(curves, equal, level=level)
    for name, curve in curves.items():
        share = curve.figure(FIGURES[equal])
        if equal == "recall":
            expected = max(curve.threshold[share >= level])
        else:
            expected = min(curve.threshold[share <= level])
        assert found.thresholds[name] == expected
        assert found.reached[name] == share[curve.index(expected)]
        assert found.confusions[name] == curve.at(expected)


@pytest.mark.parametrize("equal", EQUAL)
@given(groups=groups_of_counts)
def test_best_common_level_equals_brute_force(
    equal: Literal["recall", "fpr"], groups: list[list[tuple[int, int]]]
) -> None:
    curves = curves_of(groups)
    if not usable(curves):
        return
    objective = parse_objective("accuracy")
    found = equal_thresholds(curves, equal, objective=objective)
    levels = set(itertools.chain(*(c.figure(FIGURES[equal]) for c in curves.values())))
    best = 0.0
    for level in levels:
        tables = equal_thresholds(curves, equal, level=level).confusions.values()
        right = sum(t.tp + t.tn for t in tables)
        best = max(best, right / sum(t.tp + t.fp + t.fn + t.tn for t in tables))
    assert found.value == pytest.approx(best)
    tables = found.confusions.values()
    total = sum(t.tp + t.fp + t.fn + t.tn for t in tables)
    assert sum(t.tp + t.tn for t in tables) / total == pytest.approx(best)


def test_group_without_the_class_is_named() -> None:
    curves = {"north": Curve.from_cells(np.array([0.5]), np.array([0]), np.array([3]))}
    with pytest.raises(UsageError, match="'north' has no positives"):
        equal_thresholds(curves, "recall", level=0.9)
    with pytest.raises(UsageError, match="between 0 and 1"):
        equal_thresholds(curves, "fpr", level=90)
    with pytest.raises(ValueError, match="level or an objective"):
        equal_thresholds(curves, "fpr")


def test_broken_constraints_are_named_and_undefined_ones_count_as_broken() -> None:
    constraints = tuple(map(parse_constraint, ("precision>=0.7", "recall>=0.5", "fpr<=0.1")))
    table = Confusion(tp=6, fp=4, fn=4, tn=90)
    assert [str(c) for c in broken(table, constraints)] == ["precision>=0.7"]
    nothing = Confusion(tp=0, fp=0, fn=4, tn=0)
    assert broken(nothing, constraints) == constraints
