from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import expit, softmax

from calibcli.core.calibrators import CALIBRATORS, calibrate, calibrator_from_dict
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError

BINARY = sorted(m for m, kind in CALIBRATORS.items() if "score" in kind.takes)
ROWS = sorted(
    m for m, kind in CALIBRATORS.items() if "classes" in kind.takes and m != "one-vs-rest"
)


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal(3000)
    return z, rng.random(3000) < expit(0.7 * z - 0.3)


@pytest.fixture(scope="module")
def stats(pairs):
    return ScoreStats.from_arrays(*pairs, logits=True)


@pytest.fixture(scope="module")
def multi():
    rng = np.random.default_rng(1)
    z = 2 * rng.standard_normal((600, 3))
    return z, np.array([rng.choice(3, p=p) for p in softmax(0.6 * z + [0.3, 0, -0.3], axis=1)])


def trip(calibrator):
    return calibrator_from_dict(json.loads(json.dumps(calibrator.to_dict(), allow_nan=False)))


@pytest.mark.parametrize("method", BINARY)
def test_binary_round_trip_through_json_is_exact(method, stats):
    fitted = CALIBRATORS[method].fit(stats)
    again = trip(fitted)
    assert type(again) is type(fitted)
    assert again.to_dict() == fitted.to_dict()
    grid = np.linspace(-40, 40, 997) if fitted.space == "logit" else np.linspace(0, 1, 997)
    assert fitted.apply(grid).tobytes() == again.apply(grid).tobytes()


@pytest.mark.parametrize("method", ROWS)
def test_rows_round_trip_through_json_is_exact(method, multi, row_source):
    z, y = multi
    fitted = CALIBRATORS[method].fit(row_source(z, y))
    again = trip(fitted)
    assert again.to_dict() == fitted.to_dict()
    assert fitted.apply(z).tobytes() == again.apply(z).tobytes()


@pytest.mark.parametrize("method", BINARY)
def test_probabilities_and_their_logits_calibrate_alike(method, stats, pairs):
    fitted = CALIBRATORS[method].fit(stats)
    ordered = np.sort(pairs[0])
    z = (ordered[1:] + ordered[:-1]) / 2
    from_logits = calibrate(fitted, z, logits=True)
    from_probabilities = calibrate(fitted, expit(z), logits=False)
    # Half way between scores, so that rounding does not take a step on its other side.
    assert from_logits == pytest.approx(from_probabilities, abs=1e-9)


# Vector and matrix scaling are defined on logits as they are, common shift included.
@pytest.mark.parametrize("method", sorted(set(ROWS) - {"vector", "matrix"}))
def test_rows_of_probabilities_and_logits_calibrate_alike(method, multi, row_source):
    z, y = multi
    fitted = CALIBRATORS[method].fit(row_source(z, y))
    p = calibrate(fitted, softmax(z, axis=1), logits=False)
    assert p == pytest.approx(calibrate(fitted, z, logits=True), abs=1e-9)
    assert p.sum(axis=1) == pytest.approx(np.ones(len(p)), abs=1e-12)


@pytest.mark.parametrize("method", BINARY)
def test_every_binary_method_returns_probabilities_everywhere(method, stats):
    fitted = CALIBRATORS[method].fit(stats)
    p = calibrate(fitted, np.array([0.0, 1e-300, 0.5, 1 - 1e-16, 1.0]), logits=False)
    q = calibrate(fitted, np.array([-np.inf, -1e300, -1.0, 0.0, 700.0, np.inf]), logits=True)
    for out in (p, q):
        assert out.dtype == np.float64
        assert ((out >= 0) & (out <= 1)).all()


@pytest.mark.parametrize("method", sorted(set(BINARY) - {"histogram", "identity"}))
def test_every_other_binary_method_never_decreases(method, stats):
    out = calibrate(CALIBRATORS[method].fit(stats), np.linspace(-40, 40, 4001), logits=True)
    assert (np.diff(out) >= -1e-15).all()  # exp itself may round down


