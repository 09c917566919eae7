"""Merely reading: `pyarrow_read.py FILE`, Parquet columns, CSV, or NPY (every page, summed)."""

import sys

path = sys.argv[1]
if path.endswith(".csv"):
    from pyarrow import csv

    csv.read_csv(path)
elif path.endswith(".npy"):
    import numpy as np

    for name in sys.argv[1:]:
        np.load(name, mmap_mode="r").sum()
else:
    from pyarrow import parquet

    parquet.read_table(path, columns=["score", "label"])
