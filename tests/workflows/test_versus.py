"""`measure --versus` against arithmetic on whole arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calibcli.core.decisions.gates import evaluate_gate, parse_gate
from calibcli.core.results.reading import typed
from calibcli.errors import InputError, UsageError
from calibcli.io.rows.dataset import InputSpec
from calibcli.render.formats import csvout, markdown
from calibcli.render.formats import text as tables
from calibcli.workflows.apply.apply import apply
from calibcli.workflows.fit.fit import FitOptions, fit
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure
from tests.schemas import fits_schema


def softmax(z):
    w = np.exp(z - z.max(axis=1, keepdims=True))
    return w / w.sum(axis=1, keepdims=True)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    n = 700
    z = rng.normal(0, 1.5, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    other = 1 / (1 + np.exp(-z - rng.normal(0, 0.4, n)))
    return pd.DataFrame(
        {
            "score": 1 / (1 + np.exp(-2 * z)),
            "other": other,
            "label": y,
            "patient": rng.integers(0, 90, n),
            "w": rng.uniform(0.5, 2, n),
        }
    )


def run(spec, versus, **options):
    return measure(spec, Conventions(**options), versus=versus)["versus"]


def expected(frame, weight=None):
    y = frame["label"].to_numpy()
    w = np.ones(len(y)) if weight is None else weight
    found = {}
    for name, loss in {
        "nll": lambda p: -np.log(np.where(y == 1, p, 1 - p)),
        "brier": lambda p: (p - y) ** 2,
    }.items():
        d = loss(frame["other"].to_numpy()) - loss(frame["score"].to_numpy())
        mean = np.average(d, weights=w)
        error = np.sqrt((w**2 * (d - mean) ** 2).sum()) / w.sum()
        found[name] = mean, mean - 1.959963984540054 * error, mean + 1.959963984540054 * error
    return found


def close(result, wanted):
    for name, (value, low, high) in wanted.items():
        item = result["metrics"][name]
        assert item["value"] == pytest.approx(value, rel=1e-9)
        assert (item["low"], item["high"]) == pytest.approx((low, high), rel=1e-7)


def test_a_column_of_the_same_file(frame, tmp_path):
    path = tmp_path / "two.parquet"
    frame.to_parquet(path, row_group_size=130)
    result = run(InputSpec((str(path),), score="score"), "other")
    close(result, expected(frame))
    assert (result["score"], result["source"]) == ("other", "column")
    weighted = run(InputSpec((str(path),), score="score", weight="w"), "other")
    close(weighted, expected(frame, frame["w"].to_numpy()))


@pytest.mark.parametrize("form", ["npy", "csv", "parquet"])
def test_a_file_of_the_same_rows_cut_into_other_batches(frame, tmp_path, form):
    first, second = tmp_path / "first.parquet", tmp_path / f"second.{form}"
    frame.drop(columns="other").to_parquet(first, row_group_size=170)
    if form == "npy":
        np.save(second, frame["other"].to_numpy())
    elif form == "csv":
        frame[["other", "label"]].rename(columns={"other": "p"}).to_csv(second, index=False)
    else:
        frame[["other"]].rename(columns={"other": "score"}).to_parquet(second, row_group_size=113)
    result = run(InputSpec((str(first),), score="score"), str(second))
    close(result, expected(frame))
    assert result["source"] == "file"


def test_several_files_against_one(frame, tmp_path):
    for part in range(3):
        frame.iloc[part * 300 : part * 300 + 300].to_csv(tmp_path / f"part{part}.csv", index=False)
    np.save(tmp_path / "b.npy", frame["other"].to_numpy())
    spec = InputSpec(tuple(str(tmp_path / f"part{i}.csv") for i in range(3)), score="score")
    close(run(spec, str(tmp_path / "b.npy")), expected(frame))


def test_counts_stand_for_rows(frame, tmp_path):
    frame["c"] = np.random.default_rng(1).integers(0, 4, len(frame))
    frame.to_csv(tmp_path / "c.csv", index=False)
    result = run(InputSpec((str(tmp_path / "c.csv"),), score="score", count="c"), "other")
    close(result, expected(frame.loc[frame.index.repeat(frame["c"])]))


def test_clusters_widen_the_interval_of_copied_rows(frame, tmp_path):
    frame["row"] = np.arange(len(frame))
    pd.concat([frame] * 4).to_csv(tmp_path / "copies.csv", index=False)
    path = (str(tmp_path / "copies.csv"),)
    apart = run(InputSpec(path, score="score"), "other")["metrics"]["nll"]
    together = run(InputSpec(path, score="score", cluster="row"), "other")["metrics"]["nll"]
    ratio = (together["high"] - together["low"]) / (apart["high"] - apart["low"])
    assert 1.5 < ratio < 2.7  # 2, but for the noise of 64 buckets


def test_rows_that_only_one_model_scored_are_left_out(frame, tmp_path):
    frame.loc[5, "score"] = np.nan
    frame.loc[[7, 300], "other"] = np.nan
    frame.to_csv(tmp_path / "holes.csv", index=False)
    path = (str(tmp_path / "holes.csv"),)
    result = run(InputSpec(path, score="score", drop_invalid=True), "other")
    close(result, expected(frame.drop(index=[5, 7, 300])))
    frame.loc[5, "score"] = 0.5
    frame.to_csv(tmp_path / "holes.csv", index=False)
    with pytest.raises(InputError, match="2 rows without a score"):
        run(InputSpec(path, score="score"), "other")


@pytest.mark.slow
@pytest.mark.parametrize("logits", [False, True])
def test_several_classes_from_arrays(tmp_path, logits):
    rng = np.random.default_rng(2)
    n, k = 900, 4
    z = rng.normal(0, 1.5, (n, k))
    y = np.array([rng.choice(k, p=row) for row in softmax(z)])
    a, b = 2 * z, z + rng.normal(0, 0.3, (n, k))
    pa, pb = softmax(a), softmax(b)
    for name, x in (("a", a if logits else pa), ("b", b if logits else pb), ("y", y)):
        np.save(tmp_path / f"{name}.npy", x)
    spec = InputSpec((str(tmp_path / "a.npy"),), labels=str(tmp_path / "y.npy"), logits=logits)
    metrics = run(spec, str(tmp_path / "b.npy"))["metrics"]
    rows = np.arange(n)
    one_hot = np.eye(k)[y]
    row_losses = {
        "nll": (-np.log(pa[rows, y]), -np.log(pb[rows, y])),
        "brier": (((pa - one_hot) ** 2).sum(axis=1), ((pb - one_hot) ** 2).sum(axis=1)),
        "accuracy": (a.argmax(axis=1) == y, b.argmax(axis=1) == y),
        "mean_score": (pa.max(axis=1), pb.max(axis=1)),
    }
    for name, (first, second) in row_losses.items():
        d = second.astype(float) - first
        half = 1.959963984540054 * d.std() / np.sqrt(n)
        item = metrics[name]
        assert item["value"] == pytest.approx(d.mean(), rel=1e-7, abs=1e-12), name
        assert item["high"] - item["value"] == pytest.approx(half, rel=1e-7), name
    from sklearn.metrics import roc_auc_score

    boot = []
    for seed in range(80):
        pick = np.random.default_rng(seed).integers(0, n, n)
        aucs = [roc_auc_score(one_hot[pick], p[pick], average="macro") for p in (pa, pb)]
        boot.append(aucs[1] - aucs[0])
    error = (metrics["auc"]["high"] - metrics["auc"]["value"]) / 1.959963984540054
    assert error == pytest.approx(np.std(boot), rel=0.3)


def test_several_labels_a_row(tmp_path):
    rng = np.random.default_rng(3)
    p, q = rng.random((300, 3)), rng.random((300, 3))
    y = (rng.random((300, 3)) < p).astype(int)
    for name, x in (("p", p), ("q", q), ("y", y)):
        np.save(tmp_path / f"{name}.npy", x)
    spec = InputSpec((str(tmp_path / "p.npy"),), labels=str(tmp_path / "y.npy"), task="multilabel")
    item = run(spec, str(tmp_path / "q.npy"))["metrics"]["brier"]
    d = ((q - y) ** 2 - (p - y) ** 2).mean(axis=1)
    assert item["value"] == pytest.approx(d.mean())
    assert item["high"] - item["value"] == pytest.approx(1.959963984540054 * d.std() / 300**0.5)


def test_verdict_gates_and_every_format(frame, tmp_path):
    frame.to_csv(tmp_path / "two.csv", index=False)
    spec = InputSpec((str(tmp_path / "two.csv"),), score="score")
    result = measure(spec, Conventions(), versus="other", fail_if=["versus.nll.low>0"])
    assert result["gates"][0]["passed"]
    assert evaluate_gate(parse_gate("versus.nll.high<0"), result).passed is False
    assert result["versus"]["verdict"].startswith("the second model (other) has the better")
    fits_schema(result, "measure")
    assert "second (other)" in tables.render_measure(typed(result))
    assert "Versus other" in markdown.render_measure(typed(result))
    assert "difference,overall,,,versus,other,nll" in csvout.render_measure(typed(result))
    swapped = run(InputSpec((str(tmp_path / "two.csv"),), score="other"), "score")
    assert swapped["verdict"].startswith("the first model has the better")
    nll, back = result["versus"]["metrics"]["nll"], swapped["metrics"]["nll"]
    assert (back["value"], back["low"]) == pytest.approx((-nll["value"], -nll["high"]))


def test_the_same_model_twice_is_told_apart_by_nothing(frame, tmp_path):
    frame.to_csv(tmp_path / "two.csv", index=False)
    result = run(InputSpec((str(tmp_path / "two.csv"),), score="score"), "score")
    assert result["metrics"]["auc"]["value"] == result["metrics"]["auc"]["low"] == 0.0
    assert "do not tell" in result["verdict"]


def test_without_intervals_there_is_no_winner(frame, tmp_path):
    frame.to_csv(tmp_path / "two.csv", index=False)
    spec = InputSpec((str(tmp_path / "two.csv"),), score="score")
    result = run(spec, "other", confidence=None)
    assert result["metrics"]["nll"]["low"] is None
    assert "without intervals" in result["verdict"]


def test_other_rows_are_refused(frame, tmp_path):
    path = tmp_path / "two.csv"
    frame.to_csv(path, index=False)
    spec = InputSpec((str(path),), score="score")
    for rows in (slice(0, 699), slice(0, 10)):
        np.save(tmp_path / "short.npy", frame["other"].to_numpy()[rows])
        with pytest.raises(InputError, match="as many rows"):
            run(spec, str(tmp_path / "short.npy"))
    np.save(tmp_path / "long.npy", np.append(frame["other"], 0.5))
    with pytest.raises(InputError, match="as many rows"):
        run(spec, str(tmp_path / "long.npy"))
    turned = frame[["other", "label"]].rename(columns={"other": "p"}).iloc[::-1]
    turned.to_csv(tmp_path / "turned.csv", index=False)
    with pytest.raises(InputError, match="another label"):
        run(spec, str(tmp_path / "turned.csv"))
    with pytest.raises(InputError, match="no column 'othr'"):
        run(spec, "othr")
    np.save(tmp_path / "wide.npy", np.full((700, 3), 1 / 3))
    with pytest.raises(InputError):
        run(spec, str(tmp_path / "wide.npy"))


def test_saved_statistics_have_no_rows(frame, tmp_path):
    path, stats = tmp_path / "two.csv", tmp_path / "stats.json"
    frame.to_csv(path, index=False)
    measure(InputSpec((str(path),), score="score"), Conventions(), save_stats=str(stats))
    with pytest.raises(UsageError, match="row by row"):
        run(InputSpec((str(stats),)), "other")


# -- slices and calibration ------------------------------------------------------------------------


def same(one, other):
    """The same differences, undefined ones included."""
    keys = ("value", "low", "high", "first", "second")
    a, b = (np.array([item[key] for key in keys], dtype=float) for item in (one, other))
    return np.allclose(a, b, rtol=1e-8, atol=1e-11, equal_nan=True)


@pytest.mark.parametrize("logits", [False, True])
def test_each_group_is_as_if_its_rows_were_alone(frame, tmp_path, logits):
    frame = frame.assign(camera=np.where(np.arange(len(frame)) % 3, "b", "a"))
    if logits:
        for name in ("score", "other"):
            frame[name] = np.log(frame[name] / (1 - frame[name]))
    path = tmp_path / "s.parquet"
    frame.to_parquet(path)
    spec = InputSpec(
        paths=(str(path),), score="score", groups=("camera",), weight="w", logits=logits
    )
    groups = run(spec, "other")["groups"]
    assert [one["slice"]["value"] for one in groups] == ["a", "b"]
    for one in groups:
        own = tmp_path / "own.parquet"
        frame[frame.camera == one["slice"]["value"]].to_parquet(own)
        alone = run(InputSpec(paths=(str(own),), score="score", weight="w", logits=logits), "other")
        for name, item in alone["metrics"].items():
            assert same(one["metrics"][name], item)


def test_groups_that_are_in_files_of_their_own(frame, tmp_path):
    frame = frame.assign(camera=np.where(np.arange(len(frame)) % 3, "b", "a"))
    whole = tmp_path / "whole.parquet"
    frame.sort_values("camera").to_parquet(whole)
    parts = [tmp_path / f"{name}.parquet" for name in "ab"]
    for path in parts:
        frame[frame.camera == path.stem].to_parquet(path)
    found = [
        run(InputSpec(paths=tuple(map(str, paths)), score="score", groups=("camera",)), "other")
        for paths in ([whole], parts)
    ]
    for one, other in zip(*(result["groups"] for result in found), strict=True):
        assert one["slice"] == other["slice"]
        for name, item in one["metrics"].items():
            assert same(other["metrics"][name], item)


@pytest.mark.parametrize("logits", [False, True])
def test_each_class_is_the_binary_comparison_of_its_column(tmp_path, logits):
    rng = np.random.default_rng(5)
    z = rng.normal(0, 1.5, (600, 3))
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    other = 2 * z + rng.normal(0, 0.5, z.shape)
    for name, one in (("a", z), ("b", other)):
        np.save(tmp_path / f"{name}.npy", one if logits else softmax(one))
    np.save(tmp_path / "y.npy", y)
    spec = InputSpec(
        paths=(str(tmp_path / "a.npy"),), labels=str(tmp_path / "y.npy"), logits=logits
    )
    classes = run(spec, str(tmp_path / "b.npy"))["classes"]
    table = pd.DataFrame({"label": (y == 2).astype(int)})
    table["score"], table["other"] = softmax(z)[:, 2], softmax(other)[:, 2]
    table.to_parquet(tmp_path / "one.parquet")
    alone = run(InputSpec(paths=(str(tmp_path / "one.parquet"),), score="score"), "other")
    assert [one["slice"]["name"] for one in classes] == ["0", "1", "2"]
    for name in ("nll", "brier", "auc"):
        for key in ("value", "low", "high"):
            expected = pytest.approx(alone["metrics"][name][key], rel=1e-6)
            assert classes[2]["metrics"][name][key] == expected


def test_the_first_model_is_compared_calibrated_too(frame, tmp_path):
    path = str(tmp_path / "s.parquet")
    frame.to_parquet(path)
    spec = InputSpec(paths=(path,), score="score")
    fit(spec, Conventions(), FitOptions(method="platt"), output=str(tmp_path / "c.json"))
    found = measure(spec, Conventions(), versus="other", calibrator=str(tmp_path / "c.json"))
    apply(str(tmp_path / "c.json"), spec, str(tmp_path / "p.parquet"))
    after = run(InputSpec(paths=(str(tmp_path / "p.parquet"),), score="probability"), "other")
    for name, item in after["metrics"].items():
        assert same(found["versus"]["calibrated"]["metrics"][name], item)
    assert found["versus"]["metrics"]["nll"]["first"] > after["metrics"]["nll"]["first"]
    text = tables.render_measure(typed(found))
    assert "first, calibrated" in text
    assert any(
        "versus, calibrated" in line for line in csvout.render_measure(typed(found)).splitlines()
    )


def test_a_pool_of_models_is_not_compared_with_one(frame, tmp_path):
    path = str(tmp_path / "s.parquet")
    frame.to_parquet(path)
    spec, out = InputSpec(paths=(path,)), str(tmp_path / "c.json")
    fit(spec, Conventions(), FitOptions(method="platt", models=("score", "other")), output=out)
    with pytest.raises(UsageError, match="pools several"):
        measure(spec, Conventions(), versus="other", calibrator=out)


@pytest.mark.slow
def test_two_honest_models_do_not_differ_in_calibration(tmp_path):
    """The sharper one's plain ECE is larger by noise alone; so is that of its classes."""
    rng = np.random.default_rng(5)
    surely = 0
    for _ in range(4):
        p = rng.dirichlet(np.full(6, 0.3), 1500)
        label = (rng.random((1500, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, 5)
        blunt = np.where(rng.random((1500, 1)) < 0.5, p, 1 / 6)
        for name, array in (("p", p), ("q", blunt), ("y", label)):
            np.save(tmp_path / f"{name}.npy", array)
        spec = InputSpec(paths=(str(tmp_path / "p.npy"),), labels=str(tmp_path / "y.npy"))
        found = run(spec, str(tmp_path / "q.npy"))["metrics"]
        surely += sum(
            not found[name]["low"] <= 0.0 <= found[name]["high"]
            for name in ("ece", "classwise_ece", "brier_miscalibration")
        )
    assert surely <= 1  # of twelve


def test_a_clear_difference_in_calibration_is_seen(frame, tmp_path):
    path = tmp_path / "s.csv"
    frame.to_csv(path, index=False)
    spec = InputSpec(paths=(str(path),), score="score", label="label")
    found = run(spec, "other")["metrics"]
    for name in ("smooth_ece", "ece_debiased", "calibration_slope"):
        item = found[name]
        assert item["low"] < item["value"] < item["high"]
    assert found["calibration_slope"]["low"] > 0.0
    assert found["spiegelhalter_p"]["low"] is None
