"""What every test may use: where the data is, and a Hypothesis profile for slow machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
