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
        "raw": (("measure", "points.csv", "--raw", "--threshold", "620"),),
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


@pytest.mark.parametrize("name", ["binary", "classes", "labels", "images", "boxes", "raw"])
def test_the_screen_of_each_task(name, tmp_path):
    text = shown(name, tmp_path)
    expected = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert matches(text, expected), text
    check_form(text)


def check_form(text: str) -> None:
    """Nothing is cut or wraps but sentences, and all of it fits beside the prompt."""
    lines = text.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) <= 20
    assert "…" not in text
    wrapped = [
        (before, line)
        for before, line in pairwise(lines)
        if re.match(r"  \S", line) and len(before) + len(line.split()[0]) + 1 > COLUMNS
    ]
    for before, _ in wrapped:
        assert re.match(r"warning: |  |Raw scores: |[A-Z]", before), before


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
    for screen in ("binary", "decided", "classes", "labels", "images", "boxes", "raw"):
        with TemporaryDirectory() as place:
            (GOLDEN / f"{screen}.txt").write_text(shown(screen, Path(place)), encoding="utf-8")
