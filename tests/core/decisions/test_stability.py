from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.decisions.objectives import FIGURES, parse_constraint, parse_objective
from calibcli.core.decisions.stability import Stability, stability
from calibcli.core.decisions.thresholds import Choice, Curve, choose

Cells = tuple[np.ndarray, np.ndarray, np.ndarray]
POINTS = 1000
SCORE = (np.arange(POINTS) + 0.5) / POINTS
MASS = np.exp(-3 * SCORE) / np.exp(-3 * SCORE).sum()


def draw(rng: np.random.Generator, rows: int) -> Cells:
    total = rng.multinomial(rows, MASS)
    pos = rng.binomial(total, SCORE)
    seen = total > 0
    return SCORE[seen], pos[seen], (total - pos)[seen]


def chosen(cells: Cells, name: str, *wanted: str) -> Choice:
    constraints = tuple(map(parse_constraint, wanted))
    answer = choose(Curve.from_cells(*cells), parse_objective(name), constraints)
    assert isinstance(answer, Choice)
    return answer


def resampled(cells: Cells, name: str, *wanted: str, **options: object) -> Stability:
    constraints = tuple(map(parse_constraint, wanted))
    choice = chosen(cells, name, *wanted)
    found = stability(*cells, choice, parse_objective(name), constraints, **options)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "wanted"), [("f1", ()), ("recall", ("precision>=0.7",))])
def test_threshold_interval_covers_the_populations_best_about_as_often_as_it_says(
    name: str, wanted: tuple[str, ...]
) -> None:
    truth = chosen((SCORE, MASS * SCORE, MASS * (1 - SCORE)), name, *wanted).threshold
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        found = resampled(draw(rng, 500), name, *wanted, draws=60, confidence=0.9)
        hits += found.threshold[0] <= truth <= found.threshold[1]
    assert 0.78 <= hits / 60 <= 0.98


def test_interval_narrows_with_rows_and_contains_the_choice() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for rows in (200, 20_000):
        cells = draw(rng, rows)
        found = resampled(cells, "f1")
        low, high = found.threshold
        assert low <= chosen(cells, "f1").threshold <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_optimism_is_positive_and_of_the_size_of_the_true_one() -> None:
    population = Curve.from_cells(SCORE, MASS * SCORE, MASS * (1 - SCORE))
    youden = population.figure(FIGURES["youden"])
    rng = np.random.default_rng(2)
    said, true = [], []
    for _ in range(60):
        cells = draw(rng, 200)
        choice = chosen(cells, "youden")
        said.append(resampled(cells, "youden", draws=50).optimism)
        true.append(choice.value - youden[population.index(choice.threshold)])
    assert 0.4 * np.mean(true) < np.mean(said) < 1.2 * np.mean(true)


def test_same_seed_same_answer_and_cells_beyond_the_blocks_change_little() -> None:
    rng = np.random.default_rng(3)
    score = np.sort(rng.random(20_000))
    label = (rng.random(20_000) < score**2).astype(np.int64)
    cells = (score, label, 1 - label)
    first, again = resampled(cells, "f1"), resampled(cells, "f1")
    assert first == again
    choice = chosen(cells, "f1")
    few = np.floor(score * 500) / 500
    distinct, index = np.unique(few, return_inverse=True)
    coarse = (distinct, np.bincount(index, label), np.bincount(index, 1 - label))
    coarse = (coarse[0], coarse[1].astype(np.int64), coarse[2].astype(np.int64))
    other = resampled(coarse, "f1")
    assert first.threshold == pytest.approx(other.threshold, abs=0.03)
    assert first.value is not None
    assert first.value[0] < choice.value < first.value[1]


def test_whole_clusters_are_resampled() -> None:
    """Thirty copies of each row are worth no more than the row when copies share a cluster."""
    rng = np.random.default_rng(4)
    score, pos, neg = draw(rng, 200)
    bucket = rng.integers(0, 60, score.size)
    cell = np.arange(score.size)
    single = resampled((score, pos, neg), "f1", buckets=(bucket, cell, pos, neg), draws=300)
    copied = resampled(
        (score, 30 * pos, 30 * neg),
        "f1",
        buckets=(bucket, cell, 30 * pos, 30 * neg),
        draws=300,
    )
    naive = resampled((score, 30 * pos, 30 * neg), "f1", draws=300)
    assert copied == single
    assert copied.value is not None
    assert naive.value is not None
    width = copied.value[1] - copied.value[0]
    assert width > 3 * (naive.value[1] - naive.value[0])


def test_weights_of_one_give_the_intervals_of_rows() -> None:
    score, pos, neg = draw(np.random.default_rng(5), 300)
    squares = (pos.astype(float), neg.astype(float))
    plain = resampled((score, pos, neg), "f1")
    weighted = resampled((score, pos.astype(float), neg.astype(float)), "f1", squares=squares)
    assert weighted.threshold == plain.threshold
    assert weighted.value == pytest.approx(plain.value)
    heavy = resampled(
        (score, 9.0 * pos, 9.0 * neg),
        "f1",
        squares=(81.0 * pos, 81.0 * neg),
    )
    assert heavy.value == pytest.approx(plain.value)


def test_prior_moves_value_and_interval_together() -> None:
    cells = draw(np.random.default_rng(6), 2000)
    objective = parse_objective("f1")
    choice = choose(Curve.from_cells(*cells), objective, prior=0.6)
    assert isinstance(choice, Choice)
    found = stability(*cells, choice, objective, prior=0.6)
    assert found is not None
    assert found.value is not None
    assert found.value[0] < choice.value < found.value[1]


def test_unreachable_in_every_resample_is_none() -> None:
    cells = (np.array([0.5]), np.array([1]), np.array([99]))
    choice = chosen(cells, "f1")
    wanted = (parse_constraint("precision>=0.9"),)
    assert stability(*cells, choice, parse_objective("f1"), wanted, draws=20) is None