@pytest.mark.parametrize("method", BINARY)
def test_float32_scores_fit_as_their_float64_values(method, pairs):
    p, y = expit(pairs[0]).astype(np.float32), pairs[1]
    single = CALIBRATORS[method].fit(ScoreStats.from_arrays(p, y))
    double = CALIBRATORS[method].fit(ScoreStats.from_arrays(p.astype(float), y))
    assert single.to_dict() == double.to_dict()


@pytest.mark.parametrize("method", sorted(set(BINARY) - {"identity"}))
def test_every_binary_method_refuses_one_class(method):
    for labels in ([1, 1, 1], [0, 0, 0]):
        with pytest.raises(InputError, match="nothing to fit"):
            CALIBRATORS[method].fit(ScoreStats.from_arrays([0.2, 0.5, 0.9], labels))


@pytest.mark.parametrize("method", sorted(set(BINARY) - {"identity"}))
@pytest.mark.parametrize(
    ("scores", "labels", "weight"),
    [
        ([0.1, 0.2, 0.8, 0.9, 0.95], [0, 0, 1, 1, 1], None),
        ([0.1, 0.2, 0.8, 0.9, 0.95], [1, 1, 0, 0, 0], None),
        ([0.4] * 5, [0, 1, 1, 0, 1], None),
        ([0.0, 0.0, 1.0, 1.0, 1.0], [0, 1, 1, 0, 1], None),
        ([0.0, 0.0, 1.0, 1.0, 1.0], [0, 0, 1, 1, 1], None),
        ([0.1, 0.2, 0.8, 0.9, 0.95], [1, 0, 1, 0, 1], [0.0, 1.5, 2.0, 0.0, 1e-3]),
        ([0.3, 0.7], [0, 1], None),
    ],
    ids=["separable", "anti-correlated", "constant", "certain", "certain-right", "weights", "two"],
)
def test_degenerate_input_has_a_finite_outcome(method, scores, labels, weight):
    fitted = CALIBRATORS[method].fit(ScoreStats.from_arrays(scores, labels, weight))
    p = calibrate(fitted, np.array([*scores, 0.0, 0.5, 1.0]), logits=False)
    assert np.isfinite(p).all()
    assert ((p >= 0) & (p <= 1)).all()
    assert trip(fitted).to_dict() == fitted.to_dict()


@pytest.mark.parametrize("method", sorted(set(BINARY) - {"identity"}))
def test_infinite_logits_fit(method):
    scores = [-np.inf, -1.0, 0.5, 2.0, np.inf] * 3
    fitted = CALIBRATORS[method].fit(
        ScoreStats.from_arrays(scores, [0, 0, 1, 1, 1] * 2 + [1, 1, 0, 0, 0], logits=True)
    )
    assert np.isfinite(calibrate(fitted, np.array(scores), logits=True)).all()


def test_unknown_method_and_damaged_parameters_are_input_errors():
    with pytest.raises(InputError, match="unknown calibration method") as caught:
        calibrator_from_dict({"method": "isotonc"})
    assert caught.value.hint == "did you mean 'isotonic'?"
    for damaged in (
        {"method": "temperature", "notes": []},
        {"method": "platt", "A": "x", "B": 0, "notes": []},
        {"method": "histogram", "edges": [0.5], "values": [0.1], "notes": []},
        {
            "method": "isotonic", "x": [0.1, 0.2], "y": [0.4, 0.3],
            "interpolation": "linear", "ends": "raw", "notes": [],
        },
    ):  # fmt: skip
        with pytest.raises(InputError):
            calibrator_from_dict(damaged)


def test_applying_needs_numpy_alone():
    code = (
        "import sys, numpy as np\n"
        "from calibcli.core.calibrators import calibrate, calibrator_from_dict\n"
        "d = {'method': 'temperature', 'temperature': 2.0, 'limits': [None, None], 'notes': []}\n"
        "c = calibrator_from_dict(d)\n"
        "calibrate(c, np.array([.1]), logits=False)\n"
        "heavy = {'scipy', 'sklearn', 'pandas', 'pyarrow', 'typer', 'rich'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
