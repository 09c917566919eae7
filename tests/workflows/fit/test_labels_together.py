"""After a fit the labels of one row are no more independent than before it."""

import numpy as np
import pandas as pd
import pytest

ROWS, COPIES = 600, 4


@pytest.mark.parametrize(
    ("method", "by"),
    [
        ("identity", []),
        *((method, by) for method in ("platt", "isotonic") for by in ([], ["--per-group", "site"])),
    ],
)
def test_copies_of_a_label_tell_no_more_than_one(good, tmp_path, method, by):
    rng = np.random.default_rng(2)
    p = rng.beta(1.0, 1.5, ROWS)
    label = (rng.random(ROWS) < p**1.5).astype(int)
    frame = pd.DataFrame({"site": rng.choice(["a", "b"], ROWS)})
    for k in range(COPIES):
        frame[f"s_{k}"], frame[f"y_{k}"] = p, label
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    asked = ["--method", method, *by, "-o", tmp_path / "c.json", "--format", "json", "--quiet"]
    one = good("fit", path, "--score", "s_0", "--label", "y_0", *asked).json
    labels = ("--scores", "s_*", "--label", "y_*", "--task", "multilabel")
    many = good("fit", path, *labels, *asked).json
    parts = [(one, many), *zip(one["groups"], many["groups"], strict=True)]
    for side in ("before", "after"):
        for alone, together in parts:
            for name in ("brier", "nll", "auc"):
                width = [
                    found[side]["metrics"][name]["high"] - found[side]["metrics"][name]["low"]
                    for found in (alone, together)
                ]
                assert width[1] == pytest.approx(width[0], rel=0.3)  # half, if independent


def test_figures_after_few_rows_are_of_the_maps_that_were_chosen(good, tmp_path):
    # Three of 60 are wrong; a prior of 32 rows says 24 of 60.
    label = np.arange(60) % 2
    right = np.arange(60) % 20 != 0
    p = np.where(right == (label == 1), 0.6, 0.4)
    frame = pd.DataFrame({"row": np.arange(60)})
    for k in range(2):
        frame[f"s_{k}"], frame[f"y_{k}"] = p, label
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    asked = ["-o", tmp_path / "c.json", "--format", "json", "--quiet"]
    one = good("fit", path, "--score", "s_0", "--label", "y_0", *asked).json
    labels = ("--scores", "s_*", "--label", "y_*", "--task", "multilabel")
    many = good("fit", path, *labels, *asked).json
    assert many["calibrator"]["calibrators"] == [one["calibrator"]] * 2
    loss = [found["after"]["metrics"]["nll"]["value"] for found in (one, many)]
    assert loss[1] == pytest.approx(loss[0], rel=0.05)
