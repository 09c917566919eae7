"""The same rows as one file, as shards, in another order, as counts, through statistics or Dask.

For every kind of scores all figures and intervals are the same to 1e-9.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed")

from benchmarks.matrix.data import write
from benchmarks.matrix.run import cluster, run
from calibcli.core.detection.box_calibration import BINS
from calibcli.tasks.features import KINDS

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = ("binary", "multiclass", "multilabel")
OF_FILES = frozenset(
    {"decided_ece", "decided_gap", "dice", "iou", "mean_dice"}
    | {"ap", "ap_50_95", "lrp", "images", *BINS}
)
"""Figures of masks and of the places of boxes, which statistics do not keep."""
WAYS = ("shards", "order", "statistics", "counts", "dask")


@pytest.fixture(scope="module")
def scheduler():
    with cluster() as address:
        yield address


@pytest.fixture(scope="module", params=KINDS)
def files(request, tmp_path_factory):
    """A kind of scores, its files, and what measure says of them."""
    found = write(request.param, tmp_path_factory.mktemp(request.param), 3)
    return request.param, found, measured([found.scores], beside(request.param, found))


def beside(kind, found):
    """Options; a table of images names them by their place in one file, so it stays out."""
    options = list(found.beside)
    if "--images" in options:
        at = options.index("--images")
        del options[at : at + 2]
    if kind not in ROWS:
        return options
    # Of several classes a row without a cluster falls into a bucket by its place.
    return [*options, "--group", "g", *(() if kind == "binary" else ("--cluster", "c"))]


def measured(scores, options):
    code, out, said = run(["measure", *map(str, scores), *options, "--format", "json"])
    assert code == 0, said
    return json.loads(out)


def same(found, expected, left_out=frozenset()):
    for part in ("overall", "classes", "groups"):
        mine, theirs = (
            [one[part]] if part == "overall" else one[part] for one in (found, expected)
        )
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            assert a["slice"] == b["slice"]
            for name, figure in b["metrics"].items():
                if name in left_out:
                    continue
                for end in ("value", "low", "high"):
                    got, want = a["metrics"][name].get(end), figure.get(end)
                    assert got == (want if want is None else pytest.approx(want, 1e-9, 1e-9)), (
                        a["slice"],
                        name,
                        end,
                    )


def halves(kind, found, folder):
    """Write the same rows as two files of scores (and of labels)."""
    if kind in ROWS:
        head, *rows = Path(found.scores).read_text().splitlines()
        for name, some in (("a", rows[:217]), ("b", rows[217:])):
            (folder / f"{name}.csv").write_text("\n".join([head, *some]) + "\n")
        return [folder / "a.csv", folder / "b.csv"], None
    if kind == "boxes":
        boxes = json.loads(Path(found.scores).read_text())
        for name, odd in (("a", 0), ("b", 1)):
            own = [one for one in boxes if (one["image_id"] > 30) == odd]
            (folder / f"{name}.json").write_text(json.dumps(own))
        return [folder / "a.json", folder / "b.json"], None
    truth = found.beside[found.beside.index("--labels") + 1]
    for name, path in (("p", found.scores), ("y", truth)):
        (folder / name).mkdir(exist_ok=True)
        array = np.load(path)
        np.save(folder / name / "a.npy", array[:17])
        np.save(folder / name / "b.npy", array[17:])
    return [folder / "p" / "*.npy"], folder / "y" / "*.npy"


def with_labels(options, labels):
    options = list(options)
    if labels is not None:
        options[options.index("--labels") + 1] = str(labels)
    return options


def shuffled(kind, found, folder):
    rng = np.random.default_rng(5)
    if kind in ROWS:
        head, *rows = Path(found.scores).read_text().splitlines()
        rng.shuffle(rows)
        (folder / "mixed.csv").write_text("\n".join([head, *rows]) + "\n")
        return [folder / "mixed.csv"], None
    if kind == "boxes":
        boxes = json.loads(Path(found.scores).read_text())
        boxes.sort(key=lambda one: one["image_id"] * 7919 % 101)  # stable: ties keep their order
        (folder / "mixed.json").write_text(json.dumps(boxes))
        return [folder / "mixed.json"], None
    truth = found.beside[found.beside.index("--labels") + 1]
    order = rng.permutation(len(np.load(truth)))
    for name, path in (("p", found.scores), ("y", truth)):
        np.save(folder / f"{name}.npy", np.load(path)[order])
    return [folder / "p.npy"], folder / "y.npy"


@pytest.mark.parametrize("way", WAYS)
def test_the_same_rows_give_the_same_figures(files, way, tmp_path, scheduler):
    kind, found, expected = files
    options = beside(kind, found)
    if way in ("shards", "order"):
        scores, labels = (halves if way == "shards" else shuffled)(kind, found, tmp_path)
        same(measured(scores, with_labels(options, labels)), expected)
    elif way == "statistics":
        saved = tmp_path / "stats.json"
        if kind == "boxes" or kind not in ROWS:  # shards of images need the truth of their own
            measured([found.scores], [*options, "--save-stats", str(saved)])
            again = measured([saved], [])
            same(again, expected, left_out=OF_FILES)
            return
        parts = []
        for place, path in enumerate(halves(kind, found, tmp_path)[0]):
            parts.append(tmp_path / f"stats{place}.json")
            measured([path], [*options, "--save-stats", str(parts[-1])])
        same(measured(parts, []), expected)
    elif way == "counts":
        if kind not in ROWS:
            pytest.skip("an image or a box stands for itself")
        same(*counted(kind, found, options, tmp_path))
    else:
        more = ["--engine", "dask", "--scheduler", scheduler]
        same(measured([found.scores], [*options, *more]), expected)


def counted(kind, found, options, folder):
    """Measure each row as often as its count says, written out and as a count."""
    head, *rows = Path(found.scores).read_text().splitlines()
    column = head.split(",").index("n")
    repeated = [row for row in rows for _ in range(int(row.split(",")[column]))]
    path = folder / "repeated.csv"
    path.write_text("\n".join([head, *repeated]) + "\n")
    return measured([found.scores], [*options, "--count", "n"]), measured([path], options)
