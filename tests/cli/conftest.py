from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from calibcli.core.numeric.scales import expit
from tests.nights import SURE


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


# -- nights of a job that promotes -----------------------------------------------------------------


@pytest.fixture
def dump(write: Callable[..., Path]) -> Callable[..., Path]:
    """Write a night's scores: labels follow the logit, flattened by a slope and moved."""

    def run(
        name: str = "tonight.csv",
        seed: int = 1,
        n: int = 2000,
        slope: float = 0.6,
        level: float = 0.2,
        shift: float = 0.0,
    ) -> Path:
        rng = np.random.default_rng(seed)
        z = rng.normal(-0.8 + shift, 1.6, n)
        label = (rng.random(n) < expit(slope * z + level)).astype(int)
        return write(name, {"score": np.round(expit(z), 5), "label": label})

    return run


@pytest.fixture(scope="session")
def champions() -> dict[str, bytes]:
    """Champions that have been fitted already, by name."""
    return {}


@pytest.fixture
def current(
    tmp_path: Path,
    dump: Callable[..., Path],
    calibcli: Callable[..., Any],
    champions: dict[str, bytes],
) -> Path:
    """A champion that was fitted on an ordinary night."""
    path = tmp_path / "current.json"
    if "ordinary" not in champions:
        first = dump("first.csv", seed=0, n=3000)
        assert calibcli("fit", first, *SURE, "-o", path).code == 0
        champions["ordinary"] = path.read_bytes()
    path.write_bytes(champions["ordinary"])
    return path


@pytest.fixture
def promote(calibcli: Callable[..., Any], current: Path) -> Callable[..., Any]:
    """Run `fit --promote-over` on a dump."""

    def run(*arguments: object) -> Any:
        return calibcli("fit", *arguments, *SURE, "--promote-over", current, "--format", "json")

    return run


@pytest.fixture
def valid(root: Path) -> Callable[[str], Any]:
    """Check the line that a promotion prints, and return what it says."""
    schema = json.loads((root / "calibcli" / "schemas" / "promotion.json").read_text())

    def run(text: str) -> Any:
        value = json.loads(text)
        jsonschema.validate(value, schema)
        return value

    return run
