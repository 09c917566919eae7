from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax as scipy_softmax
from sklearn.metrics import log_loss

from calibcli.core.numeric.scales import expit
from calibcli.errors import InputError, UsageError
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.apply.apply import apply
from calibcli.workflows.fit.fit import FitOptions, fit
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load_calibrator
from calibcli.workflows.measure.measure import measure

QUICK = Conventions(confidence=None)


def softmax(z):
    return scipy_softmax(z, axis=1)


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


@pytest.mark.slow
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


def test_labels_of_their_own_are_refused(frame, tmp_path):
    frame.assign(label_b=1 - frame.label).rename(columns={"label": "label_a"}).to_csv(
        tmp_path / "m.csv", index=False
    )
    spec = InputSpec(paths=(str(tmp_path / "m.csv"),), task="multilabel")
    with pytest.raises((UsageError, InputError)):
        fit(spec, QUICK, FitOptions(models=("p_a", "p_b")))


# -- several classes -------------------------------------------------------------------------------

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def rows():
    """Two models with noise of their own; the first four times over-confident."""
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1.5, (3000, 3))
    label = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    noisy = [truth + rng.normal(0, 1, truth.shape) for _ in range(2)]
    return [4 * noisy[0], noisy[1] + [0.0, 1.0, 0.0]], label


def saved(tmp_path, rows, *, logits):
    z, label = rows
    paths = []
    for name, one in zip("ab", z, strict=True):
        paths.append(str(tmp_path / f"{name}.npy"))
        np.save(paths[-1], one if logits else softmax(one))
    np.save(tmp_path / "y.npy", label)
    labels = str(tmp_path / "y.npy")
    return InputSpec(paths=tuple(paths), labels=labels, logits=logits, task="multiclass")


@pytest.mark.parametrize("logits", [True, False])
def test_pool_of_classes_beats_each_model_and_is_what_is_written(rows, tmp_path, logits):
    spec, out = saved(tmp_path, rows, logits=logits), str(tmp_path / "c.json")
    result = fit(spec, QUICK, FitOptions(method="vector", models=spec.paths), output=out)
    chosen = next(row for row in result["candidates"] if row["chosen"])
    singles = [row["score"] for row in result["candidates"] if "alone" in row["method"]]
    assert len(singles) == 2
    assert chosen["score"] < min(singles)
    assert result["after"]["metrics"]["nll"]["value"] == pytest.approx(chosen["score"], rel=1e-5)
    z, label = rows
    scores = np.stack([one if logits else softmax(one) for one in z], axis=1)
    p = load_calibrator(out).apply(scores)
    assert p.shape == (3000, 3)
    assert p.sum(axis=1) == pytest.approx(np.ones(3000))
    apply(out, spec, str(tmp_path / "p.npy"))
    assert np.load(tmp_path / "p.npy") == pytest.approx(p)
    with pytest.raises(UsageError, match="1 score files for 2 models"):
        apply(out, replace(spec, paths=spec.paths[:1]), str(tmp_path / "q.npy"))
    found = measure(spec, QUICK, calibrator=out)["overall"]["calibrated"]["metrics"]
    assert found["nll"]["value"] == pytest.approx(log_loss(label, p), rel=1e-9)


def test_candidates_are_what_their_names_say(rows, tmp_path):
    """Each pool made here from its description, with T found by a bracketed search."""
    spec = saved(tmp_path, rows, logits=True)
    z, label = rows
    options = FitOptions(method="temperature", models=spec.paths)
    found = {row["method"]: row["score"] for row in fit(spec, QUICK, options)["candidates"]}

    def tempered(logits):
        def loss(b):
            return log_loss(label, softmax(b * logits))

        return softmax(minimize_scalar(loss, (0.1, 2.0), tol=1e-10).x * logits)

    def geometric(parts):
        mean = np.mean([np.log(p) for p in parts], axis=0)
        return softmax(mean)

    each = [tempered(one) for one in z]
    in_sample = {
        "average, then calibrate (linear)": tempered(np.log(np.mean([*map(softmax, z)], axis=0))),
        "average, then calibrate (logit)": tempered(np.mean(z, axis=0)),
        "calibrate, then average (linear)": np.mean(each, axis=0),
        "calibrate, then average (logit)": geometric(each),
    }
    for name, p in in_sample.items():  # held out is a little worse than in-sample
        own = log_loss(label, p)
        assert own - 1e-6 < found[name] < own + 0.003


def test_columns_of_several_classes_by_pattern(rows, tmp_path):
    z, label = rows
    columns = {}
    for name, one in zip("ab", z, strict=True):
        columns |= {f"{name}_{c}": column for c, column in zip(CLASSES, one.T, strict=True)}
    table = pd.DataFrame(columns).assign(label=np.array(CLASSES)[label])
    table.to_parquet(tmp_path / "s.parquet")
    spec = InputSpec(paths=(str(tmp_path / "s.parquet"),), logits=True)
    out = str(tmp_path / "c.json")
    result = fit(spec, QUICK, FitOptions(method="temperature", models=("a_*", "b_*")), output=out)
    assert [one["slice"]["name"] for one in result["classes"]] == list(CLASSES)
    files = saved(tmp_path, rows, logits=True)
    other = fit(files, QUICK, FitOptions(method="temperature", models=files.paths))
    for mine, theirs in zip(result["candidates"], other["candidates"], strict=True):
        assert mine["score"] == pytest.approx(theirs["score"], abs=0.002)  # other folds
    apply(out, spec, str(tmp_path / "out.parquet"))
    written = pd.read_parquet(tmp_path / "out.parquet")
    expected = load_calibrator(out).apply(np.stack(z, axis=1))
    assert written[[f"probability_{c}" for c in CLASSES]].to_numpy() == pytest.approx(expected)


def test_models_of_other_classes_are_refused(rows, tmp_path):
    z, label = rows
    columns = {f"a_{c}": column for c, column in zip(CLASSES, z[0].T, strict=True)}
    columns |= {f"b_{c}": column for c, column in zip(("cat", "owl", "dog"), z[1].T, strict=True)}
    pd.DataFrame(columns).assign(label=np.array(CLASSES)[label]).to_parquet(tmp_path / "s.parquet")
    spec = InputSpec(paths=(str(tmp_path / "s.parquet"),), logits=True)
    with pytest.raises(InputError, match="classes"):
        fit(spec, QUICK, FitOptions(models=("a_*", "b_*")))


def test_a_model_that_is_no_probability_is_named(rows, tmp_path):
    """The average of a probability and a logit may well lie between 0 and 1."""
    spec = saved(tmp_path, rows, logits=False)
    np.save(spec.paths[1], rows[0][1] * 0.01)
    with pytest.raises(InputError, match=r"b\.npy.*between 0 and 1"):
        fit(spec, QUICK, FitOptions(method="vector", models=spec.paths))


def test_a_row_that_one_model_leaves_out_is_dropped(rows, tmp_path):
    spec = saved(tmp_path, rows, logits=True)
    gap = rows[0][1].copy()
    gap[7] = np.nan
    np.save(spec.paths[1], gap)
    options = FitOptions(method="temperature", models=spec.paths)
    with pytest.raises(InputError, match="row 8"):
        fit(spec, QUICK, options)
    result = fit(replace(spec, drop_invalid=True), QUICK, options)
    assert result["before"]["metrics"]["n"]["value"] == 2999
