from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from calibcli.io.rows.dataset import Batch, Dataset, InputSpec, open_dataset


@dataclass
class Rows:
    """All batches of a data set, end to end."""

    scores: np.ndarray
    labels: np.ndarray | None
    weight: np.ndarray | None
    count: np.ndarray | None
    groups: list[list[str]]
    unit: np.ndarray | None
    dropped: int


def joined(batches: list[Batch]) -> Rows:
    def column(name: str) -> np.ndarray | None:
        values = [getattr(batch, name) for batch in batches]
        return None if values[0] is None else np.concatenate(values)

    groups = [
        [g.values[c] for batch in batches for g in [batch.groups[i]] for c in g.codes]
        for i in range(len(batches[0].groups))
    ]
    scores = column("scores")
    assert scores is not None
    return Rows(
        scores,
        column("labels"),
        column("weight"),
        column("count"),
        groups,
        column("unit"),
        sum(batch.dropped for batch in batches),
    )


@pytest.fixture
def read() -> Callable[..., Rows]:
    def run(*paths: Any, need_labels: bool | None = True, **options: Any) -> Rows:
        spec = InputSpec(tuple(map(str, paths)), **options)
        return joined(list(open_dataset(spec, need_labels=need_labels).batches()))

    return run


@pytest.fixture
def opened() -> Callable[..., Dataset]:
    def run(
        *paths: Any, need_labels: bool | None = True, keep: bool = False, **options: Any
    ) -> Dataset:
        spec = InputSpec(tuple(map(str, paths)), **options)
        return open_dataset(spec, need_labels=need_labels, keep_columns=keep)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a table (a dict of columns) under a name whose suffix tells the type."""

    def run(name: str, columns: dict[str, Any] | str | bytes, **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(columns, str):
            path.write_text(columns, encoding="utf-8", newline="")
            return path
        if isinstance(columns, bytes):
            path.write_bytes(columns)
            return path
        if ".jsonl" in name or ".ndjson" in name:
            rows = pa.table(columns).to_pylist()
            text = "".join(json.dumps(row, allow_nan=True) + "\n" for row in rows)
            with pa.output_stream(path, compression="detect") as file:
                file.write(text.encode())
            return path
        table = pa.table(columns)
        if path.suffix == ".parquet":
            pa.parquet.write_table(table, path, **options)
        elif path.suffix == ".arrow":
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table, **options)
        elif path.suffix == ".arrows":
            with pa.ipc.new_stream(path, table.schema) as writer:
                writer.write_table(table, **options)
        else:
            with pa.output_stream(path, compression="detect") as file:
                pa.csv.write_csv(table, file, **options)
        return path

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, where mounting one is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)
