"""Make the sample detections: scikit-learn's digits on canvases, found by a sliding window.

Run ``python sample_data/make_detections.py [FOLDER]``. Nothing is downloaded and every draw is
seeded. Digits are scattered over noisy canvases in two sizes, among torn pieces of other digits. A
network that tells ten digits from background looks through every window, so that one digit gives
many overlapping boxes, as detectors do before non-maximum suppression. The digits of the canvases
are none of those that it was trained on. Files are COCO's JSON; scores are rounded far above
floating-point noise. ``README.md`` beside this file documents them.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

SEED = 20
SIDE = 64
"""Pixels along each side of a canvas."""
DIGIT = 8
SCALES = (1, 2)
"""How many times larger than in the data set a digit may be."""
STRIDE = 2
BACKGROUND = 10
CANVASES = 60
DIGITS, PIECES = 4, 5
"""Digits on a canvas on average, and torn pieces of digits."""
LEAST_SCORE = 0.2
SCORE_DECIMALS = 3


def noise(rng: np.random.Generator) -> Floats:
    """Return an empty canvas."""
    return rng.normal(0.08, 0.06, (SIDE, SIDE)).clip(0, 1)


def place(rng: np.random.Generator, size: int, taken: list[tuple[int, int, int]]) -> Any:
    """Return the corner of a free square, or None where a few tries find none."""
    for _ in range(20):
        x, y = (int(v) for v in rng.integers(0, SIDE - size + 1, 2))
        if all(x + size <= a or a + s <= x or y + size <= b or b + s <= y for a, b, s in taken):
            taken.append((x, y, size))
            return x, y
    return None


def canvas(
    rng: np.random.Generator, images: Floats
) -> tuple[Floats, list[tuple[int, int, int, int]]]:
    """Return a canvas and its digits: (index into `images`, x, y, size)."""
    picture = noise(rng)
    taken: list[tuple[int, int, int]] = []
    digits: list[tuple[int, int, int, int]] = []
    for _ in range(rng.poisson(DIGITS)):
        scale, index = int(rng.choice(SCALES)), int(rng.integers(len(images)))
        at = place(rng, DIGIT * scale, taken)
        if at is not None:
            paste(picture, np.kron(images[index], np.ones((scale, scale))), *at)
            digits.append((index, *at, DIGIT * scale))
    for _ in range(rng.poisson(PIECES)):
        torn = images[rng.integers(len(images))] * (rng.uniform(size=(DIGIT, DIGIT)) < 0.8)
        half = torn[:, : DIGIT // 2] if rng.uniform() < 0.5 else torn[: DIGIT // 2]
        at = place(rng, DIGIT, taken)
        if at is not None:
            paste(picture, half, *at)
    return picture, digits


def paste(picture: Floats, patch: Floats, x: int, y: int) -> None:
    """Draw a patch over a canvas, in place."""
    high, wide = patch.shape
    own = picture[y : y + high, x : x + wide]
    np.maximum(own, patch, out=own)


def windows(picture: Floats, scale: int) -> tuple[Floats, Ints]:
    """Return every window of a size, shrunk to that of a digit (n, 64), and its corner (n, 2)."""
    size = DIGIT * scale
    views = np.lib.stride_tricks.sliding_window_view(picture, (size, size))[::STRIDE, ::STRIDE]
    rows, columns = views.shape[:2]
    shrunk = views.reshape(rows, columns, DIGIT, scale, DIGIT, scale).mean(axis=(3, 5))
    y, x = np.divmod(np.arange(rows * columns), columns)
    return shrunk.reshape(-1, DIGIT * DIGIT), np.stack([x, y], axis=1) * STRIDE


def background(
    rng: np.random.Generator, images: Floats, canvases: int, network: MLPClassifier | None = None
) -> Floats:
    """Return windows without a digit in the middle, the ones that are hardest to tell from one.

    The hardest are those with the most ink or, with a network, those that it takes for a digit.
    """
    hard = []
    for _ in range(canvases):
        picture, digits = canvas(rng, images)
        for scale in SCALES:
            found, corner = windows(picture, scale)
            near = np.zeros(len(found), bool)
            for _, x, y, size in digits:
                if size == DIGIT * scale:
                    near |= (np.abs(corner - [x, y]) < 3 * scale).all(axis=1)
            found = found[~near]
            hardness = found.mean(axis=1)
            if network is not None:
                hardness = network.predict_proba(found)[:, :BACKGROUND].max(axis=1)
            hard.append(found[np.argsort(-hardness, kind="stable")[:60]])
    return np.concatenate(hard)


def detector(rng: np.random.Generator, images: Floats, labels: Ints) -> MLPClassifier:
    """Train a network on digits up to a pixel off, and on what canvases hold beside them."""
    features, targets = [], []
    for image, label in zip(images, labels, strict=True):
        for _ in range(6):
            picture = noise(rng)[: DIGIT + 2, : DIGIT + 2]
            x, y = (int(v) for v in rng.integers(0, 3, 2))
            paste(picture, image, x, y)
            features.append(picture[1 : 1 + DIGIT, 1 : 1 + DIGIT].ravel())
            targets.append(int(label))
    positive, label = np.array(features), np.array(targets)
    negative = background(rng, images, 40)
    network = trained(positive, label, negative)
    mined = np.concatenate([negative, background(rng, images, 40, network)])
    return trained(positive, label, mined)


def trained(positive: Floats, labels: Ints, negative: Floats) -> MLPClassifier:
    """Return a network trained without any restraint: hence the over-confidence."""
    network = MLPClassifier(
        (64,), alpha=0.0, learning_rate_init=0.005, max_iter=25, n_iter_no_change=25, random_state=0
    )
    features = np.concatenate([positive, negative])
    targets = np.concatenate([labels, np.full(len(negative), BACKGROUND)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return network.fit(features, targets)


def part(
    rng: np.random.Generator, network: MLPClassifier, images: Floats, labels: Ints
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return COCO annotations of some canvases, and what the network finds in them."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image_id in range(1, CANVASES + 1):
        picture, digits = canvas(rng, images)
        for index, x, y, size in digits:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(labels[index]) + 1,
                    "bbox": [x, y, size, size],
                    "area": size * size,
                    "iscrowd": 0,
                }
            )
        for scale in SCALES:
            found, corner = windows(picture, scale)
            probability = network.predict_proba(found)[:, :BACKGROUND].round(SCORE_DECIMALS)
            probability = probability.clip(0.0, 1.0 - 10.0**-SCORE_DECIMALS)
            best = probability.argmax(axis=1)
            for row in np.flatnonzero(probability.max(axis=1) >= LEAST_SCORE):
                x, y = corner[row].tolist()
                results.append(
                    {
                        "image_id": image_id,
                        "category_id": int(best[row]) + 1,
                        "bbox": [x, y, DIGIT * scale, DIGIT * scale],
                        "score": float(probability[row, best[row]]),
                    }
                )
    truth = {
        "images": [{"id": i, "width": SIDE, "height": SIDE} for i in range(1, CANVASES + 1)],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(BACKGROUND)],
        "annotations": annotations,
    }
    return truth, results


def lines(items: list[dict[str, Any]]) -> str:
    """Return a list as JSON, an entry a line."""
    return "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in items) + "\n]"


def main(folder: Path) -> None:
    """Write every file to `folder`."""
    data = load_digits()
    images, labels = data.images / 16, data.target.astype(np.int64)
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(images))
    train, *parts = np.split(order, [500, 1150])
    network = detector(rng, images[train], labels[train])
    for name, rows in zip(("calibration", "test"), parts, strict=True):
        truth, results = part(rng, network, images[rows], labels[rows])
        (folder / f"detection_{name}.json").write_text(lines(results) + "\n", encoding="utf-8")
        body = ",\n".join(f'"{key}": {lines(items)}' for key, items in truth.items())
        (folder / f"detection_{name}_truth.json").write_text(
            "{\n" + body + "\n}\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
