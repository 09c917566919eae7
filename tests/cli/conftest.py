from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibcli.core.numeric.scales import expit
from tests.nights import SURE
from tests.schemas import fits_schema


@pytest.fixture
def scores(write: Callable[..., Path], binary: dict[str, np.ndarray]) -> Path:
    return write("scores.csv", binary)


@pytest.fixture(scope="session")
def made() -> dict[str, bytes]:
    """Artifacts that have been fitted or chosen already, by name: those of each test are copies."""
    return {}


@pytest.fixture
def calibrator(
    calibcli: Callable[..., Any],
    write: Callable[..., Path],
    binary: dict[str, np.ndarray],
    made: dict[str, bytes],
) -> Path:
    """A temperature fitted on the binary scores."""
    out = write("fitted.csv", binary).with_name("calibrator.json")
    if "temperature" not in made:
        ran = calibcli("fit", out.with_name("fitted.csv"), "--method", "temperature", "-o", out)
        assert ran.code == 0, ran.err
        made["temperature"] = out.read_bytes()
    out.write_bytes(made["temperature"])
    return out


@pytest.fixture
def cuts(
    good: Callable[..., Any],
    scores: Path,
    calibrator: Path,
    tmp_path: Path,
    made: dict[str, bytes],
) -> Path:
    """A cut-off chosen on the binary scores after their calibrator."""
    path = tmp_path / "cuts.json"
    if "cut-offs" not in made:
        good("threshold", scores, "--calibrator", calibrator, "-o", path)
        made["cut-offs"] = path.read_bytes()
    path.write_bytes(made["cut-offs"])
    return path


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


@pytest.fixture
def current(
    tmp_path: Path,
    dump: Callable[..., Path],
    calibcli: Callable[..., Any],
    made: dict[str, bytes],
) -> Path:
    """A champion that was fitted on an ordinary night."""
    path = tmp_path / "current.json"
    if "champion of an ordinary night" not in made:
        first = dump("first.csv", seed=0, n=3000)
        assert calibcli("fit", first, *SURE, "-o", path).code == 0
        made["champion of an ordinary night"] = path.read_bytes()
    path.write_bytes(made["champion of an ordinary night"])
    return path


@pytest.fixture
def promote(calibcli: Callable[..., Any], current: Path) -> Callable[..., Any]:
    """Run `fit --promote-over` on a dump."""

    def run(*arguments: object) -> Any:
        return calibcli("fit", *arguments, *SURE, "--promote-over", current, "--format", "json")

    return run


@pytest.fixture
def valid() -> Callable[[str], Any]:
    """Check the line that a promotion prints, and return what it says."""

    def run(text: str) -> Any:
        value = json.loads(text)
        fits_schema(value, "promotion")
        return value

    return run
