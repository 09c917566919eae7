"""Databases in which exported SQL is run beside `apply`; those that are not here are skipped."""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

Columns = Mapping[str, Sequence[Any]]


def in_duckdb(sql: str, columns: Columns) -> list[tuple[Any, ...]]:
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    connection.register("t", _table(columns))
    found = connection.sql(f"select {sql} from t").fetchall()
    connection.close()
    return found


def in_sqlite(sql: str, columns: Columns) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("select exp(1.0), ln(1.0)")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite was built without math functions")
    named = ", ".join(
        f"{_quoted(name)} {'text' if _is_text(values) else 'real'}"
        for name, values in columns.items()
    )
    connection.execute(f"create table t ({named})")
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"insert into t values ({marks})", zip(*columns.values(), strict=True))
    found = connection.execute(f"select {sql} from t order by rowid").fetchall()
    connection.close()
    return found


def in_spark(sql: str, columns: Columns) -> list[tuple[Any, ...]]:
    spark = spark_session()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "t.parquet")
        parquet.write_table(_table(columns), path)
        spark.read.parquet(path).createOrReplaceTempView("t")
        return [tuple(row) for row in spark.sql(f"select {sql} from t").collect()]


@lru_cache
def spark_session() -> Any:
    """Return a session on one core, whose identifiers stand in double quotes as in standard SQL."""
    from pyspark.sql import SparkSession

    options = {
        "spark.ui.enabled": "false",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.ansi.doubleQuotedIdentifiers": "true",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.session.timeZone": "UTC",
    }
    made = SparkSession.builder.master("local[1]").appName("calibcli")
    for name, value in options.items():
        made = made.config(name, value)
    spark = made.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    atexit.register(spark.stop)
    return spark


def _table(columns: Columns) -> pa.Table:
    return pa.table(
        {
            name: pa.array(values, pa.string() if _is_text(values) else pa.float64())
            for name, values in columns.items()
        }
    )


def _is_text(values: Sequence[Any]) -> bool:
    return any(isinstance(one, str) for one in values)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _missing(package: str, *, java: bool = False) -> bool:
    return importlib.util.find_spec(package) is None or (java and shutil.which("java") is None)


RUN: dict[str, Callable[[str, Columns], list[tuple[Any, ...]]]] = {
    "sqlite": in_sqlite,
    "duckdb": in_duckdb,
    "spark": in_spark,
}
"""`RUN[engine](items of a SELECT, columns by name)` returns a tuple for each row, in order."""

DUCKDB = pytest.param(
    "duckdb", marks=pytest.mark.skipif(_missing("duckdb"), reason="duckdb is not installed")
)
SPARK = pytest.param(
    "spark",
    marks=[
        pytest.mark.skipif(
            _missing("pyspark", java=True), reason="pyspark or Java is not installed"
        ),
        pytest.mark.slow,
    ],
)
ENGINES = ("sqlite", DUCKDB, SPARK)
