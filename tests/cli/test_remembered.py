"""A calibrator remembers its columns and the positive label, for every command that takes it."""

from __future__ import annotations

import json

import numpy as np
import pytest

FIT = "--method", "temperature", "-q", "-o"
N = 600
RNG = np.random.default_rng(7)
P = np.round(RNG.beta(1, 1.2, N), 4)
Y = (RNG.random(N) < P**1.4).astype(int)
BINARY = {
    "id": range(N),
    "score": np.round(RNG.random(N), 3),  # of another model, under the usual name
    "risk_v2": P,
    "outcome": np.where(Y, "bad", "good"),
}
Q = RNG.dirichlet(np.ones(3), N)
ANIMALS = np.array(["cat", "dog", "owl"])
CLASSES = {
    **{f"m2_{name}": Q[:, k] for k, name in enumerate(ANIMALS)},
    "kind": ANIMALS[[RNG.choice(3, p=row) for row in Q]],
}


@pytest.fixture(params=["binary", "classes"])
def fitted(request, write, calibcli, tmp_path):
    """A file, the options that it needs, and a calibrator that was fitted with them."""
    if request.param == "binary":
        path = write("x.csv", BINARY)
        options = ("--score", "risk_v2", "--label", "outcome", "--positive", "bad")
    else:
        path = write("x.csv", CLASSES)
        options = ("--scores", "m2_cat,m2_dog,m2_owl", "--label", "kind")
    ran = calibcli(
        "fit", path, *options, "-o", tmp_path / "c.json", "--method", "temperature", "-q"
    )
    assert ran.code == 0, ran.err
    return path, options, tmp_path / "c.json"


@pytest.mark.parametrize("command", ["measure", "threshold", "report"])
def test_every_command_reads_what_the_fit_read(fitted, command, calibcli, tmp_path):
    path, options, calibrator = fitted
    texts = []
    for given in (options, ()):
        out = tmp_path / "out.md"
        more = {
            "measure": ("--format", "json", "-o", out),
            "threshold": ("--maximize", "accuracy", "-o", out),
            "report": ("--format", "md", "-o", out),
        }[command]
        ran = calibcli(command, path, "--calibrator", calibrator, *given, *more)
        assert ran.code == 0, ran.err
        texts.append(out.read_text())
    if command == "report":
        assert texts[0] == texts[1]
        return
    named, alone = map(json.loads, texts)
    for result in (named, alone):
        result.pop("digest", None)
        for name in ("classes", "score"):
            result["params"].pop(name)
    assert named == alone


def test_what_is_named_goes_before(fitted, calibcli):
    path, _, calibrator = fitted
    if "score" not in path.read_text().splitlines()[0]:
        pytest.skip("one model")
    options = "--score", "score", "--format", "json"
    ran = calibcli("measure", path, "--calibrator", calibrator, *options)
    assert ran.json["params"]["score"] == ["score"]
    assert ran.json["params"]["label"] == "outcome"


def test_a_file_without_these_columns_is_read_by_its_own(calibcli, write, tmp_path):
    fit = write("x.csv", {"p2": P, "outcome": Y})
    assert calibcli("fit", fit, "--score", "p2", "-o", tmp_path / "c.json", "-q").code == 0
    other = write("y.csv", {"score": P, "label": Y})
    ran = calibcli("measure", other, "--calibrator", tmp_path / "c.json", "--format", "json")
    assert (ran.code, ran.json["params"]["score"]) == (0, ["score"])
    array, labels = write("p.npy", P), write("y.npy", Y)
    ran = calibcli("measure", array, "--labels", labels, "--calibrator", tmp_path / "c.json")
    assert ran.code == 0, ran.err
