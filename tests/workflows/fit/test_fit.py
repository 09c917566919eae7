from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from calibcli.core.calibrators import calibrator_from_dict
from calibcli.core.numeric.scales import expit
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.stats import stats_from_dict
from calibcli.io.rows.dataset import InputSpec
from calibcli.tasks.families import STATS_CELLS
from calibcli.workflows.fit.fit import FitOptions, fit
from calibcli.workflows.input.conventions import Conventions

QUICK = Conventions(confidence=None)


@pytest.fixture
def binary(tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 3000)
    y = rng.random(3000) < expit(0.5 * z + 0.3)
    path = tmp_path / "scores.csv"
    pd.DataFrame({"score": expit(z), "label": y.astype(int)}).to_csv(path, index=False)
    return str(path)


def spec(*paths, **options):
    return InputSpec(paths=paths, **options)


def test_artifact_carries_its_statistics_and_digests(binary, tmp_path):
    out = tmp_path / "c.json"
    result = fit(spec(binary), QUICK, FitOptions(method="platt"), output=str(out))
    artifact = json.loads(out.read_text())
    stats = stats_from_dict(artifact["stats"]["pairs"])
    assert stats.n == 3000
    assert len(stats.key) <= STATS_CELLS
    content = hashlib.sha256((tmp_path / "scores.csv").read_bytes()).hexdigest()
    assert artifact["inputs"] == [{"path": binary, "rows": 3000, "digest": f"sha256:{content}"}]
    assert calibrator_from_dict(artifact["calibrator"]).to_dict() == result["calibrator"]
    assert out.stat().st_size < 200_000


def test_few_distinct_scores_stay_exact(tmp_path):
    path, out = tmp_path / "s.csv", tmp_path / "c.json"
    rng = np.random.default_rng(1)
    score = rng.integers(1, 100, 2000) / 100
    label = (rng.random(2000) < score).astype(int)
    pd.DataFrame({"score": score, "label": label}).to_csv(path, index=False)
    fit(spec(str(path)), QUICK, FitOptions(method="platt"), output=str(out))
    stats = stats_from_dict(json.loads(out.read_text())["stats"]["pairs"])
    assert stats.exact
    assert stats.score.tolist() == np.unique(score).tolist()


def test_map_has_the_fitted_probability_and_an_interval(binary):
    result = fit(spec(binary), Conventions(), FitOptions(method="platt"))
    one = calibrator_from_dict(result["calibrator"])
    for point in result["map"]:
        z = np.log(point["score"]) - np.log1p(-point["score"]) if 0 < point["score"] < 1 else None
        assert point["low"] <= point["probability"] <= point["high"]
        if z is not None:
            assert point["probability"] == pytest.approx(float(one.apply(np.array([z]))[0]))
    truth = [expit(0.5 * np.log(p["score"] / (1 - p["score"])) + 0.3) for p in result["map"][1:-1]]
    inside = [p["low"] <= t <= p["high"] for p, t in zip(result["map"][1:-1], truth, strict=True)]
    assert np.mean(inside) > 0.5


@pytest.mark.slow
def test_the_clock_changes_no_artifact(binary, tmp_path):
    ticks = iter(range(10_000))
    outs = [tmp_path / name for name in ("a.json", "b.json")]
    timed = fit(
        spec(binary), QUICK, FitOptions(clock=lambda: float(next(ticks))), output=str(outs[0])
    )
    plain = fit(spec(binary), QUICK, FitOptions(), output=str(outs[1]))
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert any("seconds" in row for row in timed["candidates"])
    assert not any("seconds" in row for row in plain["candidates"])


