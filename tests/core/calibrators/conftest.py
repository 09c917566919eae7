from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.calibrators.classes.rows import Batches, RowBatch


class CountingRows(Batches):
    """Rows in memory that count the passes over their scores."""

    passes = 0

    def scan(self, accumulator):
        self.passes += type(accumulator).__name__ != "Summary"
        return super().scan(accumulator)


@pytest.fixture
def row_source():
    """Make a source of rows of arrays that counts its passes."""

    def make(z, label, weight=None, bucket=None, batch=1000, logits=True):
        z, label = np.asarray(z), np.asarray(label, dtype=np.int64)
        home = np.arange(len(z)) % 64 if bucket is None else np.asarray(bucket)
        batches = []
        for start in range(0, len(z), batch):
            rows = slice(start, start + batch)
            w = None if weight is None else np.asarray(weight, dtype=float)[rows]
            square = None if w is None else w * w
            home_here = home[rows].astype(np.uint8)
            batches.append(RowBatch(z[rows], logits, label[rows], w, square, home_here))
        return CountingRows(batches, z.shape[1], logits=logits)

    return make
