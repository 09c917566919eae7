from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from calibcli.core.calibrators import (
    Beta,
    Dirichlet,
    Histogram,
    Identity,
    Isotonic,
    Matrix,
    OneVsRest,
    Platt,
    StructuredMatrix,
    StructuredVector,
    Temperature,
    Vector,
    calibrate,
)
from calibcli.core.export.python import emit_binary, emit_rows, parameter
from calibcli.errors import UsageError
from tests.core.export.export_cases import cases, scores

KINDS = [(logits, name) for logits in (False, True) for name in cases(logits=logits)]


def load(source: str):
    module: dict[str, object] = {}
    exec(compile(source, "emitted", "exec"), module)
    return module["calibrate"]


@pytest.mark.parametrize(("logits", "name"), KINDS)
def test_the_function_returns_what_apply_returns(logits, name):
    one = cases(logits=logits)[name]
    x = scores(one, logits=logits)
    function = load(emit_binary(one.pieces(logits=logits), name))
    atol = 1e-12
    if isinstance(one, Isotonic) and logits and one.interpolation == "linear":
        atol = max(atol, 4e-16 * float((np.diff(one.y) / np.diff(one.x)).max()))
    found = [function(v) for v in x.tolist()]
    np.testing.assert_allclose(found, calibrate(one, x, logits=logits), rtol=0, atol=atol)


@pytest.mark.parametrize("logits", [False, True])
def test_what_apply_refuses_raises(logits):
    for one in cases(logits=logits).values():
        function = load(emit_binary(one.pieces(logits=logits), "test"))
        for bad in [float("nan")] + ([] if logits else [-0.1, 1.0000000000000002, float("inf")]):
            with pytest.raises(ValueError, match=r"NaN|between 0 and 1"):
                function(bad)


def rows(*, logits: bool) -> np.ndarray:
    rng = np.random.default_rng(3)
    z = rng.normal(0, 3, (60, 4))
    z[0], z[1], z[2] = [800, 0, 0, -800], [0, 0, 0, 0], [60, -60, 1, 0]
    if logits:
        z[3], z[4] = [-np.inf, 0, 1, -np.inf], [np.inf, 1, np.inf, 0]
        return z
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[5], p[6] = [1, 0, 0, 0], [0.3, 0.2995, 0.4, 0]
    return p


PARTS = (Platt(-1.3, 0.2), Beta(0.8, 1.1, -0.1), Isotonic(np.array([0.2, 0.6]), np.array([0, 0.9])))


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize(
    "one",
    [
        Identity(),
        Temperature(1.9),
        Temperature(0.05),
        Vector(np.array([1.2, 0.3, 0.9, 2.0]), np.array([0.1, -0.2, 0.0, 0.7])),
        Vector(np.array([1.2, 0.3, 0.9, 2.0]), np.array([0.1, -0.2, 0.0, 0.7]), floor=-4.0),
        Matrix(np.random.default_rng(5).normal(0, 1, (4, 5)), 1.0, floor=-9.0),
        Dirichlet(np.random.default_rng(6).normal(0, 1, (4, 5)), 1.0),
        StructuredMatrix(1.4, 0.002, np.random.default_rng(7).normal(0, 1, (4, 5))),
        StructuredVector(0.7, 0.002, np.random.default_rng(8).normal(1, 1, (4, 2))),
        OneVsRest((*PARTS, Temperature(2.0))),
        OneVsRest(
            tuple(Histogram(np.array([0.2, 0.5]), np.array([0.1, 0.4, 0.4])) for _ in "abcd")
        ),
        OneVsRest((*PARTS, Temperature(2.0)), floor=-5.0),
        OneVsRest(tuple(Isotonic(np.array([0.8, 0.9]), np.array([0.0, 1.0])) for _ in range(4))),
    ],
    ids=lambda one: one.method,
)
def test_rows_of_several_classes(one, logits):
    x = rows(logits=logits)
    source = emit_rows(one, ("a", "b", "c", "d"), "test", "scores", logits=logits)
    function = load(source)
    found = [function(row) for row in x.tolist()]
    np.testing.assert_allclose(found, calibrate(one, x, logits=logits), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="4 scores"):
        function([1.0])
    with pytest.raises(ValueError, match=r"no usable scores|between 0 and 1"):
        function([float("nan"), 0.5, 0.25, 0.25])


@pytest.mark.parametrize("logits", [False, True])
def test_columns_that_are_problems_of_their_own(logits):
    one = OneVsRest((*PARTS, Temperature(2.0)), normalize=False)
    x = np.random.default_rng(1).random((20, 4))
    function = load(emit_rows(one, ("a", "b", "c", "d"), "test", "scores", logits=logits))
    found = [function(row) for row in x.tolist()]
    np.testing.assert_allclose(found, calibrate(one, x, logits=logits), rtol=0, atol=1e-12)


def test_only_the_standard_library_is_imported(tmp_path):
    path = tmp_path / "emitted.py"
    path.write_text(emit_binary(Platt(-1.2, 0.3).pieces(logits=False), "platt"))
    code = "import sys, emitted; assert 'numpy' not in sys.modules; print(emitted.calibrate(0.5))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == pytest.approx(1 / (1 + np.exp(0.3)), abs=1e-15)


@pytest.mark.parametrize("name", ["my score", "lambda", "1st", "", "math", "_expit", "x) or (1"])
def test_a_name_that_is_no_parameter_is_refused(name):
    with pytest.raises(UsageError):
        parameter(name)


def test_names_of_classes_cannot_leave_the_docstring():
    names = ('""" + boom() + """', "b\\")
    source = emit_rows(Temperature(2.0), names, 'x"""\nboom()', "scores", logits=False)
    np.testing.assert_allclose(load(source)([0.5, 0.5]), [0.5, 0.5])


@pytest.mark.parametrize("name", ["identity", "platt", "beta", "isotonic", "histogram", "spline"])
@pytest.mark.parametrize("logits", [False, True])
def test_odds_are_shifted_as_bayes_rule_says(name, logits):
    one = cases(logits=logits)[name]
    x = np.array([0.01, 0.2, 0.5, 0.77, 0.99])
    p = calibrate(one, x, logits=logits)
    function = load(emit_binary(one.pieces(logits=logits).shifted(3.7), "test"))
    found = [function(v) for v in x.tolist()]
    np.testing.assert_allclose(found, 3.7 * p / (3.7 * p + 1 - p), rtol=0, atol=1e-12)