@pytest.fixture
def several(tmp_path):
    rng = np.random.default_rng(3)
    z = rng.normal(0, 2, (4000, 3))
    distorted = z * np.array([1.0, 1.0, 1.0]) / 2.0
    p = np.exp(distorted)
    p /= p.sum(axis=1, keepdims=True)
    y = (rng.random((4000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    np.save(tmp_path / "z.npy", z.astype(np.float32))
    np.save(tmp_path / "y.npy", y)
    return str(tmp_path / "z.npy"), str(tmp_path / "y.npy")


def test_temperature_of_several_classes_is_the_known_one(several):
    z, y = several
    result = fit(spec(z, labels=y, logits=True), QUICK, FitOptions(method="temperature"))
    assert result["calibrator"]["temperature"] == pytest.approx(2.0, rel=0.06)
    assert result["after"]["kind"] == "cross-fitted"


def test_per_class_is_one_vs_rest_and_rows_sum_to_one(several, tmp_path):
    z, y = several
    out = tmp_path / "c.json"
    options = FitOptions(method="platt", per_class=True)
    result = fit(spec(z, labels=y, logits=True), QUICK, options, output=str(out))
    assert result["calibrator"]["method"] == "one-vs-rest"
    assert result["method"] == "platt per class"
    from calibcli.workflows.input.loaded.loading import load_calibrator

    p = load_calibrator(str(out)).apply(np.load(z)[:50])
    assert p.sum(axis=1) == pytest.approx(np.ones(50))
    after, before = (result[k]["metrics"]["nll"]["value"] for k in ("after", "before"))
    assert after < before


def test_statistics_of_several_classes_can_be_read_again(several, tmp_path):
    z, y = several
    out = tmp_path / "c.json"
    fit(spec(z, labels=y, logits=True), QUICK, FitOptions(method="temperature"), output=str(out))
    stats = json.loads(out.read_text())["stats"]
    classes = [stats_from_dict(one) for one in stats["classes"]]
    labels = np.load(y)
    assert [one.positives for one in classes] == np.bincount(labels).tolist()
    assert sum(stats_from_dict(one).n for one in stats["top"]) == 4000
    assert out.stat().st_size < 200_000


@pytest.mark.slow
def test_many_classes_keep_the_artifact_small(tmp_path):
    rng = np.random.default_rng(4)
    z = rng.normal(0, 1, (3000, 60)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    np.save(tmp_path / "y.npy", z.argmax(axis=1))
    out = tmp_path / "c.json"
    fit(
        spec(str(tmp_path / "z.npy"), labels=str(tmp_path / "y.npy"), logits=True),
        QUICK,
        FitOptions(method="temperature"),
        output=str(out),
    )
    assert out.stat().st_size < 200_000
    assert stats_from_dict(json.loads(out.read_text())["stats"]["top"][0]).n == 3000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "matrx"}, "matrx"),
        ({"per_class": True, "per_group": "g"}, "two fits"),
        ({"models": ("a",)}, "two or more"),
        ({"models": ("a", "a")}, "two or more"),
        ({"method": "platt", "temperatures": (1.0,)}, "temperature"),
        ({"folds": 1}, "folds"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        FitOptions(**options)


def test_per_class_of_binary_scores_is_refused(binary):
    with pytest.raises(UsageError, match="binary"):
        fit(spec(binary), QUICK, FitOptions(per_class=True))


def test_one_label_only_is_refused(tmp_path):
    path = tmp_path / "s.csv"
    pd.DataFrame({"score": [0.1, 0.5], "label": [1, 1]}).to_csv(path, index=False)
    with pytest.raises(InputError, match="label 1"):
        fit(spec(str(path)), QUICK, FitOptions(method="platt"))


@pytest.mark.slow
def test_per_class_auto_keeps_calibrated_scores_and_corrects_others(tmp_path):
    rng = np.random.default_rng(0)
    z = 1.5 * rng.normal(size=(1500, 4))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.save(tmp_path / "y.npy", (p.cumsum(axis=1) > rng.random((1500, 1))).argmax(axis=1))
    methods = {}
    for name, scale in (("honest", 1.0), ("loud", 3.0)):
        np.save(tmp_path / "z.npy", scale * z)
        spec = InputSpec((str(tmp_path / "z.npy"),), labels=str(tmp_path / "y.npy"), logits=True)
        methods[name] = fit(spec, Conventions(), FitOptions(per_class=True))["method"]
    assert methods["honest"] == "identity"
    assert methods["loud"].endswith("per class")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vector", "dirichlet", "platt", "auto"])
def test_weights_in_any_unit_give_one_map_of_several_classes(method, tmp_path):
    rng = np.random.default_rng(5)
    z = rng.normal(0, 2, (400, 3))
    label = (z / 2 + rng.gumbel(size=z.shape)).argmax(axis=1)
    maps = []
    for unit in (1.0, 1e-5, 1e6):
        path = tmp_path / f"{unit:g}.parquet"
        frame = pd.DataFrame(z, columns=["z_a", "z_b", "z_c"])
        frame.assign(label=label, w=unit * (1 + label)).to_parquet(path)
        options = spec(str(path), scores=("z_*",), logits=True, classes=("0", "1", "2"), weight="w")
        result = fit(options, QUICK, FitOptions(method=method))
        maps.append(calibrator_from_dict(result["calibrator"]).apply(z[:20]))
    assert maps[1] == pytest.approx(maps[0], abs=1e-7)
    assert maps[2] == pytest.approx(maps[0], abs=1e-7)


def test_heavy_weights_do_not_pass_the_guards_of_promotion_as_rows(tmp_path):
    from calibcli.core.comparison.promotion import Rule
    from calibcli.workflows.promote.outcome import Attempt
    from calibcli.workflows.promote.promote import promote

    rng = np.random.default_rng(6)
    score = rng.random(60)
    path = tmp_path / "s.csv"
    frame = pd.DataFrame({"score": score, "label": (rng.random(60) < score).astype(int)})
    frame.assign(w=1e6).to_csv(path, index=False)
    attempt = Attempt(str(tmp_path / "champion.json"), Rule())
    result = promote(spec(str(path), weight="w"), Conventions(), FitOptions(), attempt)
    assert result.decision == "kept"
    assert [(one.name, one.passed) for one in result.checks] == [
        ("rows", False),
        ("positives", False),
        ("first_auc", True),
    ]
    assert result.checks[0].value == pytest.approx(60)
