"""What every test may use: where the data is, and a Hypothesis profile for slow machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

# Examples are the same in every run, so that a red build is red again when it is looked into.
settings.register_profile(
    "calibcli",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("calibcli")


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of the files that `make demo` uses."""
    return ROOT / "sample_data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder of published score files beside the project; tests on it skip without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder of published score files beside the project")
    return folder


@dataclass(frozen=True)
class Ran:
    """What a run of the program left: its exit code, and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The result, of a run with --format json; NaN and Infinity are no JSON."""
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture
def calibcli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the program in this process."""
    from calibcli.cli.main import main

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def good(calibcli: Callable[..., Ran]) -> Callable[..., Ran]:
    """Run the program in this process and expect success, with nothing on standard error."""

    def run(*arguments: object) -> Ran:
        ran = calibcli(*arguments)
        assert (ran.code, ran.err) == (0, "")
        return ran

    return run


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
