"""Nights of masks, structures, boxes and weighted classes, and what may be wrong with a dump."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibcli.core.numeric.scales import expit

BAD = ("half", "turned", "shuffled", "constant", "shifted", "holes", "order")
"""Half a file, labels turned round or of other rows, scores that are all equal, moved or missing,
classes in another order."""
KINDS = ("weighted", "masks", "structures", "boxes")
SIDE, CLASSES = 12, 3


@dataclass(frozen=True)
class Truth:
    """How labels follow logits: drawn at slope * logit + level; with `random` they do not."""

    slope: float = 0.9
    level: float = 0.0
    random: bool = False


def night(kind: str, folder: Path, seed: int, truth: Truth, fault: str = "") -> list[str]:
    """Write a dump; return the words that name it on the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    return _WRITERS[kind](folder, np.random.default_rng(seed), truth, fault)


def _softmax(z: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _scores(z: np.ndarray, fault: str, axis: int | None, rng: np.random.Generator) -> np.ndarray:
    """Return probabilities of logits, of classes along an axis or of one, after a fault."""
    if fault == "shifted":
        z = z.copy()
        first = np.moveaxis(z, axis, 0)[0] if axis is not None else z
        first += 2.0
    if fault == "constant":
        z = np.zeros_like(z)
    if fault == "order" and axis is not None:
        z = np.roll(z, 1, axis=axis)
    p = expit(z) if axis is None else _softmax(z, axis)
    if fault == "holes":
        p[rng.random(p.shape) < 0.02] = np.nan
    return p


def _classes(z: np.ndarray, truth: Truth, axis: int, rng: np.random.Generator) -> np.ndarray:
    level = truth.level * (np.arange(z.shape[axis]) == 0)
    z = np.moveaxis(z, axis, -1) * (0.0 if truth.random else truth.slope) + level
    drawn = rng.random((*z.shape[:-1], 1)) > _softmax(z, -1).cumsum(axis=-1)
    return np.minimum(drawn.sum(axis=-1), z.shape[-1] - 1)


def _labels(z: np.ndarray, truth: Truth, rng: np.random.Generator) -> np.ndarray:
    slope = 0.0 if truth.random else truth.slope
    return (rng.random(z.shape) < expit(slope * z + truth.level - truth.random)).astype(int)


def _joined(y: np.ndarray, fault: str, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return labels, turned round or those of other rows or images."""
    if fault == "turned":
        return (y + 1) % classes
    return rng.permutation(y, axis=0) if fault == "shuffled" else y


def _cut(path: Path, fault: str) -> None:
    if fault == "half":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2 - 3])


def _weighted(folder: Path, rng: np.random.Generator, truth: Truth, fault: str) -> list[str]:
    z = rng.normal(np.array([1.0, 0.0, 0.0]), 1.5, (1500, CLASSES))
    y = _joined(_classes(z, truth, 1, rng), fault, CLASSES, rng)
    p, weight = _scores(z, fault, 1, rng), rng.choice([0.5, 1.0, 2.0], len(z))
    path = folder / "rows.csv"
    lines = [
        ",".join("" if np.isnan(v) else f"{v:.6f}" for v in row) + f",{label},{w}"
        for row, label, w in zip(p, y, weight, strict=True)
    ]
    path.write_text("\n".join(["p_0,p_1,p_2,label,w", *lines]) + "\n")
    _cut(path, fault)
    return [str(path), "--scores", "p_*", "--weight", "w"]


def _masks(folder: Path, rng: np.random.Generator, truth: Truth, fault: str) -> list[str]:
    z = rng.normal(-0.5, 1.5, (48, SIDE, SIDE)) + rng.normal(0.0, 0.3, (48, 1, 1))
    y = _joined(_labels(z, truth, rng), fault, 2, rng)
    return _stacks(folder, _scores(z, fault, None, rng), y, fault)


def _structures(folder: Path, rng: np.random.Generator, truth: Truth, fault: str) -> list[str]:
    z = rng.normal(0.0, 1.5, (48, CLASSES, SIDE, SIDE)) + rng.normal(0.0, 0.3, (48, CLASSES, 1, 1))
    # Most pixels are background, as in most images.
    z[:, 0] += 2.5
    y = _joined(_classes(z, truth, 1, rng), fault, CLASSES, rng)
    return _stacks(folder, _scores(z, fault, 1, rng), y, fault)


def _stacks(folder: Path, p: np.ndarray, y: np.ndarray, fault: str) -> list[str]:
    scores, labels = folder / "scores.npy", folder / "labels.npy"
    np.save(scores, p.astype(np.float32))
    np.save(labels, y.astype(np.uint8))
    _cut(scores, fault)
    return [str(scores), "--labels", str(labels), "--task", "segmentation"]


def _boxes(folder: Path, rng: np.random.Generator, truth: Truth, fault: str) -> list[str]:
    images, each = 250, 6
    z = rng.normal(0.0, 1.5, images * each)
    image, kind = np.arange(images).repeat(each), rng.integers(0, 2, len(z))
    corner = np.stack([np.tile(np.arange(each) * 60.0, images), rng.uniform(0, 300, len(z))], 1)
    there = _joined(_labels(z, truth, rng), fault if fault == "turned" else "", 2, rng) == 1
    # Truth of other images: places of columns are the same in each, heights are not.
    owner = rng.permutation(images)[image] if fault == "shuffled" else image
    p = _scores(z, fault, None, rng)
    said = 1 - kind if fault == "order" else kind
    jitter = rng.normal(0.0, 1.0, corner.shape)
    found = [
        f"{i},{'ab'[k]},{x:.2f},{y:.2f},40,40,{'' if np.isnan(s) else f'{s:.6f}'}"
        for i, k, (x, y), s in zip(image, said, corner + jitter, p, strict=True)
    ]
    objects = [
        f"{i},{'ab'[k]},{x:.2f},{y:.2f},40,40"
        for i, k, (x, y), some in zip(owner, kind, corner, there, strict=True)
        if some
    ]
    scores, objects_at = folder / "boxes.csv", folder / "objects.csv"
    scores.write_text("\n".join(["image_id,class,x,y,w,h,score", *found]) + "\n")
    objects_at.write_text("\n".join(["image_id,class,x,y,w,h", *objects]) + "\n")
    _cut(scores, fault)
    return [str(scores), "--ground-truth", str(objects_at), "--task", "detection"]


_WRITERS: dict[str, Callable[..., list[str]]] = {
    "weighted": _weighted,
    "masks": _masks,
    "structures": _structures,
    "boxes": _boxes,
}
