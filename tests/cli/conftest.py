from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write text, bytes, an array, or a dict of columns (as CSV or Parquet)."""

    def run(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        elif isinstance(content, np.ndarray):
            np.save(path, content)
        elif path.suffix == ".parquet":
            import pyarrow as pa
            from pyarrow import parquet

            parquet.write_table(pa.table(content), path)
        else:
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerow(content)
            writer.writerows(zip(*content.values(), strict=True))
            path.write_text(text.getvalue(), encoding="utf-8", newline="")
        return path

    return run


@pytest.fixture(scope="session")
def binary() -> dict[str, np.ndarray]:
    """400 rows of scores that are too extreme, with a group and a cluster column."""
    rng = np.random.default_rng(7)
    z = rng.normal(0, 1.5, 400)
    label = (rng.uniform(size=400) < 1 / (1 + np.exp(-z))).astype(int)
    score = np.round(1 / (1 + np.exp(-2 * z)), 4)
    camera = np.array(["front", "rear", "side"])[rng.integers(0, 3, 400)]
    return {"score": score, "label": label, "camera": camera, "visit": np.arange(400) // 4}


@pytest.fixture(scope="session")
def classes() -> dict[str, np.ndarray]:
    """300 rows of three over-confident classes: logits, probabilities, labels."""
    rng = np.random.default_rng(8)
    z = rng.normal(0, 1.2, (300, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    label = (rng.uniform(size=(300, 1)) > p.cumsum(axis=1)).sum(axis=1)
    q = np.exp(2 * z) / np.exp(2 * z).sum(axis=1, keepdims=True)
    return {"z": 2 * z, "p": q, "label": label}


@pytest.fixture
def scores(write: Callable[..., Path], binary: dict[str, np.ndarray]) -> Path:
    return write("scores.csv", binary)


@pytest.fixture
def calibrator(
    calibcli: Callable[..., Any], write: Callable[..., Path], binary: dict[str, np.ndarray]
) -> Path:
    """A temperature fitted on the binary scores."""
    out = write("fitted.csv", binary).with_name("calibrator.json")
    ran = calibcli("fit", out.with_name("fitted.csv"), "--method", "temperature", "-o", out)
    assert ran.code == 0, ran.err
    return out
