"""A map that changes nothing changes no figure, whatever the scores are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibcli.core.calibrators import Beta, Identity, OneVsRest, Platt, Temperature, Vector
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.gather import gather
from calibcli.workflows.measure.slices import metrics_of

ROWS = 300
CONVENTIONS = replace(Conventions(), confidence=None)
DTYPES = (np.float64, np.float32, np.float16)
BINARY = (Identity(), Temperature(1.0), Platt(-1.0, 0.0), Beta(1.0, 1.0, 0.0))
CLASSES = (Identity(), Temperature(1.0), Vector(np.ones(4), np.zeros(4)))
LABELS = tuple(OneVsRest((one,) * 4, normalize=False) for one in BINARY)


def certain(p):
    """Scores of which some are exactly 0 or 1."""
    p[:20], p[20:40] = 0.0, 1.0
    return p


def scores_of(kind, rng, scale):
    if kind == "classes":
        return rng.normal(size=(ROWS, 4)) * scale, rng.integers(0, 4, ROWS), CLASSES
    shape = (ROWS, 4) if kind == "labels" else (ROWS,)
    labels = (rng.random(shape) < 0.4).astype(int)
    return rng.normal(size=shape) * scale, labels, LABELS if kind == "labels" else BINARY


def assert_unchanged(write, scores, labels, maps, **options):
    paths = [str(write(f"{name}.npy", a)) for name, a in (("s", scores), ("y", labels))]
    spec = InputSpec(paths=(paths[0],), labels=paths[1], **options)
    for one in maps:
        found = gather(spec, CONVENTIONS, calibrator=one, to_logits=True)
        for part in (found.overall, *found.class_slices):
            before, after = (
                metrics_of(side, CONVENTIONS, None) for side in (part.population, part.calibrated)
            )
            assert before.keys() == after.keys()
            for name, (value, *_) in before.items():
                expected = None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)
                assert after[name][0] == expected, (one.method, part.where, name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1, 40, 900])
@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
def test_of_logits(write, kind, scale, dtype):
    scores, labels, maps = scores_of(kind, np.random.default_rng(scale), scale)
    assert_unchanged(write, scores.astype(dtype), labels, maps, logits=True)


@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
def test_of_infinite_logits(write, kind):
    scores, labels, maps = scores_of(kind, np.random.default_rng(3), 5)
    scores[:10] = np.inf if kind != "classes" else [np.inf, 0, 0, 0]
    scores[10:30] = -np.inf if kind != "classes" else [0, -np.inf, 0, 0]
    assert_unchanged(write, scores, labels, maps[:1], logits=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
def test_of_probabilities(write, kind, dtype):
    rng = np.random.default_rng(4)
    scores, labels, _ = scores_of(kind, rng, 1)
    scores = (
        rng.dirichlet(np.full(4, 0.05), ROWS) if kind == "classes" else rng.random(scores.shape)
    )
    identity = LABELS[0] if kind == "labels" else Identity()
    scores = certain(scores) if kind != "classes" else scores
    assert_unchanged(write, scores.astype(dtype), labels, (identity,))


def test_a_worse_error_never_costs_less(write):
    """Of a logit at any distance from its label, before and after a map."""
    paths = str(write("s.npy", np.zeros(2))), str(write("y.npy", np.array([0, 1])))
    spec = InputSpec(paths=(paths[0],), labels=paths[1], logits=True)
    costs = []
    for distance in (1.0, 30.0, 37.0, 40.0, 700.0, 744.0, 746.0, 1e4, 1e30):
        write("s.npy", np.array([distance, 1.0]))
        found = gather(spec, CONVENTIONS, calibrator=Temperature(1.0), to_logits=True).overall
        sides = (found.population, found.calibrated)
        costs.append([metrics_of(side, CONVENTIONS, None)["nll"][0] for side in sides])
    assert (np.diff(np.array(costs), axis=0) > 0).all()
