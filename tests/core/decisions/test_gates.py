from __future__ import annotations

from typing import Any

import pytest

from calibcli.core.decisions.gates import Findings, evaluate_gate, evaluate_gates, parse_gate
from calibcli.core.results.base import plain
from calibcli.errors import UsageError


def entry(value: float | None, half: float = 0.01, reason: str | None = None) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "reason": reason}
    return {"value": value, "low": value - half, "high": value + half}


def summary(where: dict[str, Any], ece: float | None, **more: Any) -> dict[str, Any]:
    metrics = {"n": {"value": 10, "low": None, "high": None}, "ece": entry(ece, reason="no rows")}
    return {"slice": where, "metrics": metrics, "bins": [], **more}


def table(threshold: float, precision: float | None) -> dict[str, Any]:
    rate = entry(0.5)
    return {
        "threshold": threshold,
        "tp": 9,
        "fp": 1,
        "fn": 2,
        "tn": 6,
        "precision": entry(precision, reason="none positive"),
        **dict.fromkeys(("recall", "f1", "specificity", "fpr"), rate),
    }


HEAD: dict[str, Any] = {
    "schema": "calibcli/measure",
    "inputs": [],
    "params": {},
    "task": "binary",
}
RESULT: dict[str, Any] = {
    **HEAD,
    "overall": summary(
        {"kind": "overall"},
        0.04,
        confusion=[table(0.5, 0.8), table(0.9, None)],
        calibrated={"metrics": {"ece": entry(0.02)}, "bins": []},
    ),
    "classes": [
        summary({"kind": "class", "name": "cat"}, 0.1),
        summary({"kind": "class", "name": "cat.big"}, 0.2),
        summary({"kind": "class", "name": "a>b, [red]"}, 0.05),
    ],
    "groups": [
        summary({"kind": "group", "column": "camera", "value": "front"}, 0.03),
        summary({"kind": "group", "column": "camera", "value": "rear.left"}, 0.07),
        summary({"kind": "group", "column": "site.id", "value": "3"}, 0.09),
    ],
    "drift": {
        "reference": {"path": "a.csv", "kind": "scores", "rows": 9, "labelled": True},
        "labelled": True,
        "metrics": {
            "psi": {"value": 0.3, "low": None, "high": None, "expected": 0.1, "p": 0.02},
            "ks": {"value": 0.1},
        },
        "classes": [],
        "assumptions": {},
        "verdict": "moved",
    },
    "decision": {
        "metrics": {"accuracy": entry(0.7)},
        "classes": [{"name": "cat", "recall": entry(0.4)}],
        "groups": [
            {
                "slice": {"kind": "group", "column": "camera", "value": "front"},
                "metrics": {"accuracy": entry(0.6)},
            }
        ],
    },
}


@pytest.mark.parametrize(
    ("expr", "value", "passed"),
    [
        ("ece>0.05", 0.04, True),
        ("ece>0.03", 0.04, False),
        ("ece > .04", 0.04, True),
        ("ece>=4e-2", 0.04, False),
        ("ece<0.05", 0.04, False),
        ("ece<=0.03", 0.04, True),
        ("ece.low>0.03", 0.04 - 0.01, True),
        ("ece.high>0.03", 0.04 + 0.01, False),
        ("ece.value>0.03", 0.04, False),
        ("n<100", 10, False),
        ("tp@0.5<5", 9, True),
        ("precision@0.5<0.9", 0.8, False),
        ("precision@0.50.low<0.5", 0.8 - 0.01, True),
        ("calibrated.ece>0.03", 0.02, True),
        ("class.cat.ece>0.05", 0.1, False),
        ("class.cat.big.ece>0.15", 0.2, False),
        ("class.a>b, [red].ece>0.15", 0.05, True),
        ("group.camera.rear.left.ece>0.05", 0.07, False),
        ("group.site.id.3.ece.low>0.05", 0.09 - 0.01, False),
        ("drift.psi>0.2", 0.3, False),
        ("drift.ks>0.2", 0.1, True),
        ("drift.psi.p<0.05", 0.02, False),
        ("decision.accuracy<0.8", 0.7, False),
        ("decision.accuracy.high<0.8", 0.7 + 0.01, False),
        ("class.cat.decision.recall<0.5", 0.4, False),
        ("group.camera.front.decision.accuracy<0.5", 0.6, True),
        ("sensitivity@0.5<0.4", 0.5, True),
        ("ppv@0.5<0.9", 0.8, False),
        ("tpr@0.9<0.4", 0.5, True),
        ("npv@0.5<0.9", 0.75, False),
        ("precision@chosen<0.9", 0.8, False),
    ],
)
def test_gate_fails_when_its_expression_is_true(expr: str, value: float, passed: bool) -> None:
    found = Findings.of(RESULT, lambda where, after: None if after else 0.5)
    entry = plain(evaluate_gate(parse_gate(expr), found))
    ends = entry.pop("low", value), entry.pop("high", value)
    assert entry == {"expr": expr, "value": value, "passed": passed}
    assert ends[0] <= value <= ends[1]


