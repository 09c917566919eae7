"""Times as periods, against pandas, in every type that a file may hold them in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calibcli.errors import InputError
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.rows.dataset import InputSpec, open_dataset
from calibcli.io.rows.keys import Categories
from calibcli.io.rows.periods import cut, split_unit

TIMES = pd.date_range("2018-12-28 22:30", periods=60, freq="17h")


def periods(path, name):
    dataset = open_dataset(InputSpec((str(path),), groups=(name,)))
    found = []
    for batch in dataset.batches():
        (group,) = batch.groups
        found += [group.values[code] for code in group.codes]
    return found


@pytest.fixture
def frame():
    return pd.DataFrame({"score": np.linspace(0, 1, 60), "label": np.arange(60) % 2, "at": TIMES})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("unit", "oracle"),
    [
        ("hour", TIMES.strftime("%Y-%m-%d %H:00")),
        ("day", TIMES.strftime("%Y-%m-%d")),
        ("week", TIMES.to_period("W-SUN").start_time.strftime("%Y-%m-%d")),
        ("month", TIMES.strftime("%Y-%m")),
        ("quarter", [f"{t.year}-Q{t.quarter}" for t in TIMES]),
        ("year", TIMES.strftime("%Y")),
        ("period", TIMES.strftime("%Y-%m-%d")),
    ],
)
def test_units_are_those_of_pandas(tmp_path, frame, suffix, unit, oracle):
    path = tmp_path / f"x.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    assert periods(path, f"{unit}:at") == list(oracle)


def test_dates_and_other_columns(tmp_path, frame):
    frame["date"] = frame["at"].dt.date
    frame["n"] = np.arange(60) // 7
    frame["day:odd"] = "x"
    frame.to_parquet(tmp_path / "x.parquet")
    path = tmp_path / "x.parquet"
    assert periods(path, "period:date") == list(TIMES.strftime("%Y-%m-%d"))
    assert periods(path, "month:date") == list(TIMES.strftime("%Y-%m"))
    assert periods(path, "period:n") == [str(i // 7) for i in range(60)]
    assert periods(path, "day:odd") == ["x"] * 60  # a column of that very name


def test_time_zones_are_not_converted(tmp_path, frame):
    frame["at"] = frame["at"].dt.strftime("%Y-%m-%dT%H:%M:%S+09:00")
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert periods(tmp_path / "x.csv", "day:at") == list(TIMES.strftime("%Y-%m-%d"))


def test_missing_times_stay_missing(tmp_path, frame):
    frame.loc[3, "at"] = pd.NaT
    frame.to_parquet(tmp_path / "x.parquet")
    assert periods(tmp_path / "x.parquet", "day:at")[3] == "(missing)"


@pytest.mark.parametrize("bad", ["yesterday", "2018-02-30", "12/31/2018", "2018-1-1"])
def test_what_is_no_date_is_named(tmp_path, frame, bad):
    frame["at"] = frame["at"].astype(str)
    frame.loc[7, "at"] = bad
    frame.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(InputError, match=r"column 'at' of .*x.csv, row 8: not a date"):
        periods(tmp_path / "x.csv", "month:at")


def test_dates_have_no_hours():
    with pytest.raises(BadValueError):
        cut(Categories(np.zeros(1, np.int32), ["2018-01-01"]), "hour")


def test_a_name_with_a_colon_is_a_column():
    assert split_unit("camera:front") == (None, "camera:front")
    assert split_unit("day:") == (None, "day:")
    assert split_unit("week:a:b") == ("week", "a:b")
