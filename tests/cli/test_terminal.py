"""The first screen of a terminal of 80 columns: one golden file a task, and five answers.

``python -m tests.cli.test_terminal`` writes the golden files.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pytest

from tests.golden import matches

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "first_screens"
COLUMNS, ROWS = 80, 24
CANCER = "sample_data/breast_cancer_{}.csv"
DETECTION = ("--task", "detection", "--ground-truth", "sample_data/detection_{}_truth.json")
LOGS = ("--task", "segmentation", "--classes", "background,gamma,resistivity")


def commands(folder: Path) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the commands of each screen; the last is what is shown."""
    calibrator, cutoff = "calibrator.json", "cutoff.json"
    read = ("--cluster", "patient")
    (folder / "sample_data").symlink_to(ROOT / "sample_data")
    rng = np.random.default_rng(2)
    scores = rng.beta(0.7, 0.7, (400, 3)).round(3)
    np.save(folder / "scores.npy", scores)
    np.save(folder / "labels.npy", (rng.random(scores.shape) < 0.2 + 0.6 * scores).astype(int))
    z = rng.normal(size=600)
    rows = zip(
        (600 + 40 * z).round().astype(int), rng.random(600) < 1 / (1 + np.exp(-z)), strict=True
    )
    text = "".join(f"{score},{int(label)}\n" for score, label in rows)
    (folder / "points.csv").write_text(f"score,label\n{text}")
    other = np.random.default_rng(3)
    p = other.dirichlet([0.3] * 3, 500)
    np.save(folder / "classes.npy", p)
    np.save(folder / "truth.npy", [other.choice(3, p=0.7 * row + 0.1) for row in p])
    shapes = other.random((8, 12, 12)) < 0.25
    np.save(folder / "masks.npy", shapes.astype(np.uint8))
    np.save(
        folder / "images.npy",
        np.where(shapes, other.beta(4, 2, shapes.shape), other.beta(2, 4, shapes.shape)).round(2),
    )
    return {
        "binary": (
            ("measure", CANCER.format("test"), *read, "--group", "size",
             "--fail-if", "ece>0.05"),
        ),
        "decided": (
            ("fit", CANCER.format("calibration"), *read, "-o", calibrator),
            ("threshold", CANCER.format("choice"), *read, "--calibrator", calibrator,
             "--cost", "fp=1,fn=4", "-o", cutoff),
            ("measure", CANCER.format("test"), *read, "--group", "size",
             "--calibrator", calibrator, "--thresholds", cutoff),
        ),
        "classes": (
            ("measure", "sample_data/digits_test_logits.npy", "--labels",
             "sample_data/digits_test_labels.npy", "--logits"),
        ),
        "labels": (
            ("measure", "scores.npy", "--labels", "labels.npy", "--task", "multilabel"),
        ),
        "images": (
            ("measure", "sample_data/well_logs/test_probabilities.npy", "--labels",
             "sample_data/well_logs/test_masks.npy", *LOGS),
        ),
        "boxes": (
            ("measure", "sample_data/detection_test.json",
             *(word.format("test") for word in DETECTION)),
        ),
        "decided_boxes": (
            ("threshold", "sample_data/detection_calibration.json", "--per-class",
             *(word.format("calibration") for word in DETECTION), "-o", cutoff),
            ("measure", "sample_data/detection_test.json",
             *(word.format("test") for word in DETECTION), "--thresholds", cutoff),
        ),
        "raw": (("measure", "points.csv", "--raw", "--threshold", "620"),),
        "fit_binary": (
            ("fit", CANCER.format("calibration"), *read, "--fail-if", "ece>0.5", "-o", calibrator),
        ),
        "fit_groups": (
            ("fit", CANCER.format("calibration"), "--per-group", "size", "--method", "platt",
             "-o", calibrator),
        ),
        "fit_classes": (
            ("fit", "classes.npy", "--labels", "truth.npy", "-o", calibrator),
        ),
        "fit_labels": (
            ("fit", "scores.npy", "--labels", "labels.npy", "--task", "multilabel", "-o",
             calibrator),
        ),
        "fit_images": (
            ("fit", "images.npy", "--labels", "masks.npy", "--task", "segmentation", "-o",
             calibrator),
        ),
        "fit_boxes": (
            ("fit", "sample_data/detection_calibration.json",
             *(word.format("calibration") for word in DETECTION), "-o", calibrator),
        ),
        "fit_raw": (("fit", "points.csv", "--raw", "-o", calibrator),),
        "cut_binary": (
            ("fit", CANCER.format("calibration"), "--method", "platt", "-o", calibrator),
            ("threshold", CANCER.format("choice"), "--calibrator", calibrator, "--group", "size",
             "--cost", "fp=1,fn=4", "--subject-to", "recall>=0.95", "-o", cutoff,
             "--fail-if", "cross_fitted.recall<0.8"),
        ),
        "cut_classes": (
            ("threshold", "sample_data/digits_calibration_logits.npy", "--labels",
             "sample_data/digits_calibration_labels.npy", "--logits", "-o", cutoff),
        ),
        "cut_labels": (
            ("threshold", "scores.npy", "--labels", "labels.npy", "--task", "multilabel"),
        ),
        "cut_common": (
            ("threshold", "scores.npy", "--labels", "labels.npy", "--task", "multilabel",
             "--maximize", "row-f1"),
        ),
        "cut_images": (
            ("threshold", "images.npy", "--labels", "masks.npy", "--task", "segmentation",
             "--search", "min-area=0,3", "-o", cutoff),
        ),
        "cut_boxes": (
            ("threshold", "sample_data/detection_calibration.json", "--per-class",
             *(word.format("calibration") for word in DETECTION), "-o", cutoff),
        ),
        "cut_raw": (
            ("threshold", "points.csv", "--raw", "--subject-to", "recall>=0.9", "-o", cutoff),
        ),
        "cut_sets": (
            ("threshold", "classes.npy", "--labels", "truth.npy", "--coverage", "0.9", "-o",
             cutoff),
        ),
        "cut_abstain": (
            ("threshold", "classes.npy", "--labels", "truth.npy", "--abstain", "accuracy>=0.7"),
        ),
    }  # fmt: skip