@pytest.mark.parametrize(
    ("expr", "value", "picked"),
    [
        ("worst(class).ece>0.1", 0.2, {"kind": "class", "name": "cat.big"}),
        ("worst(class).ece<0.1", 0.05, {"kind": "class", "name": "a>b, [red]"}),
        ("worst(group).ece>0.05", 0.09, {"kind": "group", "column": "site.id", "value": "3"}),
        (
            "worst(group.camera).ece>0.05",
            0.07,
            {"kind": "group", "column": "camera", "value": "rear.left"},
        ),
        (
            "worst(group.site.id).ece.high>=0.05",
            0.09 + 0.01,
            {"kind": "group", "column": "site.id", "value": "3"},
        ),
    ],
)
def test_worst_is_the_slice_most_likely_to_fail(
    expr: str, value: float, picked: dict[str, str]
) -> None:
    verdict = evaluate_gate(parse_gate(expr), RESULT)
    assert verdict.value == value
    assert plain(verdict.slice) == picked
    assert not verdict.passed


@pytest.mark.parametrize(
    "text",
    [
        "ece",
        "ece=0.05",
        "ece==0.05",
        "ece!=0.05",
        "ece>",
        ">0.05",
        "ece>nan",
        "ece>x",
        "ece>0_1",
        "ece>inf",
        "  ",
    ],
)
def test_unreadable_gate_is_a_usage_error_before_any_work(text: str) -> None:
    with pytest.raises(UsageError):
        parse_gate(text)


@pytest.mark.parametrize(
    ("expr", "message", "hint"),
    [
        ("ecee>0.1", "'ecee'", "did you mean 'ece'?"),
        ("n.low<5", "no interval", "--no-ci"),
        ("precision@0.9<0.9", "none positive", ""),
        ("precision<0.9", "which threshold", "precision@0.5"),
        ("precision@0.7<0.9", "threshold", "precision@0.5"),
        ("threshold>0.9", "'threshold'", ""),
        ("class.cta.ece>0.1", "no class", "did you mean 'cat'?"),
        ("group.camera.fromt.ece>0.1", "no group", "did you mean 'camera.front'?"),
        ("worst(group.camra).ece>0.1", "no --group column", "did you mean 'camera'?"),
        ("worst(classes).ece>0.1", "cannot be read", "worst(class)"),
        ("versus.ece>0", "versus", "--versus"),
        ("drift.kl>0", "'kl'", "ks"),
        ("drift.ks.p<0.1", "no p-value", ""),
        ("decision.f1<0.5", "'f1'", "accuracy"),
        ("group.camera.rear.left.decision.accuracy<0.5", "cannot be evaluated", "decision"),
        ("recall@chosen<0.5", "chosen cut-off", "--thresholds FILE"),
        ("npv@0.5.low<0.5", "no interval", ""),
        ("logloss>1", "'logloss'", ""),
        ("overlap>0", "a calibrator", "--calibrator FILE"),
        ("calibrated.class.cat.ece>0", "after calibration", "--calibrator"),
        ("class.cat>0.1", "no figure", "class.cat.ece"),
        ("class.dogfish.ece>0.1", "no class", "there are: cat"),
    ],
)
def test_unevaluable_gate_fails_closed_with_a_reason(expr: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        evaluate_gate(parse_gate(expr), RESULT)
    assert message in error.value.message
    assert hint in (error.value.hint or "")


def test_undefined_metric_of_one_slice_fails_worst_closed_and_names_it() -> None:
    result = RESULT | {
        "classes": [*RESULT["classes"], summary({"kind": "class", "name": "z"}, None)]
    }
    with pytest.raises(UsageError, match=r"class 'z': no rows"):
        evaluate_gate(parse_gate("worst(class).ece>0.1"), result)


def test_gates_without_slices_say_what_is_missing() -> None:
    bare = {**HEAD, "overall": RESULT["overall"], "classes": [], "groups": []}
    for expr, word in (
        ("worst(class).ece>0", "classes"),
        ("class.cat.ece>0", "classes"),
        ("worst(group).ece>0", "groups"),
        ("group.camera.front.ece>0", "groups"),
        ("drift.psi>0", "drift"),
    ):
        with pytest.raises(UsageError, match=word):
            evaluate_gate(parse_gate(expr), bare)


def test_only_confusion_table_needs_no_threshold() -> None:
    result = {**HEAD, "overall": RESULT["overall"] | {"confusion": [table(0.5, 0.8)]}}
    assert evaluate_gates([parse_gate("precision<0.9")], result)[0].value == 0.8
