from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from calibcli.core.calibrators import Isotonic, OneVsRest, Platt, calibrate
from calibcli.core.export.sql import emit_sql, exactly, identifier, number
from calibcli.errors import UsageError
from tests.core.export.export_cases import cases, scores
from tests.sql_engines import ENGINES, RUN

KINDS = [(logits, name) for logits in (False, True) for name in cases(logits=logits)]


def run(engine: str, expression: str, values: list[float | None], column: str = "score") -> list:
    return [row[0] for row in RUN[engine](f"({expression})", {column: values})]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("logits", "name"), KINDS)
def test_the_expression_returns_what_apply_returns(engine, logits, name):
    one = cases(logits=logits)[name]
    x = scores(one, logits=logits)[: None if engine == "sqlite" else 400]
    found = run(engine, emit_sql(one.pieces(logits=logits)), x.tolist())
    expected = calibrate(one, x, logits=logits)
    # A steep piece of an isotonic map of logits carries the last bit of exp over to its slope.
    steep = 1e-12
    if isinstance(one, Isotonic) and logits and one.interpolation == "linear":
        steep = max(1e-12, 4e-16 * float((np.diff(one.y) / np.diff(one.x)).max()))
    np.testing.assert_allclose(np.array(found, float), expected, rtol=0, atol=steep)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["identity", "platt", "histogram", "venn-abers"])
@pytest.mark.parametrize("logits", [False, True])
def test_what_apply_refuses_is_null(engine, name, logits):
    expression = emit_sql(cases(logits=logits)[name].pieces(logits=logits))
    refused = [None, float("nan")] + ([] if logits else [-0.1, 1.0000000000000002, float("inf")])
    assert run(engine, expression, refused) == [None] * len(refused)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_score_on_an_edge_falls_on_the_same_side_bit_by_bit(engine):
    for logits, name in KINDS:
        one = cases(logits=logits)[name]
        if name not in ("isotonic-step", "histogram", "venn-abers", "scaling-binning"):
            continue
        pieces = one.pieces(logits=logits)
        starts = np.array(pieces.starts)
        x = np.concatenate([starts, np.nextafter(starts, -np.inf)])[:1500]
        x = x[x >= 0] if not logits else x
        assert (
            run(engine, emit_sql(pieces), x.tolist()) == calibrate(one, x, logits=logits).tolist()
        )


def test_sqlite_reads_short_decimals_and_exact_numbers_as_python_does():
    connection = sqlite3.connect(":memory:")
    rng = np.random.default_rng(0)
    values = [i / 10**4 for i in range(1, 10**4, 7)] + [i / 1000 for i in range(1000)]
    values += [*rng.random(2000), *(10.0 ** -rng.uniform(0, 300, 500)), -0.1234567]
    values += [*rng.normal(0, 30, 500)]
    for value in values:
        assert connection.execute(f"select {exactly(value)}").fetchone()[0] == value


def test_numbers_are_doubles_and_not_decimals():
    assert number(0.5) == "0.5e0"
    assert number(1.0) == "1e0"
    assert number(1e-300) == "1e-300"
    assert number(-2.5e20) == "-2.5e+20"
    assert exactly(0.3) == "0.3e0"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("score", "score"),
        ("Prob_1", "Prob_1"),
        ("my score", '"my score"'),
        ('a"b', '"a""b"'),
        ("select", '"select"'),
        ("1st", '"1st"'),
        ("x; drop table t", '"x; drop table t"'),
    ],
)
def test_a_column_is_quoted_where_it_must_be(name, written):
    assert identifier(name) == written


@pytest.mark.parametrize("engine", ENGINES)
def test_a_strange_column_name_works(engine):
    name = 'my "score", 1st'
    expression = emit_sql(Platt(-1.2, 0.3).pieces(logits=False), name)
    assert run(engine, expression, [0.5], name) == [pytest.approx(1 / (1 + np.exp(0.3)), abs=1e-15)]


def test_an_empty_column_name_is_refused():
    with pytest.raises(UsageError, match="cannot be a column"):
        identifier("")


def test_a_calibrator_of_several_classes_is_refused_by_name():
    with pytest.raises(UsageError, match="one-vs-rest calibrator cannot be written"):
        OneVsRest((Platt(-1.0, 0.0), Platt(-1.0, 0.0))).pieces(logits=False)


def test_many_steps_become_a_tree_of_small_depth():
    n = 3000
    x = np.arange(1, n + 1) / (n + 1)
    one = Isotonic(x, np.linspace(0.01, 0.99, n), "step")
    expression = emit_sql(one.pieces(logits=False))
    assert expression.count("WHEN") >= n - 1
    values = [0.0, 0.25, 0.5, 0.75, 1.0, *x[::50].tolist()]
    assert run("sqlite", expression, values) == one.apply(np.array(values)).tolist()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["identity", "platt", "beta", "isotonic", "histogram", "spline"])
def test_odds_are_shifted_as_bayes_rule_says(engine, name):
    one = cases(logits=False)[name]
    x = np.array([0.01, 0.2, 0.5, 0.77, 0.99])
    p = calibrate(one, x, logits=False)
    found = run(engine, emit_sql(one.pieces(logits=False).shifted(0.3)), x.tolist())
    np.testing.assert_allclose(found, 0.3 * p / (0.3 * p + 1 - p), rtol=0, atol=1e-12)
