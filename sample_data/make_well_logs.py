"""Make sample raster well logs, and the probability maps that a pixel classifier gives of them.

Run ``python sample_data/make_well_logs.py [FOLDER]``. Every draw is seeded, nothing is downloaded.
A log is a strip of paper with grid lines, dust and two thin ink curves, blurred by a scanner. A
small network learns the ink of each curve from a few strips, on as many pixels of each curve as of
paper: a habit that makes it far too sure of thin curves. It is then asked about strips that it has
not seen. ``README.md`` beside this file documents what is written.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bytes = NDArray[np.uint8]

SEED = 7
LEAST = 1e-6
"""No probability is written as less: float16 would make it 0, and a log loss infinite."""
STRUCTURES = ("background", "gamma", "resistivity")
HEIGHT, WIDTH = 80, 60
PARTS = {"train": 10, "calibration": 20, "test": 20}
PIXELS_A_STRUCTURE = 500
PATCH = 2
FINE = 4
"""Samples a pixel, along each axis, that ink is drawn with."""


class Log(NamedTuple):
    """A strip: grey values (H, W), 0 ink to 1 paper, and the structure of each pixel (H, W)."""

    grey: Floats
    mask: Bytes


def wander(rng: np.random.Generator, middle: float, reach: float) -> Floats:
    """Return the place of a curve, in pixels, at each fine row: a smoothed random walk."""
    steps = ndimage.gaussian_filter1d(rng.normal(size=HEIGHT * FINE), 3.0)
    walk = np.cumsum(steps)
    walk = (walk - walk.mean()) / (np.abs(walk - walk.mean()).max() + 1e-9)
    place: Floats = middle + reach * walk
    return place


def ink(place: Floats, width: float, drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return fine cells (H * FINE, W * FINE) that a pen of `width` pixels covers."""
    across = (np.arange(WIDTH * FINE) + 0.5) / FINE
    # A pen does not jump: between two fine rows it covers all places it passes.
    low = np.minimum(place, np.roll(place, 1))
    high = np.maximum(place, np.roll(place, 1))
    low[0] = high[0] = place[0]
    inside = (across >= low[:, None] - width / 2) & (across <= high[:, None] + width / 2)
    covered: NDArray[np.bool_] = inside & drawn[:, None]
    return covered


def shares(cells: NDArray[np.bool_]) -> Floats:
    """Return the share of each pixel (H, W) that fine cells cover."""
    found: Floats = cells.reshape(HEIGHT, FINE, WIDTH, FINE).mean(axis=(1, 3))
    return found


def draw_log(rng: np.random.Generator) -> Log:
    """Return one strip."""
    rows = np.arange(HEIGHT * FINE)
    whole = np.ones(HEIGHT * FINE, np.bool_)
    dashes = (rows // FINE + int(rng.integers(0, 9))) % 9 < 7
    gamma = shares(ink(wander(rng, WIDTH * 0.33, WIDTH * 0.22), 1.1, whole))
    other = shares(ink(wander(rng, WIDTH * 0.66, WIDTH * 0.22), 1.0, dashes))
    grey = np.full((HEIGHT, WIDTH), 0.93)
    grey += ndimage.gaussian_filter(rng.normal(0, 1.0, grey.shape), 9.0) * 0.5  # stains
    grey[:, int(rng.integers(0, 10)) :: 10] -= 0.22
    grey[int(rng.integers(0, 10)) :: 10] -= 0.22
    for _ in range(int(rng.integers(10, 18))):  # dust
        r, c = int(rng.integers(0, HEIGHT)), int(rng.integers(0, WIDTH))
        grey[r : r + int(rng.integers(1, 3)), c : c + int(rng.integers(1, 4))] -= 0.55
    grey = grey * (1 - 0.8 * gamma) * (1 - 0.62 * other)
    grey = ndimage.gaussian_filter(grey, 0.55) + rng.normal(0, 0.035, grey.shape)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[other >= 0.5] = 2
    mask[gamma >= 0.5] = 1
    return Log(np.clip(grey, 0.0, 1.0), mask)


def features(grey: Floats) -> Floats:
    """Return, for each pixel (H * W,), the grey values around it and their local average."""
    padded = np.pad(grey, PATCH, mode="reflect")
    side = 2 * PATCH + 1
    patches = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    wide = ndimage.uniform_filter(grey, 9, mode="reflect")
    columns = [patches.reshape(grey.size, side * side), wide.reshape(-1, 1)]
    found: Floats = np.concatenate(columns, axis=1)
    return found


def train(logs: list[Log], rng: np.random.Generator) -> MLPClassifier:
    """Train on as many pixels of each structure, without restraint."""
    seen = np.concatenate([features(log.grey) for log in logs])
    truth = np.concatenate([log.mask.reshape(-1) for log in logs])
    rows = np.concatenate(
        [
            rng.choice(np.flatnonzero(truth == k), PIXELS_A_STRUCTURE, replace=False)
            for k in range(len(STRUCTURES))
        ]
    )
    network = MLPClassifier(
        (24, 12),
        alpha=0.0,
        batch_size=len(rows),
        learning_rate_init=0.01,
        max_iter=250,
        n_iter_no_change=250,
        random_state=0,
        tol=0.0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return network.fit(seen[rows], truth[rows])


def main(folder: Path) -> None:
    """Write probabilities (N, K, H, W) float16 and masks (N, H, W) of the parts."""
    rng = np.random.default_rng(SEED)
    logs = {part: [draw_log(rng) for _ in range(number)] for part, number in PARTS.items()}
    network = train(logs["train"], rng)
    folder.mkdir(exist_ok=True)
    for part in ("calibration", "test"):
        maps = [
            network.predict_proba(features(log.grey)).T.reshape(len(STRUCTURES), HEIGHT, WIDTH)
            for log in logs[part]
        ]
        scores = np.maximum(np.array(maps), LEAST).astype(np.float16)
        np.save(folder / f"{part}_probabilities.npy", scores)
        np.save(folder / f"{part}_masks.npy", np.array([log.mask for log in logs[part]]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "well_logs")
