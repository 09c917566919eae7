"""The commands in Python: the same JSON as in a shell, whatever holds the columns."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather

import calibcli
from calibcli.core.results.fit import FitResult
from calibcli.core.results.measure import MeasureResult
from calibcli.core.results.threshold import ThresholdResult
from calibcli.errors import AnswerNoError, CalibcliError, UsageError

ROWS = 600


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    z = rng.normal(size=ROWS)
    label = (rng.random(ROWS) < 1 / (1 + np.exp(-0.6 * z))).astype(int)
    region = np.where(rng.random(ROWS) < 0.5, "north", "south")
    columns = {"p_hat": 1 / (1 + np.exp(-z)), "churned": label, "region": region}
    return pd.DataFrame(columns, index=np.arange(ROWS) // 2)


COLUMNS = {"score": "p_hat", "label": "churned"}


class Stream:
    """Columns of a library that is known by Arrow's C stream alone."""

    def __init__(self, frame):
        self.table = pa.Table.from_pandas(frame, preserve_index=False)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Interchange:
    """Columns of a library that is known by the data frame protocol alone."""

    def __init__(self, frame):
        self.table = pa.Table.from_pandas(frame, preserve_index=False)

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self.table.__dataframe__(nan_as_null, allow_copy)


def holders():
    yield "pandas", lambda frame: frame
    yield "dict", lambda frame: {name: frame[name].tolist() for name in frame}
    yield "arrays", lambda frame: {name: frame[name].to_numpy() for name in frame}
    yield "arrow", lambda frame: pa.Table.from_pandas(frame, preserve_index=False)
    yield "stream", Stream
    yield "protocol", Interchange
    yield "duckdb", lambda frame: duckdb.from_df(frame)
    yield "category", lambda frame: frame.astype({"region": "category"})
    yield "objects", lambda frame: frame.assign(other=[{}, ()] * (len(frame) // 2))


HOLDERS = dict(holders())


@pytest.mark.parametrize("name", HOLDERS)
def test_the_same_bytes_as_in_a_shell(name, frame, good, tmp_path):
    path = tmp_path / "scores.arrow"
    feather.write_feather(frame.reset_index(drop=True), str(path))
    ran = good(
        "measure", path, "--score", "p_hat", "--label", "churned", "--group", "region",
        "--bins", "10,20", "--threshold", "0.4", "--threshold", "0.5", "--format", "json",
    )  # fmt: skip
    found = calibcli.measure(
        HOLDERS[name](frame), **COLUMNS, group="region", bins=[10, 20], threshold=[0.4, 0.5]
    )
    assert found.to_json() == ran.out.replace(f"{tmp_path}/", "")


def test_arrays_are_the_files_they_would_be(good, write):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 200)
    logits = rng.normal(size=(200, 3)).astype(np.float32) + 2 * np.eye(3, dtype=np.float32)[truth]
    scores, labels = write("scores.npy", logits), write("labels.npy", truth)
    ran = good("measure", scores, "--labels", labels, "--logits", "--format", "json")
    folder = f"{scores.parent}/"
    found = calibcli.measure(logits, label=truth, logits=True)
    assert found.to_json() == ran.out.replace(folder, "")
    assert calibcli.measure(logits, labels=truth, logits=True).to_json() == found.to_json()
    named = np.array(["a", "b", "c"])[truth]
    assert calibcli.measure(logits, label=named, logits=True, classes=["a", "b", "c"]).task


def test_results_are_typed_and_shown(frame, tmp_path):
    found = calibcli.measure(frame, **COLUMNS, group=["region"], fail_if=["ece>0.9"])
    assert isinstance(found, MeasureResult)
    assert found.overall.metrics["n"].value == ROWS
    assert found.passed
    assert repr(found).startswith("ECE ")
    assert "scores.arrow" in repr(found)
    page = found._repr_html_()
    assert page.count("<table>") >= 4
    assert "<script" not in page
    table = found.frame()
    ece = table.query("table == 'metrics' and metric == 'ece' and slice == 'overall'")
    assert ece["value"].item() == found.overall.ece.value
    found.report(tmp_path / "page.md", title="Churn")
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# Churn")
    assert not calibcli.measure(frame, **COLUMNS, fail_if="ece>0").passed


def test_fit_threshold_and_apply_hand_on_to_each_other(frame, good, tmp_path):
    fitted = calibcli.fit(frame, **COLUMNS, method="platt", output=tmp_path / "cal.json")
    assert isinstance(fitted, FitResult)
    chosen = calibcli.threshold(
        frame, **COLUMNS, calibrator=fitted, cost={"fp": 1, "fn": 4}, output=tmp_path / "cut.json"
    )
    assert isinstance(chosen, ThresholdResult)
    found = calibcli.apply(fitted, frame, thresholds=chosen)
    assert found.index.equals(frame.index)
    assert list(found) == ["p_hat", "churned", "region", "probability", "decision"]
    probability = fitted.apply(frame["p_hat"])
    np.testing.assert_array_equal(found["probability"], probability)
    np.testing.assert_array_equal(found["decision"], chosen.decide(probability))
    loaded = calibcli.load(tmp_path / "cal.json")
    np.testing.assert_array_equal(loaded.apply(frame["p_hat"]), probability)
    path, out = tmp_path / "scores.csv", tmp_path / "out.csv"
    frame.to_csv(path, index=False)
    good("apply", tmp_path / "cal.json", path, "--thresholds", tmp_path / "cut.json", "-o", out)
    pd.testing.assert_frame_equal(pd.read_csv(out), found.reset_index(drop=True), check_dtype=False)
    after = calibcli.measure(frame, **COLUMNS, calibrator=loaded, thresholds=chosen)
    assert after.overall.calibrated.ece.value < after.overall.ece.value
    assert after.params["calibrator"] == "calibrator.json"
    for one, caption in ((fitted, "Metrics"), (chosen, "Chosen thresholds")):
        assert caption in one._repr_html_()


def test_apply_gives_back_what_it_is_given(frame):
    fitted = calibcli.fit(frame, **COLUMNS, method="temperature")
    wanted = fitted.apply(frame["p_hat"])
    columns = {"p_hat": frame["p_hat"].tolist()}
    given = calibcli.apply(fitted, columns, score="p_hat")
    np.testing.assert_array_equal(given["probability"], wanted)
    np.testing.assert_array_equal(calibcli.apply(fitted, frame["p_hat"].to_numpy()), wanted)
    table = calibcli.apply(fitted, Stream(frame), score="p_hat")
    assert table.column_names == ["p_hat", "churned", "region", "probability"]
    with pytest.raises(UsageError, match="decisions are columns"):
        calibcli.apply(fitted, frame["p_hat"].to_numpy(), thresholds="cut.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "p_hat"}, "label='churned'"),
        ({"score": "p_hut", "label": "churned"}, "score='p_hat'"),
        ({**COLUMNS, "scroe": "p_hat"}, "did you mean 'score'"),
        ({**COLUMNS, "bins": "many"}, "whole numbers"),
        ({**COLUMNS, "binning": "both"}, "binning"),
        ({**COLUMNS, "label": "gone"}, "scores.arrow has no column 'gone'"),
    ],
)
def test_errors_say_what_to_write(options, message, frame):
    with pytest.raises(CalibcliError) as caught:
        calibcli.measure(frame, **options)
    assert message in str(caught.value)
    assert "/tmp" not in str(caught.value)
    assert "--" not in message


