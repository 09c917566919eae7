"""Nights of three cameras."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.numeric.scales import expit

SLOPES = {"a": 1.0, "b": 0.5, "c": 1.6}


@pytest.fixture
def night(write):
    """Write a night of cameras: labels follow the logit with a slope of each."""

    def run(name, seed, *, n=3000, level=0.0, values="abc", flipped="", lost="", few="", **more):
        rng = np.random.default_rng(seed)
        levels = more.pop("levels", {})
        slopes = {**SLOPES, "d": 0.8, **more}
        camera = rng.choice(list(values), n)
        z = rng.normal(-0.8, 1.6, n)
        slope = np.array([slopes[one] for one in camera])
        level = level + np.array([levels.get(one, 0.0) for one in camera])
        label = (rng.random(n) < expit(slope * z + level)).astype(int)
        label = np.where(camera == flipped, 1 - label, label)
        kept = (camera != lost) & ((camera != few) | (rng.random(n) < 0.02))
        columns = {"score": np.round(expit(z), 4), "label": label, "camera": camera}
        return write(name, {key: values[kept] for key, values in columns.items()})

    return run
