"""Small score files of each kind, with everything beside them that an option can name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROWS, IMAGES, SIDE = 600, 36, 10
NAMES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Files:
    """One sample of a kind of scores.

    Attributes:
        scores: what SCORES is; `beside` the options that it is read with.
        logits: the same scores as logits; `holed` with one that is missing.
        versus: what `--versus` names, the scores of a second model.
        of_apply: the options that `apply` reads them with; `out` the suffix of what it writes.
    """

    scores: str
    beside: tuple[str, ...]
    logits: str
    holed: str
    versus: str
    of_apply: tuple[str, ...]
    out: str


def write(kind: str, folder: Path, seed: int) -> Files:
    """Write a sample of a kind of scores."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    if kind in ("boxes", "instances"):
        return _boxes(folder, rng, masks=kind == "instances")
    if kind in ("masks", "structures"):
        return _images(kind, folder, rng)
    return _rows(kind, folder, rng)


def _scored(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return true logits and those of a model that is too sure of itself."""
    z = rng.normal(0, 1.5, shape)
    return z, 1.8 * z + rng.normal(0, 0.4, shape)


def _expit(z: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-z))


def _softmax(z: Floats, axis: int) -> Floats:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    found: Floats = e / e.sum(axis=axis, keepdims=True)
    return found


def _rows(kind: str, folder: Path, rng: np.random.Generator) -> Files:
    several = kind not in ("binary", "raw")
    z, s = _scored(rng, (ROWS, len(NAMES)) if several else (ROWS, 1))
    other = 0.8 * s + rng.normal(0, 0.5, s.shape)
    columns: dict[str, Any] = {}
    if kind == "multiclass":
        truth = (rng.random((ROWS, 1)) > _softmax(z, 1).cumsum(axis=1)).sum(axis=1)
        columns["label"] = np.array(NAMES)[np.minimum(truth, 2)]
        p, q = _softmax(s, 1), _softmax(other, 1)
    else:
        truth = (rng.random(z.shape) < _expit(z)).astype(int)
        names = [f"y_{name}" for name in NAMES] if several else ["label"]
        columns |= dict(zip(names, truth.T, strict=True))
        p, q = _expit(s), _expit(other)
    if kind == "raw":  # points
        p, q = np.round(600 + 40 * s, 1), np.round(600 + 40 * other, 1)
    own = [f"p_{name}" for name in NAMES] if several else ["score"]
    second = [f"q_{name}" for name in NAMES] if several else ["second"]
    columns |= dict(zip(second, q.T, strict=True))
    columns |= {
        "g": np.array(["x", "y"])[rng.integers(0, 2, ROWS)],
        "c": np.arange(ROWS) // 4,
        "w": rng.integers(1, 5, ROWS) / 2,
        "n": rng.integers(1, 4, ROWS),
        "day": [f"2026-01-0{1 + i * 4 // ROWS}" for i in range(ROWS)],
    }
    paths = [folder / f"{name}.csv" for name in ("scores", "logits", "holed")]
    holed = p.astype(object)
    holed[7] = ""
    for path, values in zip(paths, (p, s, holed), strict=True):
        _table(path, dict(zip(own, values.T, strict=True)) | columns)
    named = ["--scores", ",".join(own)] if several else ["--score", "score"]
    label = "y_a,y_b,y_c" if kind == "multilabel" else "label"
    task = "binary" if kind == "raw" else kind
    beside = (*named, "--label", label, "--task", task)
    if kind == "raw":
        named, beside = [*named, "--raw"], (*beside, "--raw")
    versus = ",".join(second)
    return Files(
        str(paths[0]), beside, str(paths[1]), str(paths[2]), versus, (*named, "--task", task), "csv"
    )


def _table(path: Path, columns: dict[str, Any]) -> None:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _attributes(folder: Path, rng: np.random.Generator, ids: list[int]) -> tuple[str, ...]:
    """Write a table of images."""
    size = len(ids)
    columns = {
        "image_id": ids,
        "g": np.array(["x", "y"])[rng.integers(0, 2, size)],
        "c": np.arange(size) // 3,
        "w": rng.integers(1, 5, size) / 2,
        "n": rng.integers(1, 4, size),
        "day": [f"2026-01-0{1 + i * 3 // size}" for i in range(size)],
    }
    _table(folder / "images.csv", columns)
    return ("--images", str(folder / "images.csv"))


def _images(kind: str, folder: Path, rng: np.random.Generator) -> Files:
    several = kind == "structures"
    shape = (IMAGES, len(NAMES), SIDE, SIDE) if several else (IMAGES, SIDE, SIDE)
    z, s = _scored(rng, shape)
    other = 0.8 * s + rng.normal(0, 0.5, s.shape)
    if several:
        chosen = rng.random((IMAGES, 1, SIDE, SIDE)) > _softmax(z, 1).cumsum(axis=1)
        truth = np.minimum(chosen.sum(axis=1), 2)
        arrays = {"scores": _softmax(s, 1), "second": _softmax(other, 1), "logits": s}
    else:
        truth = (rng.random(shape) < _expit(z)).astype(int)
        arrays = {"scores": _expit(s), "second": _expit(other), "logits": s}
    arrays["holed"] = arrays["scores"].copy()
    arrays["holed"][0, ..., 0, 0] = np.nan
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "truth.npy", truth.astype(np.uint8))
    table = _attributes(folder, rng, list(range(IMAGES)))
    beside = ("--labels", str(folder / "truth.npy"), "--task", "segmentation", *table)
    paths = {name: str(folder / f"{name}.npy") for name in arrays}
    return _files(paths, beside, ("--task", "segmentation"), "npy")


def _files(
    paths: dict[str, str], beside: tuple[str, ...], of_apply: tuple[str, ...], out: str
) -> Files:
    scores, logits, holed, second = (paths[k] for k in ("scores", "logits", "holed", "second"))
    return Files(scores, beside, logits, holed, second, of_apply, out)


def _outline(box: Floats) -> list[list[float]]:
    """Return the polygon of a box with one corner cut off."""
    x, y, w, h = box.tolist()
    return [[x, y, x + w, y, x + w, y + h, x + w / 2, y + h, x, y + h / 2]]


def _boxes(folder: Path, rng: np.random.Generator, *, masks: bool = False) -> Files:
    objects: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image in range(1, 2 * IMAGES + 1):
        for _ in range(6):
            kind, size = int(rng.integers(2)), rng.uniform(20, 90, 2)
            box = np.concatenate([rng.uniform(0, 1, 2) * (400 - size), size])
            there = rng.random() < 0.6
            if there:
                one = {"id": len(objects) + 1, "image_id": image, "category_id": kind + 1}
                shape = {"segmentation": _outline(box)} if masks else {}
                whole = {"bbox": box.tolist(), "area": 900.0, "iscrowd": 0}
                objects.append({**one, **whole, **shape})
            for _ in range(rng.choice([0, 1, 1, 2])):
                near = np.abs(box + rng.normal(0, 0.05, 4) * np.tile(size, 2))
                score = round(float(rng.beta(4, 2) if there else rng.beta(2, 4)), 3)
                one = {"image_id": image, "category_id": kind + 1, "bbox": near.tolist()}
                shape = {"segmentation": _outline(near)} if masks else {}
                found.append({**one, **shape, "score": score})
    truth = {
        "images": [{"id": i, "width": 400, "height": 400} for i in range(1, 2 * IMAGES + 1)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": objects,
    }
    score = np.array([one["score"] for one in found])
    later = np.round(_expit(0.7 * np.log(score / (1 - score)) + rng.normal(0, 0.3, len(score))), 4)
    sides: dict[str, list[Any]] = {
        "scores": score.tolist(),
        "second": later.tolist(),
        "logits": np.log(score / (1 - score)).tolist(),
        "holed": [None, *score[1:].tolist()],
    }
    for name, values in sides.items():
        own = [{**one, "score": value} for one, value in zip(found, values, strict=True)]
        (folder / f"{name}.json").write_text(json.dumps(own), encoding="utf-8")
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    table = _attributes(folder, rng, list(range(1, 2 * IMAGES + 1)))
    beside = ("--task", "detection", "--ground-truth", str(folder / "truth.json"), *table)
    beside += ("--masks",) if masks else ()
    paths = {name: str(folder / f"{name}.json") for name in sides}
    return _files(paths, beside, (), "json")