def test_drift_and_periods_are_typed_too(frame):
    days = frame.assign(day=np.repeat(["2026-01-01", "2026-01-02"], ROWS // 2))
    found = calibcli.measure(days, **COLUMNS, by="day", reference=frame)
    assert [one.value for one in found.series.periods] == ["2026-01-01", "2026-01-02"]
    assert found.drift.metrics["psi"].value < 0.1
    assert found.drift.reference.path == "reference.arrow"


def test_a_target_out_of_reach(frame):
    with pytest.raises(AnswerNoError, match="at most"):
        calibcli.threshold(
            frame, **COLUMNS, maximize="recall", subject_to=["precision>=0.9", "recall>=0.9"]
        )


def test_columns_of_different_length():
    with pytest.raises(UsageError, match="2, 3 rows"):
        calibcli.measure({"score": [0.1, 0.2], "label": [0, 1, 1]})


def test_nothing_is_printed_nor_read_beside_the_data(frame, capfd, tmp_path, monkeypatch):
    (tmp_path / "calibcli.toml").write_text('positive = "0"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALIBCLI_MEASURE_BINS", "7")
    found = calibcli.measure(frame, **COLUMNS)
    assert (found.params["positive"], found.params["bins"]) == (None, [15])
    assert capfd.readouterr() == ("", "")


def test_numbers_of_a_frame_are_exact(frame):
    found = calibcli.threshold(frame, **COLUMNS, maximize="f1")
    table = found.frame().query("metric == 'threshold'")
    assert table["value"].item() == found.thresholds[0].threshold
    assert json.loads(found.to_json())["thresholds"][0]["threshold"] == table["value"].item()


def test_two_results_side_by_side(frame, good, tmp_path):
    old, new = (calibcli.measure(frame, label="churned", bins=bins) for bins in (10, 20))
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, result in zip(paths, (old, new), strict=True):
        path.write_text(result.to_json())
    pair = calibcli.measure([str(path) for path in paths])
    assert pair.to_json() == good("measure", *paths, "--format", "json", "-q").out
    assert pair.overall.metrics["auc"].difference == 0.0
    assert pair.differ["bins"] == ((10,), (20,)) or list(pair.differ["bins"]) == [[10], [20]]
    assert "ece" in repr(pair)
    assert pair._repr_html_().startswith("<p>")
    rows = pair.frame().set_index(["slice", "metric"])
    assert rows.loc[("overall", "ece"), "first"] == old.overall.metrics["ece"].value
    assert calibcli.measure([old, new]).overall == pair.overall
    with pytest.raises(UsageError, match="bins is for scores"):
        calibcli.measure([old, new], bins=5)
    with pytest.raises(UsageError, match="compared with one other"):
        calibcli.measure(str(paths[0]))


def test_importing_the_package_is_light():
    code = "import calibcli, sys; calibcli.measure; print(*sorted(sys.modules), sep='\\n')"
    light = code.replace("calibcli.measure; ", "")
    for text, heavy in ((light, {"numpy", "typer"}), (code, {"pandas", "pyarrow", "sklearn"})):
        ran = subprocess.run([sys.executable, "-c", text], capture_output=True, check=True)
        names = {line.partition(".")[0] for line in io.StringIO(ran.stdout.decode())}
        assert not heavy & {name.strip() for name in names}
