from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from calibcli.core.scales import expit
from calibcli.errors import InputError, UsageError
from calibcli.io.dataset import InputSpec
from calibcli.workflows.apply import apply
from calibcli.workflows.conventions import Conventions
from calibcli.workflows.fit import FitOptions, fit
from calibcli.workflows.loaded import load_calibrator
from calibcli.workflows.measure import measure

QUICK = Conventions(confidence=None)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1.5, 5000)
    noisy = [truth + rng.normal(0, 1, 5000) for _ in range(2)]
    y = (rng.random(5000) < expit(truth)).astype(int)
    return pd.DataFrame({"p_a": expit(2 * noisy[0]), "p_b": expit(0.5 * noisy[1] + 1), "label": y})


@pytest.fixture
def fitted(frame, tmp_path):
    frame.to_csv(tmp_path / "s.csv", index=False)
    out = str(tmp_path / "c.json")
    spec = InputSpec(paths=(str(tmp_path / "s.csv"),))
    options = FitOptions(method="platt", models=("p_a", "p_b"))
    return fit(spec, QUICK, options, output=out), out, spec


def test_pool_beats_each_model_and_the_plain_average(fitted, frame):
    result = fitted[0]
    scores = {row["method"]: row["score"] for row in result["candidates"]}
    chosen = next(row for row in result["candidates"] if row["chosen"])
    assert chosen["score"] < scores["p_a alone"]
    assert chosen["score"] < scores["p_b alone"]
    after, before = (result[k]["metrics"]["nll"]["value"] for k in ("after", "before"))
    assert after < before
    assert after == pytest.approx(chosen["score"], rel=1e-6)


def test_before_is_the_plain_average(fitted, frame):
    average = frame[["p_a", "p_b"]].mean(axis=1)
    expected = float(((average - frame.label) ** 2).mean())
    assert fitted[0]["before"]["metrics"]["brier"]["value"] == pytest.approx(expected)


def test_apply_measure_and_python_agree(fitted, frame, tmp_path):
    _, calibrator, spec = fitted
    p = load_calibrator(calibrator).apply(frame[["p_a", "p_b"]].to_numpy())
    assert p.shape == (5000,)
    out = tmp_path / "out.csv"
    apply(calibrator, spec, str(out))
    written = pd.read_csv(out)
    assert list(written.columns) == ["p_a", "p_b", "label", "probability"]
    assert written.probability.to_numpy() == pytest.approx(p, rel=1e-12)
    found = measure(spec, QUICK, calibrator=calibrator)["overall"]["calibrated"]["metrics"]
    assert found["brier"]["value"] == pytest.approx(float(((p - frame.label) ** 2).mean()))


def test_a_file_for_each_model_gives_the_same(fitted, frame, tmp_path):
    paths = []
    for name in ("p_a", "p_b"):
        paths.append(str(tmp_path / f"{name}.npy"))
        np.save(paths[-1], frame[name].to_numpy())
    np.save(tmp_path / "y.npy", frame.label.to_numpy())
    spec = InputSpec(paths=tuple(paths), labels=str(tmp_path / "y.npy"))
    out = str(tmp_path / "f.json")
    result = fit(spec, QUICK, FitOptions(method="platt", models=tuple(paths)), output=out)
    for one, other in zip(result["candidates"], fitted[0]["candidates"], strict=True):
        assert one["score"] == pytest.approx(other["score"], rel=0.01)
    assert json.loads((tmp_path / "f.json").read_text())["rows"] == 5000
    apply(out, InputSpec(paths=tuple(paths)), str(tmp_path / "p.npy"))
    expected = load_calibrator(out).apply(frame[["p_a", "p_b"]].to_numpy())
    assert np.load(tmp_path / "p.npy") == pytest.approx(expected)


def test_files_of_different_length_are_refused(tmp_path):
    for name, size in (("a", 50), ("b", 40)):
        np.save(tmp_path / f"{name}.npy", np.linspace(0.01, 0.99, size))
    np.save(tmp_path / "y.npy", np.arange(50) % 2)
    paths = tuple(str(tmp_path / f"{name}.npy") for name in "ab")
    spec = InputSpec(paths=paths, labels=str(tmp_path / "y.npy"))
    with pytest.raises(InputError, match="rows"):
        fit(spec, QUICK, FitOptions(models=paths))


def test_clusters_and_weights_are_taken(frame, tmp_path):
    rng = np.random.default_rng(1)
    more = frame.assign(patient=np.arange(5000) // 5, w=rng.uniform(0.5, 2, 5000))
    more.to_parquet(tmp_path / "s.parquet")
    spec = InputSpec(paths=(str(tmp_path / "s.parquet"),), cluster="patient", weight="w")
    result = fit(spec, QUICK, FitOptions(models=("p_a", "p_b")))
    assert result["after"]["kind"] == "cross-fitted"
    assert result["after"]["metrics"]["n"]["value"] == pytest.approx(more.w.sum())


def test_logits_are_averaged_as_logits(frame, tmp_path):
    z = np.log(frame[["p_a", "p_b"]] / (1 - frame[["p_a", "p_b"]]))
    z.assign(label=frame.label).to_parquet(tmp_path / "z.parquet")
    spec = InputSpec(paths=(str(tmp_path / "z.parquet"),), logits=True)
    result = fit(spec, QUICK, FitOptions(method="platt", models=("p_a", "p_b")))
    average = expit(z.mean(axis=1).to_numpy())
    expected = float(((average - frame.label) ** 2).mean())
    assert result["before"]["metrics"]["brier"]["value"] == pytest.approx(expected)


def test_several_classes_are_refused(tmp_path):
    with pytest.raises(UsageError, match="binary"):
        fit(
            InputSpec(paths=("s.csv",), task="multiclass"),
            QUICK,
            FitOptions(models=("p_a", "p_b")),
        )
