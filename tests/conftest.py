"""What every test may use: where the data is, and a Hypothesis profile for slow machines."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# As the program does: with more, threads of OpenBLAS spin longer than they multiply (ten minutes
# for a test of ten seconds, on a machine of many cores). It is read where NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
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
        """The result, of a run with --format json; NaN and Infinity are no JSON.

        Its type must hold all of it: the same keys in the same order.
        """
        found = json.loads(self.out, parse_constant=pytest.fail)
        name = found.get("schema") if isinstance(found, dict) else None
        typed_ones = ("measure", "fit", "threshold", "promotion", "replay")
        if name in [f"calibcli/{one}" for one in typed_ones]:
            from calibcli.core.results.base import plain
            from calibcli.core.results.reading import typed

            assert json.dumps(plain(typed(found))) == json.dumps(found)
        return found


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


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write text, bytes, an array, or a dict of columns (as CSV or Parquet)."""

    def run(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        elif isinstance(content, np.ndarray):
            np.save(path, content)
        elif path.suffix == ".parquet":
            import pyarrow as pa
            from pyarrow import parquet

            parquet.write_table(pa.table(content), path)
        else:
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerow(content)
            writer.writerows(zip(*content.values(), strict=True))
            path.write_text(text.getvalue(), encoding="utf-8", newline="")
        return path

    return run


@pytest.fixture(scope="session")
def binary() -> dict[str, np.ndarray]:
    """400 rows of scores that are too extreme, with a group and a cluster column."""
    rng = np.random.default_rng(7)
    z = rng.normal(0, 1.5, 400)
    label = (rng.uniform(size=400) < 1 / (1 + np.exp(-z))).astype(int)
    score = np.round(1 / (1 + np.exp(-2 * z)), 4)
    camera = np.array(["front", "rear", "side"])[rng.integers(0, 3, 400)]
    return {"score": score, "label": label, "camera": camera, "visit": np.arange(400) // 4}


@pytest.fixture(scope="session")
def classes() -> dict[str, np.ndarray]:
    """300 rows of three over-confident classes: logits, probabilities, labels."""
    rng = np.random.default_rng(8)
    z = rng.normal(0, 1.2, (300, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    label = (rng.uniform(size=(300, 1)) > p.cumsum(axis=1)).sum(axis=1)
    q = np.exp(2 * z) / np.exp(2 * z).sum(axis=1, keepdims=True)
    return {"z": 2 * z, "p": q, "label": label}


def scattered(
    images: int = 60, *, classes: int = 3, seed: int = 0, sure: float = 1.0
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """COCO annotations and results: some objects found (twice at times), some missed, some false.

    Some images have no object, others no detection, and a few objects are crowds. A score is its
    probability of being right, to the power `sure`.
    """
    rng = np.random.default_rng(seed)
    names = [f"kind {k}" for k in range(classes)]
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []

    def add(image: int, kind: int, box: np.ndarray, score: float) -> None:
        at = {"image_id": image, "category_id": 10 * kind + 5}
        found = [round(float(v), 2) for v in box]
        results.append({**at, "bbox": found, "score": round(float(score) ** sure, 3)})

    for image in range(1, images + 1):
        quiet = rng.uniform() < 0.1
        for _ in range(0 if rng.uniform() < 0.1 else rng.integers(1, 7)):
            kind, size = int(rng.integers(classes)), rng.uniform(20, 90, 2)
            box = np.r_[rng.uniform(0, 1, 2) * (400 - size), size]
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image,
                    "category_id": 10 * kind + 5, "bbox": [round(float(v), 2) for v in box],
                    "area": float(size.prod()), "iscrowd": int(rng.uniform() < 0.05),
                }
            )  # fmt: skip
            for _ in range(0 if quiet else rng.choice([0, 1, 1, 1, 2])):
                near = np.abs(box + rng.normal(0, 0.08, 4) * np.r_[size, size])
                add(image, kind, near, rng.beta(4, 2))
        for _ in range(0 if quiet else rng.poisson(1.5)):
            size = rng.uniform(20, 90, 2)
            box = np.r_[rng.uniform(0, 1, 2) * (400 - size), size]
            add(image, int(rng.integers(classes)), box, rng.beta(2, 4))
    return {
        "images": [{"id": i, "width": 400, "height": 400} for i in range(1, images + 1)],
        "categories": [{"id": 10 * k + 5, "name": name} for k, name in enumerate(names)],
        "annotations": annotations,
    }, results


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write detections and objects as COCO JSON; return (results, annotations)."""

    def run(name: str = "boxes", **options: Any) -> tuple[Path, Path]:
        truth, found = scattered(**options)
        paths = tmp_path / f"{name}.json", tmp_path / f"{name}_truth.json"
        for path, content in zip(paths, (found, truth), strict=True):
            path.write_text(json.dumps(content), encoding="utf-8")
        return paths

    return run


@pytest.fixture
def tables(write: Callable[..., Path]) -> Callable[..., tuple[Path, Path]]:
    """Write COCO files again as tables; return (detections, objects)."""

    def run(
        results: Path, annotations: Path, suffix: str = ".csv", *, corners: bool = False
    ) -> tuple[Path, Path]:
        truth, found = json.loads(annotations.read_text()), json.loads(results.read_text())
        names = {one["id"]: one["name"] for one in truth["categories"]}

        def columns(items: list[dict[str, Any]]) -> dict[str, Any]:
            box = np.array([one["bbox"] for one in items])
            if corners:
                box[:, 2:] += box[:, :2]
            titles = ("x1", "y1", "x2", "y2") if corners else ("x", "y", "w", "h")
            return {
                "image_id": [one["image_id"] for one in items],
                "class": [names[one["category_id"]] for one in items],
                **dict(zip(titles, box.T.tolist(), strict=True)),
            }

        detections = columns(found) | {"score": [one["score"] for one in found]}
        objects = columns(truth["annotations"])
        objects["iscrowd"] = [one["iscrowd"] for one in truth["annotations"]]
        for table in (detections, objects):
            for side in ("image_width", "image_height"):
                table[side] = [400] * len(table["class"])
        bare = {one["id"] for one in truth["images"]} - set(objects["image_id"])
        for image in sorted(bare):
            for column, values in objects.items():
                values.append(image if column == "image_id" else None)
        return write(f"found{suffix}", detections), write(f"objects{suffix}", objects)

    return run
