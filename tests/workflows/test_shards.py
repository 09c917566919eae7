"""Parts of the data in other processes or engines: saved statistics, and counts from SQL."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.sql_engines import DUCKDB, SPARK, spark_session

DOC = Path(__file__).parents[2] / "docs" / "scale.md"


@pytest.fixture(scope="module", params=["exact", "grid"])
def shards(request, tmp_path_factory):
    """Three Parquet files; in the grid, no file alone has too many distinct scores, all have."""
    import pyarrow as pa
    from pyarrow import parquet

    from calibcli.cli.main import main

    folder = tmp_path_factory.mktemp(request.param)
    rng = np.random.default_rng(0)
    rows = 3000 if request.param == "exact" else 110_000
    for shard in range(3):
        score = rng.beta(0.7, 0.7, rows)
        columns = {
            "score": score.round(2) if request.param == "exact" else score,
            "label": (rng.random(rows) < score**1.3).astype(np.int8),
            "camera": rng.choice(["front", "rear"], rows),
        }
        path = folder / f"{shard}.parquet"
        parquet.write_table(pa.table(columns), path)
        saved = folder / f"{shard}.stats.json"
        save = ["--group", "camera", "--no-ci", "--save-stats", str(saved)]
        assert main(["measure", str(path), *save]) == 0
    return folder


def run(capsys, *arguments):
    from calibcli.cli.main import main

    capsys.readouterr()
    code = main([*map(str, arguments), "--format", "json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return json.loads(printed.out)


@pytest.mark.slow
def test_measure_of_statistics_is_measure_of_all_rows(shards, capsys):
    whole = run(capsys, "measure", f"{shards}/*.parquet", "--group", "camera", "--no-ci")
    parts = run(capsys, "measure", f"{shards}/*.stats.json", "--no-ci")
    for one, other in zip(
        [whole["overall"], *whole["groups"]], [parts["overall"], *parts["groups"]], strict=True
    ):
        assert one["slice"] == other["slice"]
        assert one["confusion"] == other["confusion"]
        assert one["bins"] == other["bins"]
        assert one["metrics"].keys() == other["metrics"].keys()
        for name, figure in one["metrics"].items():
            # Statistics hold the cells of the grid only, not the finer ones of ranking figures.
            error = 1e-5 if name in ("auc", "average_precision") else 0.0
            again = other["metrics"][name]["value"]
            assert figure["value"] == pytest.approx(again, rel=1e-12, abs=error)


@pytest.mark.slow
def test_the_other_commands_take_statistics_as_they_take_rows(shards, capsys, tmp_path):
    rows, parts = f"{shards}/*.parquet", f"{shards}/*.stats.json"
    found = {}
    for name, given in (("rows", rows), ("parts", parts)):
        fitted, cuts = tmp_path / f"{name}.json", tmp_path / f"{name}-cuts.json"
        run(capsys, "fit", given, "--method", "beta", "--no-ci", "-o", fitted)
        chosen = run(capsys, "threshold", given, "--maximize", "f1", "--no-ci", "-o", cuts)
        page = tmp_path / f"{name}.html"
        from calibcli.cli.main import main

        report = ["report", given, "--calibrator", str(fitted), "--no-ci", "-o", str(page)]
        assert main(report) == 0
        assert page.stat().st_size > 10_000
        found[name] = json.loads(fitted.read_text()), chosen
    (map_rows, cut_rows), (map_parts, cut_parts) = found["rows"], found["parts"]
    for parameter in ("a", "b", "c"):
        assert map_parts["calibrator"][parameter] == pytest.approx(
            map_rows["calibrator"][parameter], rel=1e-9
        )
    cut, same = cut_parts["thresholds"][0], cut_rows["thresholds"][0]
    assert cut["threshold"] == same["threshold"]
    assert cut["confusion"] == same["confusion"]


@pytest.mark.slow
def test_the_same_shard_twice_is_refused_under_any_name(shards, capsys, tmp_path):
    from calibcli.cli.main import main

    copy = tmp_path / "copy.stats.json"
    copy.write_bytes((shards / "0.stats.json").read_bytes())
    for command in ("measure", "report", "fit", "threshold"):
        out = [] if command == "measure" else ["-o", str(tmp_path / f"{command}.out.html")]
        assert main([command, str(shards / "0.stats.json"), str(copy), *out]) == 3
        assert "would count twice" in capsys.readouterr().err


def test_shards_are_told_apart_by_their_files_not_by_their_counts(capsys, tmp_path):
    from calibcli.cli.main import main

    for name, text in (("a", "0.2,0\n0.7,1\n"), ("b", "0.7,1\n0.2,0\n"), ("c", "0.3,1\n")):
        (tmp_path / f"{name}.csv").write_text(f"score,label\n{text}")
    for saved, names in (("a", "a"), ("b", "b"), ("ac", "ac")):
        paths = [str(tmp_path / f"{name}.csv") for name in names]
        assert main(["measure", *paths, "--save-stats", str(tmp_path / f"{saved}.json")]) == 0
    result = run(capsys, "measure", tmp_path / "a.json", tmp_path / "b.json")
    assert result["overall"]["metrics"]["n"]["value"] == 4
    assert [one["rows"] for one in result["inputs"]] == [2, 2]
    assert main(["measure", str(tmp_path / "a.json"), str(tmp_path / "ac.json")]) == 3
    assert "ac.json holds the same rows as" in capsys.readouterr().err


def query(engine):
    """Return the SQL of the documentation for an engine."""
    blocks = re.findall(r"^-- (\w+)\n(.*?)^```$", DOC.read_text(), re.DOTALL | re.MULTILINE)
    return dict(blocks)[engine]


def counts_of_duckdb(shards):
    import duckdb

    duckdb.sql(query("DuckDB").replace("dump/*.parquet", f"{shards}/*.parquet"))
    return "counts.parquet"


def counts_of_spark(shards):
    spark = spark_session()
    spark.read.parquet(*map(str, sorted(shards.glob("*.parquet")))).createOrReplaceTempView("dump")
    spark.sql(query("Spark").replace("s3a://bucket/counts/", f"{Path('counts').resolve()}/"))
    return "counts/*.parquet"


@pytest.mark.slow
@pytest.mark.parametrize("engine", [DUCKDB, SPARK])
def test_the_documented_sql_counts_as_reading_the_rows_does(
    engine, shards, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    counts = {"duckdb": counts_of_duckdb, "spark": counts_of_spark}[engine](shards)
    rows = run(capsys, "measure", f"{shards}/*.parquet", "--group", "camera")
    counted = run(capsys, "measure", counts, "--count", "rows", "--group", "camera")
    for one, other in zip(
        [rows["overall"], *rows["groups"]], [counted["overall"], *counted["groups"]], strict=True
    ):
        for key in ("confusion", "bins"):
            assert one[key] == other[key]
        for name, figure in one["metrics"].items():
            for end in ("value", "low", "high"):
                again = other["metrics"][name][end]
                assert figure[end] == (again if again is None else pytest.approx(again, rel=1e-12))


def test_a_query_is_documented_for_each_engine():
    for engine in ("DuckDB", "BigQuery", "Snowflake", "Spark", "Trino"):
        text = query(engine)
        assert "GROUP BY" in text
        assert "count(*)" in text.lower()
