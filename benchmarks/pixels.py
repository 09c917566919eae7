"""Pixels per second of `measure`, beside torchmetrics' calibration error on the same array.

    python -m benchmarks.pixels [--pixels 10000000] [--torch-python PYTHON] [--folder FOLDER]
    python -m benchmarks.pixels --linear            # 1e7, 1e8 and 1e9 pixels; 3 GB of disk
    python -m benchmarks.pixels --sums              # 1e8 pixels whose ECE is .15

torch lives in an environment of its own: PYTHON, or one made in a temporary folder (several GB are
fetched; where that fails, it is said). Both read an array that is in the page cache. Ours is all of
`measure` but the intervals: every metric, the bins, Dice and IoU; theirs is one ECE. Times are the
best of three, wall clock and processor seconds, in turn. Peak memory is that of a fresh process
(Linux).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 1000

THEIRS = """
import json, sys, time
import numpy as np, torch
from torchmetrics.functional.classification import binary_calibration_error as ece
scores = torch.from_numpy(np.load(sys.argv[1]).reshape(-1))
labels = torch.from_numpy(np.load(sys.argv[2]).reshape(-1).astype(np.int64))
if scores.dtype == torch.uint8:
    scores = scores.float() / 255
best, spent, value = 1e9, 1e9, None
for _ in range(3):
    began, used = time.perf_counter(), time.process_time()
    value = ece(scores, labels, n_bins=15, norm="l1").item()
    best = min(best, time.perf_counter() - began)
    spent = min(spent, time.process_time() - used)
print(json.dumps({"seconds": best, "cpu": spent, "ece": value}))
"""

OURS = """
import json, re, sys, time
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure
scale = float(sys.argv[3]) or None
spec = InputSpec((sys.argv[1],), labels=sys.argv[2], task="segmentation", cluster="image",
                 scale=scale)
best = spent = 1e9
for _ in range(int(sys.argv[4])):
    began, used = time.perf_counter(), time.process_time()
    value = measure(spec, Conventions(confidence=None))["overall"]["metrics"]["ece"]["value"]
    best = min(best, time.perf_counter() - began)
    spent = min(spent, time.process_time() - used)
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps({"seconds": best, "cpu": spent, "ece": value, "peak_mb": peak / 1024}))
"""


def written(folder: Path, pixels: int, dtype: Any, *, constant: bool = False) -> tuple[Path, Path]:
    """Write scores and labels (N, 1000, 1000) image by image."""
    images = max(pixels // SIDE**2, 1)
    paths = folder / "scores.npy", folder / "labels.npy"
    shape = (images, SIDE, SIDE)
    scores = np.lib.format.open_memmap(paths[0], "w+", dtype, shape)
    labels = np.lib.format.open_memmap(paths[1], "w+", np.uint8, shape)
    rng = np.random.default_rng(0)
    whole = np.dtype(dtype).kind == "u"
    kept: list[tuple[Any, Any]] = []
    for i in range(images):
        if i < 10:
            p = rng.random(shape[1:], np.float32) ** 4
            y = rng.random(shape[1:], np.float32) < p**1.2
            if constant:
                p[:], y = 0.9, rng.random(shape[1:]) < 0.75
            kept.append(((p * 255).round() if whole else p, y))
        scores[i], labels[i] = kept[i % 10]
    del scores, labels
    return paths


def run(python: str, code: str, *words: str) -> dict[str, Any]:
    done = subprocess.run([python, "-c", code, *words], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def torch_python(given: str | None, folder: Path) -> str | None:
    if given is not None:
        return given
    try:
        subprocess.run([sys.executable, "-m", "venv", folder / "torch"], check=True)
        python = str(folder / "torch" / "bin" / "python")
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "torch", "torchmetrics", "numpy"], check=True
        )
    except subprocess.CalledProcessError:
        return None
    return python


def beside(pixels: int, python: str | None, folder: Path) -> None:
    print(f"{pixels:,} pixels; wall seconds, processor seconds, ECE")
    for dtype in (np.uint8, np.float16, np.float32):
        scores, labels = map(str, written(folder, pixels, dtype))
        scale = "255" if dtype is np.uint8 else "0"
        ours = run(sys.executable, OURS, scores, labels, scale, "3")
        line = f"{np.dtype(dtype)!s:8} ours {ours['seconds']:.2f} {ours['cpu']:.2f} "
        line += f"{ours['ece']:.6f}, {ours['peak_mb']:.0f} MB"
        if python is not None:
            theirs = run(python, THEIRS, scores, labels)
            line += f"; torchmetrics {theirs['seconds']:.2f} {theirs['cpu']:.2f} "
            line += f"{theirs['ece']:.6f}; {theirs['seconds'] / ours['seconds']:.1f} x as fast, "
            line += f"{theirs['cpu'] / ours['cpu']:.1f} x in processor time"
        print(line, flush=True)
    if python is None:
        print("torch could not be installed: no comparison")


def linear(folder: Path) -> None:
    for dtype in (np.uint8, np.float16):
        rates = []
        for pixels in (10**7, 10**8, 10**9):
            scores, labels = map(str, written(folder, pixels, dtype))
            scale = "255" if dtype is np.uint8 else "0"
            found = run(sys.executable, OURS, scores, labels, scale, "1")
            rates.append(pixels / found["cpu"])
            print(
                f"{np.dtype(dtype)!s:8} {pixels:>13,} pixels: {found['seconds']:.1f} s, "
                f"{found['cpu']:.1f} s of processors, {rates[-1] / 1e6:.1f} M pixels a second of "
                f"processor, {found['peak_mb']:.0f} MB",
                flush=True,
            )
        for i, name in enumerate(("1e7", "1e8")):
            print(
                f"{np.dtype(dtype)!s:8} 1e9 runs at {rates[2] / rates[i]:.2f} x the speed of {name}"
            )


def sums(python: str | None, folder: Path) -> None:
    scores, labels = map(str, written(folder, 10**8, np.float32, constant=True))
    truth = abs(float(np.float32(0.9)) - float(np.load(labels, mmap_mode="r").mean(dtype=float)))
    print(f"the ECE is {truth:.6f}; ours {run(sys.executable, OURS, scores, labels, '0', '1')}")
    if python is not None:
        print(f"torchmetrics {run(python, THEIRS, scores, labels)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixels", type=int, default=10**7)
    parser.add_argument("--torch-python")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--linear", action="store_true")
    parser.add_argument("--sums", action="store_true")
    given = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        if given.linear:
            linear(folder)
        else:
            python = torch_python(given.torch_python, folder)
            if given.sums:
                sums(python, folder)
            else:
                beside(given.pixels, python, folder)
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
