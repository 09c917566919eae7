"""Makes the files of the benchmarks: `python data.py FOLDER`. Seeded; files that exist are kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

ROWS, GROUP = 20_000_000, 1_000_000


def binary(folder):
    path = folder / "b20.parquet"
    if path.exists():
        return
    score_file = np.lib.format.open_memmap(folder / "b20.npy", "w+", np.float64, (ROWS,))
    label_file = np.lib.format.open_memmap(folder / "y20.npy", "w+", np.int8, (ROWS,))
    schema = pa.schema([("score", pa.float64()), ("label", pa.int8())])
    rng = np.random.default_rng(0)
    with parquet.ParquetWriter(folder / "part", schema) as writer:
        for start in range(0, ROWS, GROUP):
            z = rng.normal(-0.5, 1.6, GROUP)
            score = 1 / (1 + np.exp(-z))
            label = (rng.random(GROUP) < 1 / (1 + np.exp(-0.8 * z - 0.1))).astype(np.int8)
            score_file[start : start + GROUP], label_file[start : start + GROUP] = score, label
            writer.write_table(pa.table([score, label], schema), GROUP)
    (folder / "part").rename(path)
    ten = folder / "ten"
    ten.mkdir(exist_ok=True)
    for copy in range(10):
        link = ten / f"{copy}.parquet"
        link.unlink(missing_ok=True)
        link.hardlink_to(path)
    few = parquet.ParquetFile(path).read_row_groups(range(5))
    csv.write_csv(few, folder / "b5.csv")
    csv.write_csv(few.slice(0, 1000), folder / "b1k.csv")
    parquet.write_table(few.slice(0, 100_000), folder / "b100k.parquet")


def classes(folder):
    path = folder / "z100.npy"
    if path.exists():
        return
    rows, width = 1_000_000, 100
    rng = np.random.default_rng(1)
    z = np.lib.format.open_memmap(folder / "z.part", "w+", np.float32, (rows, width))
    y = np.empty(rows, np.int64)
    for start in range(0, rows, 50_000):
        own = rng.normal(0, 2, (50_000, width)).astype(np.float32)
        noise = rng.gumbel(size=own.shape).astype(np.float32)
        z[start : start + 50_000] = own
        y[start : start + 50_000] = (own / np.float32(1.7) + noise).argmax(axis=1)
    np.save(folder / "y100.npy", y)
    np.save(folder / "z100k.npy", z[:100_000])
    np.save(folder / "y100k.npy", y[:100_000])
    (folder / "z.part").rename(path)
    rng = np.random.default_rng(2)
    np.save(folder / "z1000.npy", rng.normal(0, 2, (50, 1000)).astype(np.float32))
    np.save(folder / "y1000.npy", rng.integers(0, 1000, 50))


def images(folder):
    """The size of ImageNet's validation set: 50,000 rows of 1,000 float32 logits."""
    path = folder / "z50k.npy"
    if path.exists():
        return
    rows, width = 50_000, 1000
    rng = np.random.default_rng(4)
    y = rng.integers(0, width, rows)
    z = rng.standard_normal((rows, width), np.float32) * np.float32(2.5)
    z[np.arange(rows), y] += rng.normal(9.0, 3.5, rows).astype(np.float32)
    np.save(folder / "y50k.npy", y)
    np.save(folder / "z10k.npy", z[:10_000, :100])
    np.save(folder / "y10k.npy", y[:10_000] % 100)
    np.save(path, z)


def few(folder):
    """Thousands of rows of some classes, each with its own confidence."""
    for rows, width, seed in ((5000, 10, 5), (3766, 20, 6)):
        path = folder / f"z{width}few.npy"
        if path.exists():
            continue
        rng = np.random.default_rng(seed)
        y = rng.integers(0, width, rows)
        z = rng.normal(0, 2, (rows, width)).astype(np.float32)
        z[np.arange(rows), y] += rng.normal(4, 2.5, rows).astype(np.float32)
        np.save(folder / f"y{width}few.npy", y)
        np.save(path, z)


def boxes(folder):
    """Images of 1 to 20 boxes of 20 classes, detected with jitter, misses and false alarms."""
    path = folder / "detections.json"
    if path.exists():
        return
    rng = np.random.default_rng(3)
    truth, found = [], []
    for image in range(2000):
        for _ in range(rng.integers(1, 21)):
            kind, box = int(rng.integers(20)), [*rng.uniform(0, 500, 2), *rng.uniform(20, 140, 2)]
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": image,
                    "category_id": kind,
                    "bbox": [float(v) for v in box],
                    "area": float(box[2] * box[3]),
                    "iscrowd": 0,
                }
            )
            for _ in range(rng.integers(0, 4)):
                moved = np.array(box) + rng.normal(0, 6, 4)
                moved[2:] = np.maximum(moved[2:], 1)
                found.append(
                    {
                        "image_id": image,
                        "category_id": kind if rng.random() < 0.9 else int(rng.integers(20)),
                        "bbox": [float(v) for v in moved],
                        "score": float(rng.beta(2, 1.3)),
                    }
                )
    images = [{"id": image, "width": 640, "height": 640} for image in range(2000)]
    kinds = [{"id": kind, "name": f"c{kind}"} for kind in range(20)]
    whole = {"images": images, "annotations": truth, "categories": kinds}
    (folder / "truth.json").write_text(json.dumps(whole))
    path.write_text(json.dumps(found))


if __name__ == "__main__":
    base = Path(sys.argv[1])
    base.mkdir(parents=True, exist_ok=True)
    binary(base)
    classes(base)
    images(base)
    few(base)
    boxes(base)
