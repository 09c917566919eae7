from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibcli.core.numeric.scales import expit, softmax
from calibcli.errors import InputError
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.apply.apply import apply
from calibcli.workflows.fit.fit import FitOptions, fit
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load_calibrator
from calibcli.workflows.measure.measure import measure
from calibcli.workflows.threshold.threshold import threshold
from calibcli.workflows.threshold.wish import Wish

QUICK = Conventions(confidence=None)
SHIFTS = {"front": 1.2, "rear": -1.2, "roof": 0.0}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    n = 6000
    camera = rng.choice([*SHIFTS, "lab"], n, p=[0.5, 0.3, 0.198, 0.002])
    z = rng.normal(0, 1.5, n)
    shift = np.array([SHIFTS.get(name, 0.0) for name in camera])
    y = (rng.random(n) < expit(z + shift)).astype(int)
    return pd.DataFrame({"score": expit(z), "label": y, "camera": camera})


@pytest.fixture(scope="module")
def fitted(frame, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("groups")
    frame.to_csv(tmp_path / "s.csv", index=False)
    out = tmp_path / "c.json"
    options = FitOptions(method="platt", per_group="camera")
    result = fit(InputSpec(paths=(str(tmp_path / "s.csv"),)), QUICK, options, output=str(out))
    return result, str(out), str(tmp_path / "s.csv")


def test_each_group_recovers_its_shift(fitted):
    result = fitted[0]
    groups = result["calibrator"]["groups"]
    for name, shift in SHIFTS.items():
        own = groups[name]["calibrator"]
        assert -own["B"] == pytest.approx(shift, abs=0.2)
        assert -own["A"] == pytest.approx(1.0, abs=0.15)
        assert groups[name]["weight"] > 0.9
    after, before = (result[k]["metrics"]["nll"]["value"] for k in ("after", "before"))
    assert after < before - 0.05


def test_small_groups_fall_back_and_say_so(fitted):
    result = fitted[0]
    lab = result["calibrator"]["groups"]["lab"]
    assert lab["calibrator"] is None
    assert lab["weight"] == 0.0
    row = next(one for one in result["groups"] if one["slice"]["value"] == "lab")
    assert "overall map" in row["note"]
    assert row["rows"] == lab["rows"]


def test_groups_after_are_held_out_rows_of_that_group(fitted, frame):
    for one in fitted[0]["groups"]:
        rows = int((frame.camera == one["slice"]["value"]).sum())
        assert one["before"]["metrics"]["n"]["value"] == rows
        assert one["after"]["metrics"]["n"]["value"] == rows


def test_apply_and_the_python_api_agree(fitted, frame, tmp_path):
    _, calibrator, path = fitted
    out = tmp_path / "out.csv"
    said = apply(calibrator, InputSpec(paths=(path,)), str(out))
    written = pd.read_csv(out)["probability"].to_numpy()
    loaded = load_calibrator(calibrator)
    assert said["warnings"] == []
    found = loaded.apply(frame.score.to_numpy(), groups=frame.camera.to_numpy())
    assert written == pytest.approx(found, rel=1e-12)


def test_unseen_groups_have_the_overall_map_and_are_counted(fitted, tmp_path):
    _, calibrator, _ = fitted
    pd.DataFrame({"score": [0.3, 0.4], "camera": ["new", "front"]}).to_csv(
        tmp_path / "new.csv", index=False
    )
    out = tmp_path / "out.csv"
    said = apply(calibrator, InputSpec(paths=(str(tmp_path / "new.csv"),)), str(out))
    assert "1 rows belong to groups" in said["warnings"][0]
    overall = json.loads(Path(calibrator).read_text())["calibrator"]["overall"]
    expected = expit(-(overall["A"] * np.log(0.3 / 0.7) + overall["B"]))
    assert pd.read_csv(out)["probability"][0] == pytest.approx(float(expected))


def test_without_the_group_column_or_values_it_refuses(fitted, tmp_path):
    _, calibrator, _ = fitted
    pd.DataFrame({"score": [0.3]}).to_csv(tmp_path / "bare.csv", index=False)
    with pytest.raises(InputError, match="camera"):
        apply(calibrator, InputSpec(paths=(str(tmp_path / "bare.csv"),)), str(tmp_path / "o.csv"))
    loaded = load_calibrator(calibrator)
    with pytest.raises(InputError, match="camera"):
        loaded.apply([0.3])
    with pytest.raises(InputError, match="2 groups for 1 scores"):
        loaded.apply([0.3], groups=["front", "rear"])


def test_measure_and_threshold_use_each_rows_own_map(fitted, frame, tmp_path):
    _, calibrator, path = fitted
    spec = InputSpec(paths=(path,))
    p = load_calibrator(calibrator).apply(frame.score.to_numpy(), groups=frame.camera.to_numpy())
    found = measure(spec, QUICK, calibrator=calibrator)
    expected = float(np.mean((p - frame.label.to_numpy()) ** 2))
    brier = found["overall"]["calibrated"]["metrics"]["brier"]["value"]
    assert brier == pytest.approx(expected, rel=1e-9)
    shown = measure(InputSpec(paths=(path,), groups=("camera",)), QUICK, calibrator=calibrator)
    assert [one["slice"]["value"] for one in shown["groups"]] == ["front", "lab", "rear", "roof"]
    wish = Wish.parse("f1", (), None, None)
    cut = threshold(spec, QUICK, wish, calibrator=calibrator)["thresholds"][0]
    assert cut["confusion"]["tp"] == int(((p >= cut["threshold"]) & (frame.label == 1)).sum())


@pytest.mark.slow
def test_groups_that_do_not_differ_share_one_map(tmp_path):
    shared = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        z = rng.normal(0, 1.5, 3000)
        frame = pd.DataFrame(
            {
                "score": expit(2 * z),
                "label": (rng.random(3000) < expit(z)).astype(int),
                "g": rng.integers(0, 6, 3000),
            }
        )
        frame.to_csv(tmp_path / "s.csv", index=False)
        spec = InputSpec(paths=(str(tmp_path / "s.csv"),))
        result = fit(spec, QUICK, FitOptions(per_group="g"))
        weights = [one["weight"] for one in result["calibrator"]["groups"].values()]
        shared += not any(weights)
    assert shared >= 4


def test_several_classes_by_group(tmp_path):
    rng = np.random.default_rng(1)
    n, heat = 6000, {"a": 1.0, "b": 3.0}
    group = rng.choice(list(heat), n)
    z = rng.normal(0, 2, (n, 3))
    p = softmax(z / np.array([heat[g] for g in group])[:, None])
    y = (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1)
    frame = pd.DataFrame(z, columns=["s_0", "s_1", "s_2"])
    frame.assign(label=y, g=group).to_parquet(tmp_path / "s.parquet")
    spec = InputSpec(paths=(str(tmp_path / "s.parquet"),), scores=("s_*",), logits=True)
    out = str(tmp_path / "c.json")
    result = fit(spec, QUICK, FitOptions(method="temperature", per_group="g"), output=out)
    for name, expected in heat.items():
        own = result["calibrator"]["groups"][name]
        assert own["calibrator"]["temperature"] == pytest.approx(expected, rel=0.1)
        assert own["weight"] > 0.9
    found = load_calibrator(out).apply(z, groups=group)
    assert found.sum(axis=1) == pytest.approx(np.ones(n))
    after = measure(spec, QUICK, calibrator=out)["overall"]["calibrated"]["metrics"]["nll"]
    truth = -np.log(found[np.arange(n), y]).mean()
    assert after["value"] == pytest.approx(float(truth), rel=1e-6)


def test_labels_of_a_multilabel_task_by_group(tmp_path):
    rng = np.random.default_rng(2)
    n = 4000
    group = rng.choice(["a", "b"], n)
    z = rng.normal(0, 1.5, (n, 2))
    shift = np.where(group == "a", 1.5, -1.5)[:, None] * np.array([1.0, 0.0])
    y = (rng.random((n, 2)) < expit(z + shift)).astype(int)
    frame = pd.DataFrame(expit(z), columns=["p_x", "p_y"])
    frame = frame.assign(y_x=y[:, 0], y_y=y[:, 1], g=group)
    frame.to_parquet(tmp_path / "s.parquet")
    spec = InputSpec(
        paths=(str(tmp_path / "s.parquet"),),
        scores=("p_x", "p_y"),
        label="y_x,y_y",
        task="multilabel",
    )
    out = str(tmp_path / "c.json")
    result = fit(spec, QUICK, FitOptions(method="platt", per_group="g"), output=out)
    weights = result["calibrator"]["groups"]["a"]["weight"]
    assert weights[0] > 0.9
    p = load_calibrator(out).apply(expit(z), groups=group)
    assert np.abs(p[:, 0] - expit(z + shift)[:, 0]).mean() < 0.03


def test_saved_statistics_with_the_groups_serve_too(fitted, tmp_path):
    _, _, path = fitted
    stats = str(tmp_path / "stats.json")
    measure(InputSpec(paths=(path,), groups=("camera",)), QUICK, save_stats=stats)
    options = FitOptions(method="platt", per_group="camera")
    again = fit(InputSpec(paths=(stats,)), QUICK, options)
    for name, one in fitted[0]["calibrator"]["groups"].items():
        other = again["calibrator"]["groups"][name]
        assert other["rows"] == one["rows"]
        if one["calibrator"] is not None:
            assert other["calibrator"]["A"] == pytest.approx(one["calibrator"]["A"], rel=1e-6)