class Terminal(io.TextIOWrapper):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(name: str, folder: Path) -> str:
    """Return what the terminal shows."""
    from calibcli.cli.main import main

    size = os.terminal_size((COLUMNS, ROWS))
    seen = io.BytesIO()
    for step in commands(folder)[name]:
        seen = io.BytesIO()
        out = Terminal(seen, encoding="utf-8")
        with (
            contextlib.chdir(folder),
            mock.patch("shutil.get_terminal_size", return_value=size),
            mock.patch.dict(os.environ, {"NO_COLOR": "1"}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            assert main([*step]) in (0, 1)
            out.flush()
            text = seen.getvalue().decode()
            out.detach()
    return text


SCREENS = (
    "binary", "classes", "labels", "images", "boxes", "decided_boxes", "raw",
    "fit_binary", "fit_groups", "fit_classes", "fit_labels", "fit_images", "fit_boxes", "fit_raw",
    "cut_binary", "cut_classes", "cut_labels", "cut_common", "cut_images", "cut_boxes", "cut_raw",
    "cut_sets", "cut_abstain",
)  # fmt: skip


@pytest.mark.parametrize("name", SCREENS)
def test_the_screen_of_each_task(name, tmp_path):
    text = shown(name, tmp_path)
    expected = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert matches(text, expected), text
    check_form(text)


def check_form(text: str) -> None:
    """Nothing is cut or wraps but sentences, and all of it fits beside the prompt."""
    lines = text.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) <= 15
    assert "…" not in text
    wrapped = [
        (before, line)
        for before, line in pairwise(lines)
        if re.match(r"  \S", line) and len(before) + len(line.split()[0]) + 1 > COLUMNS
    ]
    for before, _ in wrapped:
        sentence = (
            r"warning: |  |Raw scores: |[A-Z]|calibrated: no|of \d+ candidates|keep |threshold "
        )
        assert re.match(sentence, before), before


def test_the_five_answers_of_the_sample_data(tmp_path):
    text = shown("decided", tmp_path)
    assert matches(text, (GOLDEN / "decided.txt").read_text(encoding="utf-8")), text
    check_form(text)
    lines = text.splitlines()
    # Is it honest?
    assert lines[0].startswith("Not honest: scores too extreme")
    assert any(
        line.startswith("calibrated: cannot tell, ECE 0.031 [0.000, 0.038]") for line in lines
    )
    # For whom not?
    assert any(line.startswith("worst size: medium, ECE 0.12 [0.00, 0.17]") for line in lines)
    # Which cut-off, what does it find, and what does it cost?
    at = next(i for i, line in enumerate(lines) if line.startswith("at 0.157638: precision 0.76"))
    assert lines[at + 1] == (
        "  finds 586 of 632, alerts 774 (46 % of rows), costs 220 per 1,000 (FP 1, FN 4)"
    )
    found, alerts, true = 586, 774, 632
    rows = 1688
    cost = (alerts - found) + 4 * (true - found)
    assert f"{1000 * cost / rows:.0f}" == "220"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for screen in ("decided", *SCREENS):
        with TemporaryDirectory() as place:
            (GOLDEN / f"{screen}.txt").write_text(shown(screen, Path(place)), encoding="utf-8")
