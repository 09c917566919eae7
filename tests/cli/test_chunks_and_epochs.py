"""`--by rows:N` and times as seconds since 1970: the same periods as a column of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.io.rows.periods import chunks


@given(st.integers(0, 1000), st.integers(0, 300), st.integers(1, 400))
def test_a_chunk_is_the_number_of_the_row_by_its_size(first, rows, every):
    found = chunks(first, rows, every)
    numbers = [int(found.values[code]) for code in found.codes]
    assert numbers == [(first + row) // every for row in range(rows)]


def rows_of(n, seed=5):
    rng = np.random.default_rng(seed)
    score = np.round(rng.random(n), 6)
    return {"score": score, "label": (rng.random(n) < score).astype(int)}


@pytest.fixture
def periods(calibcli):
    def run(*arguments):
        ran = calibcli("measure", *arguments, "--no-ci", "--format", "json")
        assert ran.code == 0, ran.err
        return [
            (one["value"], {name: figure["value"] for name, figure in one["metrics"].items()})
            for one in json.loads(ran.out)["series"]["periods"]
        ]

    return run


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_chunks_go_over_files(periods, write, suffix):
    whole = rows_of(1500)
    chunk = np.arange(1500) // 400
    one = write("whole.csv", {**whole, "chunk": chunk})
    parts = [
        write(f"{name}.{suffix}", {key: column[at] for key, column in whole.items()})
        for name, at in (("a", slice(0, 700)), ("b", slice(700, 900)), ("c", slice(900, None)))
    ]
    wanted = periods(one, "--by", "chunk")
    assert periods(one, "--by", "rows:400") == wanted
    assert periods(*parts, "--by", "rows:400", "--threads", "3") == wanted
    assert [value for value, _ in wanted] == ["0", "1", "2", "3"]


def test_rows_that_are_left_out_have_their_number(periods, write):
    rows = rows_of(900)
    score = [str(value) for value in rows["score"]]
    score[10:60] = [""] * 50
    path = write("gaps.csv", {"score": np.array(score), "label": rows["label"]})
    found = periods(path, "--by", "rows:300", "--drop-invalid")
    assert [figures["n"] for _, figures in found] == [250, 300, 300]


@pytest.mark.parametrize("digits", [1, 1000])
@pytest.mark.parametrize("unit", ["hour", "week"])
def test_seconds_and_milliseconds_are_times(periods, write, digits, unit):
    seconds = 1_700_000_000 + np.arange(200) * 7777
    text = [f"{datetime.fromtimestamp(int(s), UTC):%Y-%m-%d %H:%M:%S}" for s in seconds]
    rows = rows_of(200)
    path = write("times.csv", {**rows, "at": seconds * digits, "text": np.array(text)})
    assert periods(path, "--by", f"{unit}:at") == periods(path, "--by", f"{unit}:text")


def test_other_numbers_are_no_times(calibcli, write):
    path = write("numbers.csv", {**rows_of(50), "at": np.arange(50)})
    ran = calibcli("measure", path, "--by", "day:at")
    assert ran.code == 3
    assert "not a date, to be cut by day" in ran.err


def test_a_column_of_that_name_is_a_column(periods, write):
    path = write("named.csv", {**rows_of(60), "rows:20": np.repeat(["x", "y"], 30)})
    assert [value for value, _ in periods(path, "--by", "rows:20")] == ["x", "y"]


def test_the_first_bad_chunk_of_employment(calibcli, shared_data):
    path = shared_data / "employment" / "production_2016_2018.parquet"
    how = ("--score", "predicted_probability", "--label", "employed", "--by", "rows:5000")
    gates = ("--fail-if", "auc<0.85", "--fail-if", "precision<0.7")
    ran = calibcli("measure", path, *how, "--no-ci", "--format", "json", *gates)
    series = json.loads(ran.out)["series"]
    assert series["first_bad"] == "27"
    assert series["periods"][27]["why"] == ["auc<0.85", "precision<0.7"]
