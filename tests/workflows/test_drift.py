"""`measure --reference` on files of every kind, against whole arrays and published figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from calibcli.core.decisions.gates import evaluate_gate, parse_gate
from calibcli.core.results.comparisons import Compared
from calibcli.core.results.reading import typed
from calibcli.errors import InputError, UsageError
from calibcli.io.rows.dataset import InputSpec
from calibcli.render.formats import csvout, markdown
from calibcli.render.formats import text as tables
from calibcli.workflows.fit.fit import FitOptions, fit
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.compared.drift import verdict
from calibcli.workflows.measure.measure import measure
from tests.schemas import fits_schema

DATA = Path(__file__).parents[3] / "shared" / "data"


def frame(seed, n, slope=1.0, mean=0.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(mean, 1.5, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-slope * z))).astype(int)
    return pd.DataFrame({"score": 1 / (1 + np.exp(-z)), "label": y, "who": np.arange(n) // 5})


@pytest.fixture
def paths(tmp_path):
    before, now = frame(0, 3000), frame(1, 1200, 0.6, 0.3)
    before.to_csv(tmp_path / "before.csv", index=False)
    now.to_parquet(tmp_path / "now.parquet")
    now.drop(columns="label").to_parquet(tmp_path / "bare.parquet")
    before.drop(columns="label").to_csv(tmp_path / "bare.csv", index=False)
    return tmp_path, before, now


def run(path, reference, conventions=None, **options):
    spec = options.pop("spec", {})
    result = measure(
        InputSpec((str(path),), **spec),
        conventions or Conventions(),
        reference=str(reference),
        **options,
    )
    fits_schema(result, "measure")
    return result


@pytest.mark.parametrize(("p", "confidence", "moved"), [
    (0.049, 0.95, True), (0.051, 0.95, False), (0.049, 0.99, False), (0.009, 0.99, True),
    (0.09, 0.9, True), (0.049, None, True), (0.051, None, False),
])  # fmt: skip
def test_the_verdict_is_at_the_level_that_was_asked_for(p, confidence, moved):
    shift = Compared(value=0.02, expected=0.01, p=p)
    found = verdict(
        {"psi": shift, "reliability_p": Compared(value=p)}, Conventions(confidence=confidence)
    )
    scores, labels = found.split("; ")
    assert scores.startswith("the scores have moved a little" if moved else "the scores have not")
    assert labels.startswith("labels no longer follow" if moved else "labels follow")


def test_scores_against_scores(paths):
    folder, before, now = paths
    found = run(folder / "now.parquet", folder / "before.csv")
    metrics = found["drift"]["metrics"]
    assert metrics["ks"]["value"] == pytest.approx(ks_2samp(before.score, now.score).statistic)
    losses = [((one.score - one.label) ** 2).mean() for one in (before, now)]
    assert metrics["brier"]["value"] == pytest.approx(losses[1] - losses[0])
    assert metrics["prevalence"]["reference"] == pytest.approx(before.label.mean())
    assert metrics["slope"]["current"] == pytest.approx(0.6, abs=0.15)
    assert metrics["reliability_p"]["value"] < 0.001
    assert found["drift"]["reference"].pop("digest").startswith("sha256:")
    assert found["drift"]["reference"] == {
        "path": str(folder / "before.csv"),
        "kind": "scores",
        "rows": 3000,
        "labelled": True,
    }
    assert "no longer follow" in found["drift"]["verdict"]
    assert list(found["drift"]["assumptions"])


def test_scores_statistics_and_calibrator_are_one_reference(paths):
    folder, *_ = paths
    measure(
        InputSpec((str(folder / "before.csv"),)), Conventions(), save_stats=str(folder / "s.json")
    )
    fit(
        InputSpec((str(folder / "before.csv"),)),
        Conventions(),
        FitOptions(method="platt"),
        output=str(folder / "c.json"),
    )
    results = {
        name: run(folder / "now.parquet", folder / name)["drift"]
        for name in ("before.csv", "s.json", "c.json")
    }
    assert [one["reference"]["kind"] for one in results.values()] == [
        "scores",
        "stats",
        "calibrator",
    ]
    exact = results["before.csv"]["metrics"]
    assert results["s.json"]["metrics"] == exact
    for name, item in results["c.json"]["metrics"].items():
        assert item["value"] == pytest.approx(exact[name]["value"], abs=0.02), name


def test_after_a_calibrator_too(paths):
    folder, *_ = paths
    spec = InputSpec((str(folder / "before.csv"),))
    fit(spec, Conventions(), FitOptions(method="platt"), output=str(folder / "c.json"))
    for reference in ("before.csv", "c.json"):
        found = run(folder / "now.parquet", folder / reference, calibrator=str(folder / "c.json"))
        after = found["drift"]["calibrated"]["metrics"]
        assert after["ece"]["current"] == pytest.approx(
            found["overall"]["calibrated"]["metrics"]["ece"]["value"]
        )
        value = evaluate_gate(parse_gate("calibrated.drift.ece>9"), found).value
        assert value == after["ece"]["value"]
    bare = run(folder / "now.parquet", folder / "before.csv")
    with pytest.raises(UsageError, match="after calibration"):
        evaluate_gate(parse_gate("calibrated.drift.ece>9"), bare)


@pytest.mark.parametrize("name", ["bare.parquet", "bare.csv"])
def test_without_labels_the_scores_still_tell(paths, name):
    folder, before, now = paths
    found = run(folder / name, folder / "before.csv")
    scores = now.score if name == "bare.parquet" else before.score
    assert found["overall"]["metrics"]["mean_score"]["value"] == pytest.approx(scores.mean())
    assert found["overall"]["metrics"]["ece"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no labels",
    }
    metrics = found["drift"]["metrics"]
    whole = run(folder / "now.parquet", folder / "before.csv")["drift"]["metrics"]
    if name == "bare.parquet":
        for key in ("psi", "ks", "js", "expected_accuracy", "expected_ece", "estimated_prevalence"):
            assert metrics[key] == pytest.approx(whole[key])
    assert "ece" not in metrics
    assert "no labels" in found["warnings"][0]
    for render in (tables.render_measure, markdown.render_measure, csvout.render_measure):
        assert "psi" in render(typed(found))


def test_a_label_that_is_not_there_yet(paths):
    folder, before, _ = paths
    before.rename(columns={"label": "paid"}).to_csv(folder / "old.csv", index=False)
    found = run(folder / "bare.parquet", folder / "old.csv", spec={"label": "paid"})
    assert found["drift"]["metrics"]["expected_accuracy"]["value"] is not None
    assert not found["drift"]["labelled"]
    with pytest.raises(InputError, match="no column 'payd'"):
        run(folder / "bare.parquet", folder / "old.csv", spec={"label": "payd"})
    with pytest.raises(InputError, match="no column 'paid'"):
        run(folder / "bare.parquet", folder / "bare.csv", spec={"label": "paid"})


def test_what_needs_labels_is_refused_without_them(paths):
    folder, *_ = paths
    with pytest.raises(UsageError, match="--save-stats needs labels"):
        run(folder / "bare.parquet", folder / "before.csv", save_stats=str(folder / "x.json"))
    assert not (folder / "x.json").exists()
    with pytest.raises(UsageError, match="no labels"):
        run(folder / "bare.parquet", folder / "before.csv", fail_if=["ece>0.1"])
    with pytest.raises(UsageError, match="names no figure"):
        run(folder / "bare.parquet", folder / "before.csv", fail_if=["drift.ece>0.1"])


def test_gates(paths):
    folder, *_ = paths
    expected = {
        "drift.psi>0.2": True,
        "drift.psi>0.001": False,
        "drift.psi.low>0.001": False,
        "drift.ks>0.01": False,
        "drift.ece>0.01": False,
        "drift.brier.p<0.001": False,
        "drift.slope.high<-0.1": False,
        "drift.reliability_p<0.05": False,
    }
    found = run(folder / "now.parquet", folder / "before.csv", fail_if=list(expected))
    assert [gate["passed"] for gate in found["gates"]] == list(expected.values())


def test_gates_fail_closed(paths):
    folder, *_ = paths
    plain = measure(InputSpec((str(folder / "now.parquet"),)), Conventions())
    with pytest.raises(UsageError, match="needs drift"):
        evaluate_gate(parse_gate("drift.psi>0.2"), plain)
    found = run(folder / "now.parquet", folder / "before.csv", Conventions(confidence=None))
    with pytest.raises(UsageError, match="no interval"):
        evaluate_gate(parse_gate("drift.psi.low>0.2"), found)
    with pytest.raises(UsageError, match="p-value"):
        evaluate_gate(parse_gate("drift.expected_ece.p<0.2"), found)


def test_clusters_are_respected_and_missed(paths):
    folder, _, now = paths
    many = pd.concat([now] * 4, ignore_index=True)
    many["who"] = np.tile(np.arange(len(now)), 4)
    many.to_csv(folder / "four.csv", index=False)
    spec = {"cluster": "who"}
    apart = run(folder / "four.csv", folder / "before.csv")["drift"]["metrics"]
    whole = run(folder / "four.csv", folder / "before.csv", spec=spec)["drift"]["metrics"]
    for name in ("brier", "mean_score", "slope"):
        width = [one[name]["high"] - one[name]["low"] for one in (apart, whole)]
        assert width[1] > 1.1 * width[0]
    measure(
        InputSpec((str(folder / "before.csv"),)), Conventions(), save_stats=str(folder / "s.json")
    )
    found = run(folder / "four.csv", folder / "s.json", spec=spec)
    assert any("does not keep its clusters" in text for text in found["warnings"])


def test_other_scores_are_refused(paths):
    folder, *_ = paths
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.ones(3), 200)
    pd.DataFrame(p, columns=["p_a", "p_b", "p_c"]).assign(
        label=np.array(list("abc"))[rng.integers(0, 3, 200)]
    ).to_csv(folder / "three.csv", index=False)
    fit(
        InputSpec((str(folder / "three.csv"),), scores=("p_*",)),
        Conventions(),
        FitOptions(method="temperature"),
        output=str(folder / "three.json"),
    )
    with pytest.raises(InputError, match="multiclass of 3 classes, these rows are binary"):
        run(folder / "now.parquet", folder / "three.json")
    old = json.loads((folder / "three.json").read_text())
    del old["stats"], old["digest"]
    (folder / "old.json").write_text(json.dumps(old))
    with pytest.raises(InputError, match="carries no statistics"):
        run(folder / "three.csv", folder / "old.json", spec={"scores": ("p_*",)})
    with pytest.raises(InputError, match="no such file"):
        run(folder / "now.parquet", folder / "missing.csv")


def test_several_classes(paths):
    folder, *_ = paths
    rng = np.random.default_rng(6)

    def dump(name, n, sharp):
        z = rng.normal(0, 1.5, (n, 3))
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        label = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
        q = np.exp(sharp * z) / np.exp(sharp * z).sum(axis=1, keepdims=True)
        table = pd.DataFrame(q, columns=["p_a", "p_b", "p_c"])
        table["label"] = np.array(list("abc"))[label]
        table.to_parquet(folder / name)
        return table

    before, now = dump("a.parquet", 2000, 1.0), dump("b.parquet", 800, 2.0)
    spec = {"scores": ("p_*",)}
    found = run(folder / "b.parquet", folder / "a.parquet", spec=spec)
    metrics = found["drift"]["metrics"]

    def brier(table):
        truth = np.array(list("abc")) == table["label"].to_numpy()[:, None]
        return ((table[["p_a", "p_b", "p_c"]].to_numpy() - truth) ** 2).sum(axis=1)

    value = brier(now).mean() - brier(before).mean()
    error = np.sqrt(brier(now).var() / 800 + brier(before).var() / 2000)
    assert metrics["brier"]["value"] == pytest.approx(value)
    assert metrics["brier"]["high"] - value == pytest.approx(1.97 * error, rel=0.3)
    assert metrics["slope"]["value"] < -0.2
    assert metrics["class_psi"]["p"] > 0.001
    assert [one["slice"]["name"] for one in found["drift"]["classes"]] == ["a", "b", "c"]
    bare = now.drop(columns="label")
    bare.to_parquet(folder / "c.parquet")
    without = run(folder / "c.parquet", folder / "a.parquet", spec=spec)["drift"]["metrics"]
    assert without["psi"] == metrics["psi"]
    assert without["class_psi"] == metrics["class_psi"]
    assert without["expected_accuracy"] == metrics["expected_accuracy"]


@pytest.mark.skipif(not (DATA / "employment").exists(), reason="real files are elsewhere")
def test_employment_has_its_published_figures():
    folder = DATA / "employment"
    found = run(
        folder / "production_2016_2018.parquet",
        folder / "reference_2015.parquet",
        spec={"score": "predicted_probability", "label": "employed"},
    )["drift"]["metrics"]
    assert found["ece"]["reference"] == pytest.approx(0.006311, abs=1e-6)
    assert found["ece"]["current"] == pytest.approx(0.011382, abs=1e-6)
    assert found["auc"]["reference"] == pytest.approx(0.903361, abs=1e-6)
    assert found["brier"]["value"] == pytest.approx(0.122216 - 0.122893, abs=1e-6)
    assert found["reliability_p"]["value"] < 1e-3


@pytest.mark.skipif(not (DATA / "car_loan").exists(), reason="real files are elsewhere")
def test_car_loans_expected_figures_are_near_the_actual(tmp_path):
    folder = DATA / "car_loan"
    spec = {"score": "y_pred_proba", "label": "repaid"}
    found = run(folder / "production.parquet", folder / "reference.parquet", spec=spec)
    metrics = found["drift"]["metrics"]
    assert metrics["brier"]["reference"] == pytest.approx(0.045572, abs=1e-6)
    assert metrics["brier"]["current"] == pytest.approx(0.057546, abs=1e-6)
    guess = metrics["expected_brier"]
    assert guess["low"] <= 0.057546 <= guess["high"]
    actual = pd.read_parquet(folder / "production.parquet")
    right = ((actual.y_pred_proba >= 0.5) == actual.repaid).mean()
    assert metrics["expected_accuracy"]["low"] <= right <= metrics["expected_accuracy"]["high"]
