from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from calibcli.core.decisions.objectives import (
    FIGURES,
    Constraint,
    default_objective,
    parse_constraint,
    parse_objective,
)
from calibcli.errors import UsageError

ORACLES = {
    "f1": metrics.f1_score,
    "dice": metrics.f1_score,
    "iou": metrics.jaccard_score,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "accuracy": metrics.accuracy_score,
    "mcc": metrics.matthews_corrcoef,
    "balanced-accuracy": metrics.balanced_accuracy_score,
    "youden": lambda y, p: metrics.balanced_accuracy_score(y, p, adjusted=True),
    "specificity": lambda y, p: metrics.recall_score(y, p, pos_label=0),
    "npv": lambda y, p: metrics.precision_score(y, p, pos_label=0),
    "fpr": lambda y, p: 1 - metrics.recall_score(y, p, pos_label=0),
    "fnr": lambda y, p: 1 - metrics.recall_score(y, p),
    "positive-rate": lambda _, p: np.mean(p),
    "alerts": lambda _, p: np.sum(p),
}


def four(*counts: float) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(float(c)) for c in counts)


def test_every_figure_has_an_oracle() -> None:
    assert set(ORACLES) == set(FIGURES)


@pytest.mark.parametrize("name", sorted(FIGURES))
@given(counts=st.tuples(*[st.integers(1, 9)] * 4))
def test_figures_agree_with_scikit_learn(name: str, counts: tuple[int, int, int, int]) -> None:
    tp, fp, fn, tn = counts
    label = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    predicted = np.repeat([1, 1, 0, 0], [tp, fp, fn, tn])
    assert FIGURES[name](*four(*counts)) == pytest.approx(
        ORACLES[name](label, predicted), abs=1e-14
    )


@given(beta=st.floats(0.1, 10), counts=st.tuples(*[st.integers(1, 9)] * 4))
def test_fbeta_agrees_with_scikit_learn(beta: float, counts: tuple[int, int, int, int]) -> None:
    tp, fp, fn, tn = counts
    label = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    predicted = np.repeat([1, 1, 0, 0], [tp, fp, fn, tn])
    expected = metrics.fbeta_score(label, predicted, beta=beta)
    objective = parse_objective(f"fbeta:{beta!r}")
    assert objective.function(*four(*counts)) == pytest.approx(expected, abs=1e-12)


def test_undefined_figures_are_nan_and_mcc_of_one_sided_predictions_is_zero() -> None:
    nothing_positive = four(0, 0, 3, 4)
    assert np.isnan(FIGURES["precision"](*nothing_positive))
    assert FIGURES["f1"](*nothing_positive) == 0
    assert FIGURES["mcc"](*nothing_positive) == 0
    one_class = four(2, 0, 1, 0)
    assert np.isnan(FIGURES["fpr"](*one_class))
    assert np.isnan(FIGURES["mcc"](*one_class))
    assert np.isnan(FIGURES["f1"](*four(0, 0, 0, 9)))


@pytest.mark.parametrize("op", [">=", ">", "<=", "<"])
def test_constraint_compares_as_written_and_nan_never_meets(op: str) -> None:
    constraint = parse_constraint(f" precision {op} 0.95 ")
    value = np.array([0.9, 19 / 20, 1.0, np.nan])
    expected = {
        ">=": [False, True, True, False],
        ">": [False, False, True, False],
        "<=": [True, True, False, False],
        "<": [True, False, False, False],
    }
    assert constraint.met(value).tolist() == expected[op]
    assert str(constraint) == f"precision{op}0.95"
    assert constraint.at_least == (op in (">=", ">"))


def test_constraint_text_round_trips() -> None:
    for text in ("alerts<=100", "recall>=1", "fpr<1e-05", "fbeta:2>=0.5"):
        assert str(parse_constraint(text)) == text
        assert isinstance(parse_constraint(str(parse_constraint(text))), Constraint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("precison>=0.9", "did you mean 'precision'?"),
        ("tpr>=0.9", "'recall'"),
        ("precision", "precision>=0.95"),
        ("precision=0.9", ">= or <="),
        ("precision>=95", "precision>=0.95"),
        ("precision>=nan", "precision>=0.95"),
        ("recall>=high", "recall>=0.95"),
        ("alerts<=-1", "number of rows"),
        ("mcc>=2", "-1 and 1"),
        ("fbeta:0>=.5", "fbeta:2"),
    ],
)
def test_bad_constraints_are_usage_errors_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_constraint(text)
    assert hint in (error.value.hint or "")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("f_1", "did you mean 'f1'?"),
        ("f2", "fbeta:2"),
        ("fpr", "--subject-to"),
        ("mean-dice", "segmentation"),
        ("fbeta:x", "fbeta:2"),
        ("zzz", "one of"),
    ],
)
def test_bad_objectives_are_usage_errors_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_objective(text)
    assert hint in (error.value.hint or "")


def test_underscores_and_case_are_forgiven() -> None:
    assert parse_objective("Balanced_Accuracy").name == "balanced-accuracy"


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ((), "f1"),
        (("precision>=0.9",), "recall"),
        (("alerts<=9", "fpr<=0.1"), "recall"),
        (("recall>=0.9",), "precision"),
        (("recall>=0.9", "fpr<=0.1"), "f1"),
    ],
)
def test_default_objective_is_what_the_constraints_leave_open(
    constraints: tuple[str, ...], expected: str
) -> None:
    assert default_objective(tuple(map(parse_constraint, constraints))).name == expected
