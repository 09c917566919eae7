"""Tests of some of the rows of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from calibcli.core.statistics.buckets import BUCKETS
from calibcli.io.dataset import Dataset
from calibcli.io.rows.dataset import open_dataset
from calibcli.io.rows.recipe import InputSpec
from calibcli.tasks.share import Share

if TYPE_CHECKING:
    from pathlib import Path

OF_ROWS = {"partitions", "by_content", "batches"}


@pytest.mark.parametrize("raw", [False, True])
def test_a_share_is_what_the_whole_is_but_for_its_rows(tmp_path: Path, raw: bool) -> None:
    """Folds of raw scores lost how these became logits: cut-offs of groups stayed unconverted."""
    path = tmp_path / "scores.csv"
    values = np.arange(40) / 50 + (600 if raw else 0)
    rows = [f"{value},{index % 2}" for index, value in enumerate(values)]
    path.write_text("\n".join(["score,label", *rows]))
    whole = open_dataset(InputSpec((str(path),), raw=raw, logits=raw))
    share = Share(whole, np.arange(BUCKETS) % 5 != 0)
    names = [name for name in vars(Dataset) if not name.startswith("_")]
    assert {"raw_scale", "task", "unit"} <= set(names)
    for name in sorted(set(names) - OF_ROWS):
        assert getattr(share, name) == getattr(whole, name), name
    assert (whole.raw_scale is not None) is raw
    assert 0 < sum(len(b.scores) for b in share.batches()) < 40
