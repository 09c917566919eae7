from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def row_source():
    """Make a RowSource of arrays that counts its passes."""

    def make(z, label, weight=None, bucket=None, batch=1000):
        home = np.arange(len(z)) % 64 if bucket is None else np.asarray(bucket)

        def source():
            source.passes += 1
            for start in range(0, len(z), batch):
                rows = slice(start, start + batch)
                w = None if weight is None else np.asarray(weight, dtype=float)[rows]
                yield z[rows], label[rows], w, home[rows].astype(np.uint8)

        source.passes = 0
        return source

    return make
