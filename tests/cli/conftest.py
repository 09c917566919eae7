from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


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
