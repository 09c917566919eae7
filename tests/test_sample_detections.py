from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from calibcli.tasks.detection.matching import iou

PARTS = ("calibration", "test")


def load(folder, part):
    truth = json.loads((folder / f"detection_{part}_truth.json").read_text(encoding="utf-8"))
    return truth, json.loads((folder / f"detection_{part}.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_remaking_writes_the_same_bytes(sample_data, tmp_path):
    readme = (sample_data / "README.md").read_text(encoding="utf-8")
    told = re.search(r"with\s+scikit-learn (\S+), NumPy (\S+) and pyarrow", readme).groups()
    if told != (version("scikit-learn"), version("numpy")):
        pytest.skip(f"made with {told}")
    script = [sys.executable, "-W", "error", str(sample_data / "make_detections.py"), str(tmp_path)]
    run = subprocess.run(script, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (sample_data / path.name).read_bytes(), path.name
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("part", PARTS)
def test_boxes_overlap_and_scores_are_over_confident(sample_data, part):
    truth, results = load(sample_data, part)
    readme = (sample_data / "README.md").read_text(encoding="utf-8")
    assert f"| {len(results):,} |" in readme
    score = np.array([one["score"] for one in results])
    assert score.min() >= 0.2
    assert score.max() < 1
    crowded = 0
    for one in results:
        box = np.array([one["bbox"]], float)
        rivals = [
            r["bbox"]
            for r in results
            if (r["image_id"], r["category_id"]) == (one["image_id"], one["category_id"])
        ]
        others = iou(np.tile(box, (len(rivals), 1)), np.array(rivals, float))
        crowded += (others >= 0.5).sum() > 1
    assert crowded / len(results) > 0.3
    # No more boxes can be right than there are digits.
    assert score.mean() - len(truth["annotations"]) / len(results) > 0.3


def test_some_canvases_have_no_digit(sample_data):
    empty = 0
    for part in PARTS:
        truth, _ = load(sample_data, part)
        empty += len(truth["images"]) - len({a["image_id"] for a in truth["annotations"]})
    assert empty > 0


def test_both_parts_are_small(sample_data):
    size = sum(p.stat().st_size for p in sample_data.glob("detection_*"))
    assert size < 300_000
