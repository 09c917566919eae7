"""Boxes as rows whose units are images: the same however they are cut up, grouped or clustered."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from calibcli.core.detection.average_precision import average_precision
from calibcli.io.boxes import dataset as boxes
from calibcli.io.rows.recipe import InputSpec
from calibcli.tasks.detection.figures import box_figures
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.gather import gather
from calibcli.workflows.input.gathered import one_class

IMAGES = 80
OBJECTS = "image_id,class,x,y,w,h\n"


def drawn(seed=0):
    """Lines of detections, of objects and of images; some objects are missed, some boxes false."""
    rng = np.random.default_rng(seed)
    found, objects, images = [], [], []
    for image in range(IMAGES):
        images.append(f"{image},s{image % 3},p{image // 4}")
        for _ in range(rng.poisson(3)):
            name = rng.choice(["cat", "dog", "fox"], p=[0.6, 0.3, 0.1])
            x, y, w, h = rng.uniform(5, 60, 4)
            if rng.uniform() < 0.8:
                objects.append(f"{image},{name},{x},{y},{w},{h}")
            if rng.uniform() < 0.85:
                moved = np.array([x, y, w, h]) + rng.normal(0, 3, 4)
                score = round(rng.uniform(), 2)
                found.append(f"{image},{name},{','.join(map(str, moved))},{score}")
    return found, objects, images


@pytest.fixture
def files(tmp_path):
    def written(name, head, lines):
        (tmp_path / name).write_text("\n".join([head, *lines]) + "\n")
        return str(tmp_path / name)

    found, objects, images = drawn()
    return {
        "found": partial(written, head="image_id,class,x,y,w,h,score", lines=found),
        "truth": written("truth.csv", "image_id,class,x,y,w,h", objects),
        "images": written("images.csv", "image_id,site,patient", images),
        "write": written,
        "lines": found,
    }


def read(files, *paths, **options):
    spec = InputSpec(
        paths or (files["found"]("found.csv"),),
        task="detection",
        score="score",
        ground_truth=files["truth"],
        **options,
    )
    return gather(spec, Conventions())


def figures(population):
    whole = {
        name: (figure.value, figure.low, figure.high)
        for name, figure in box_figures(population.extra, confidence=0.95).items()
    }
    pairs = population.pairs
    return whole | {
        "n": pairs.n,
        "right": pairs.positives,
        "missed": population.extra.missed.tolist(),
        "parts": pairs.parts.slot.tolist(),
    }


def test_cut_up_or_in_other_files_they_are_the_same(files, monkeypatch):
    whole = read(files).overall.population
    expected = figures(whole)
    monkeypatch.setattr(boxes, "_FEWEST", 20)
    monkeypatch.setattr(boxes, "_PARTS", 7)
    lines = files["lines"]
    head = "image_id,class,x,y,w,h,score"
    shards = [files["write"](f"{i}.csv", head, lines[i::3]) for i in range(3)]
    for paths in ((), shards):
        again = figures(read(files, *paths).overall.population)
        assert again.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, tuple):
                ends = [float("nan") if v is None else v for v in (*value, *again[name])]
                np.testing.assert_allclose(ends[:3], ends[3:], rtol=1e-9, err_msg=name)
            else:
                assert again[name] == value, name


def test_a_group_is_its_images_alone(files):
    found = read(files, groups=("site", "class"), images=files["images"])
    assert [one.value for one in found.groups] == ["s0", "s1", "s2", "cat", "dog", "fox"]
    sites = found.groups[:3]
    assert sum(one.population.pairs.n for one in sites) == found.overall.population.pairs.n
    lines = [line for line in files["lines"] if int(line.split(",")[0]) % 3 == 0]
    alone = [line for line in drawn()[1] if int(line.split(",")[0]) % 3 == 0]
    truth = files["write"]("s0.csv", "image_id,class,x,y,w,h", alone)
    path = files["write"]("found_s0.csv", "image_id,class,x,y,w,h,score", lines)
    bare = read({**files, "truth": truth}, path).overall.population
    got, want = (box_figures(p.extra, confidence=None) for p in (sites[0].population, bare))
    for name in ("ground_truth", "ap", "ap_50_95", "lrp"):
        assert got[name].value == want[name].value, name
    classes = [one_class(found.overall.population, k) for k in range(3)]
    for group, one in zip(found.groups[3:], classes, strict=True):
        assert group.population.pairs.n == one.pairs.n
        assert figures(group.population)["ap"] == figures(one)["ap"]


def test_ap_of_all_is_the_mean_of_classes(files):
    found = read(files).overall.population.extra
    each = [average_precision(found.ranking(k, 0)) for k in range(3)]
    assert box_figures(found, confidence=None)["ap"].value == pytest.approx(np.mean(each))


def test_a_patient_is_a_cluster_of_images(files):
    found = read(files, cluster="patient", images=files["images"])
    assert found.clustered
    population = found.overall.population
    assert len(np.unique(population.extra.bucket)) == 20
    assert set(population.pairs.parts.slot.tolist()) <= set(range(20))
