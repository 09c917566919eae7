"""Maps by group beside MCGrad's: `python -m benchmarks.groups FOLDER`, FOLDER with `employment`.

Scores of employment (NannyML, US Census): the fit is on 2015, the test on 2016 to 2018. Both are
told the group of a row, RAC1P, and nothing else. Printed, as Markdown: log loss and ECE (15 bins
of equal width) of all rows, and the worst of the groups with 5,000 rows or more. MCGrad (Perini,
Haimovich et al. 2025) goes into an environment of its own, build/mcgrad.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.harness import environment
from benchmarks.promises import answer

HOME = Path(__file__).parent.parent / "build" / "mcgrad"
METHODS = ("auto", "spline", "beta")
GROUP, LEAST = "RAC1P", 5000
THEIRS = """
import sys, warnings, numpy as np, pandas as pd
from mcgrad import methods
warnings.simplefilter("ignore")
fit, new = (pd.read_parquet(path) for path in sys.argv[1:3])
read = {"prediction_column_name": "predicted_probability",
        "categorical_feature_column_names": ["RAC1P"], "numerical_feature_column_names": []}
found = methods.MCGrad()
found.fit(df_train=fit, label_column_name="employed", **read)
np.save(sys.argv[3], found.predict(df=new, **read))
"""


def ours(fit, new, folder, method, *more):
    """Return the probabilities of new rows."""
    read, calibrator = ("--score", "predicted_probability"), folder / "c.json"
    fitted = ("--label", "employed", "--method", method, "--no-ci", *more)
    answer("fit", fit, *read, *fitted, "-o", calibrator)
    answer("apply", calibrator, new, *read, "-o", folder / "o.parquet")
    return pq.read_table(folder / "o.parquet")["probability"].to_numpy()


def losses(p, label):
    """Return log loss and ECE."""
    inside = np.clip(p, 1e-15, 1 - 1e-15)
    loss = -np.where(label == 1, np.log(inside), np.log1p(-inside)).mean()
    bins = np.clip(np.ceil(15 * p).astype(int) - 1, 0, 14)
    return loss, np.abs(np.bincount(bins, p - label, 15)).sum() / len(p)


def main() -> None:
    python = environment(HOME, "mcgrad")
    if python is None:
        sys.exit("MCGrad could not be installed")
    data = Path(sys.argv[1]) / "employment"
    fit, new = (data / f"{name}.parquet" for name in ("reference_2015", "production_2016_2018"))
    table = pq.read_table(new)
    label, group = table["employed"].to_numpy(), table[GROUP].to_numpy()
    found = {"the scores": table["predicted_probability"].to_numpy()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found["one map (auto)"] = ours(fit, new, folder, "auto")
        for method in METHODS:
            by = ours(fit, new, folder, method, "--per-group", GROUP)
            found[f"`--per-group`, {method}"] = by
        script = folder / "theirs.py"
        script.write_text(THEIRS)
        out = folder / "p.npy"
        told = subprocess.run([python, script, fit, new, out], capture_output=True, check=False)
        if told.returncode:
            sys.exit(told.stderr.decode())
        found["MCGrad"] = np.load(out)
    values, counts = np.unique(group, return_counts=True)
    large = values[counts >= LEAST]
    print("| probabilities | log loss | ECE | worst log loss of a group | worst ECE of a group |")
    print("| --- | --- | --- | --- | --- |")
    for title, p in found.items():
        worst = np.max([losses(p[group == one], label[group == one]) for one in large], axis=0)
        figures = (*losses(p, label), *worst)
        told = (f"{one:.{5 - 1 * (k % 2)}f}" for k, one in enumerate(figures))
        print(f"| {title} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
