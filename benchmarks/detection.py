"""`measure --task detection` beside pycocotools, and a search over seven NMS IoUs beside `measure`.

    python -m benchmarks.detection [--images 5000] [--detections 300000] [--classes 80]

Simulated boxes of the size of COCO's validation set. Both compute average precision at the same ten
matching IoUs, all areas, at most 100 boxes of a class in an image. pycocotools' time is that of
evaluate and accumulate, without reading the files; ours is that of the whole command, with reading,
calibration figures and every interval (and `--no-ci` without them).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 640


def simulated(images: int, classes: int, objects: int, detections: int) -> tuple[Any, Any]:
    """Objects, and boxes of which a third are near one: scores tell them apart, imperfectly."""
    rng = np.random.default_rng(0)
    share = 0.5 * rng.dirichlet(np.full(classes, 0.5)) + 0.5 / classes

    def squares(n: int) -> Any:
        size = np.exp(rng.normal(4, 0.8, (n, 2))).clip(4, 400)
        return np.c_[rng.uniform(0, 1, (n, 2)) * (SIDE - size), size]

    where, kind = rng.integers(0, images, objects), rng.choice(classes, objects, p=share)
    box = squares(objects)
    hits = detections * 35 // 100
    source = rng.integers(0, objects, hits)
    size = np.c_[box[source, 2:], box[source, 2:]]
    shift = rng.normal(0, 0.12, (hits, 4))
    near = box[source] + shift * size
    near[:, 2:] = np.abs(near[:, 2:]) + 1
    quality = np.exp(-2 * np.abs(shift).sum(axis=1))
    misses = detections - hits
    found = np.r_[near, squares(misses)].round(2)
    score = np.r_[rng.beta(2 + 4 * quality, 2), rng.beta(1, 6, misses)].round(5)
    image = np.r_[where[source], rng.integers(0, images, misses)]
    label = np.r_[kind[source], rng.choice(classes, misses, p=share)]
    order = rng.permutation(detections)
    truth = {
        "images": [{"id": i, "width": SIDE, "height": SIDE} for i in range(images)],
        "categories": [{"id": k + 1, "name": f"class {k + 1}"} for k in range(classes)],
        "annotations": [
            {"id": n + 1, "image_id": i, "category_id": k + 1, "bbox": b, "area": b[2] * b[3],
             "iscrowd": 0}
            for n, (i, k, b) in enumerate(
                zip(where.tolist(), kind.tolist(), box.round(2).tolist(), strict=True)
            )
        ],
    }  # fmt: skip
    columns = (image[order].tolist(), label[order].tolist(), found[order].tolist())
    results = [
        {"image_id": i, "category_id": k + 1, "bbox": b, "score": s}
        for i, k, b, s in zip(*columns, score[order].tolist(), strict=True)
    ]
    return truth, results


def theirs(truth: Path, results: Path) -> tuple[float, float, float]:
    """Return seconds to read, seconds to evaluate and accumulate, and the mean AP."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        began = time.perf_counter()
        coco = COCO(str(truth))
        found = coco.loadRes(str(results))
        read = time.perf_counter() - began
        run = COCOeval(coco, found, "bbox")
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.params.maxDets = [100]
        began = time.perf_counter()
        run.evaluate()
        run.accumulate()
        spent = time.perf_counter() - began
    precision = run.eval["precision"]
    return read, spent, float(precision[precision > -1].mean())


def ours(*arguments: object) -> tuple[float, dict[str, Any]]:
    """Return the seconds of a whole command, in this process, and its result."""
    from calibcli.cli.main import main

    class Captured(io.StringIO):
        buffer: io.BytesIO

    out = Captured()
    out.buffer = io.BytesIO()
    began = time.perf_counter()
    with contextlib.redirect_stdout(out):
        code = main([*map(str, arguments), "--format", "json", "-q"])
    spent = time.perf_counter() - began
    assert code == 0, code
    return spent, json.loads(out.buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--objects", type=int, default=36_000)
    parser.add_argument("--detections", type=int, default=300_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        truth, results = Path(folder) / "truth.json", Path(folder) / "results.json"
        content = simulated(given.images, given.classes, given.objects, given.detections)
        for path, value in zip((truth, results), content, strict=True):
            path.write_text(json.dumps(value), encoding="utf-8")
        boxes = (results, "--task", "detection", "--ground-truth", truth)
        plain, _ = ours("measure", *boxes, "--no-ci")
        measured, result = ours("measure", *boxes)
        read, base, ap = theirs(truth, results)
        search, _ = ours(
            "threshold", *boxes, "--maximize", "f1", "--per-class",
            "--search", "nms-iou=0.3,0.4,0.5,0.6,0.7,0.8,0.9",
        )  # fmt: skip
    found = result["overall"]["metrics"]["ap_50_95"]["value"]
    print(f"{given.images:,} images, {given.detections:,} boxes, {given.classes} classes")
    print(f"AP 0.50:0.95          pycocotools {ap:.9f}   calibcli {found:.9f}")
    print(f"pycocotools           {base:8.2f} s   evaluate + accumulate (and {read:.2f} s to read)")
    print(f"calibcli measure      {measured:8.2f} s   {measured / base:.2f} times")
    print(f"         --no-ci      {plain:8.2f} s   {plain / base:.2f} times")
    print(f"search of 7 NMS IoUs  {search:8.2f} s   {search / measured:.2f} times one measure")


if __name__ == "__main__":
    main()
