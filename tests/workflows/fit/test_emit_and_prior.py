"""`apply --emit` and `apply --prior` from the command line."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from calibcli.cli.main import main


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("emit")
    rng = np.random.default_rng(0)
    y = rng.random(3000) < 0.4
    x = rng.normal(np.where(y, 1.0, -0.5), 1.0)
    p = 1 / (1 + np.exp(-2 * x))
    rows = np.column_stack([p, y])
    np.savetxt(folder / "fit.csv", rows, delimiter=",", header="score,label", comments="")
    y = rng.random(2000) < 0.1
    x = rng.normal(np.where(y, 1.0, -0.5), 1.0)
    p = 1 / (1 + np.exp(-2 * x))
    np.savetxt(folder / "use.csv", p, header="score", comments="")
    paths = str(folder / "fit.csv"), str(folder / "cal.json")
    assert main(["fit", paths[0], "--method", "platt", "-o", paths[1], "-q"]) == 0
    return folder


@pytest.fixture
def files(made, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    capfd.readouterr()
    return tmp_path


def column(path):
    with Path(path).open(newline="") as file:
        return [float(row["probability"]) for row in csv.DictReader(file)]


def test_emitted_sql_is_what_apply_writes(files, capfd):
    assert main(["apply", "cal.json", "use.csv", "-o", "out.csv"]) == 0
    capfd.readouterr()
    assert main(["apply", "cal.json", "--emit", "sql", "--score", "s"]) == 0
    expression = capfd.readouterr().out
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (s real)")
    scores = np.loadtxt("use.csv", skiprows=1)
    connection.executemany("insert into t values (?)", [(v,) for v in scores.tolist()])
    found = [row[0] for row in connection.execute(f"select {expression} from t order by rowid")]
    connection.close()
    np.testing.assert_allclose(found, column("out.csv"), rtol=0, atol=1e-12)


def test_emitted_python_goes_to_a_file_and_takes_a_prior(files, capfd):
    assert main(["apply", "cal.json", "use.csv", "--prior", "0.1", "-o", "out.csv"]) == 0
    assert main(["apply", "cal.json", "--emit", "python", "--prior", "0.1", "-o", "f.py"]) == 0
    module = {}
    exec((files / "f.py").read_text(), module)
    found = [module["calibrate"](v) for v in np.loadtxt("use.csv", skiprows=1).tolist()]
    np.testing.assert_allclose(found, column("out.csv"), rtol=0, atol=1e-12)


def test_a_known_prevalence_moves_the_odds(files, capfd):
    old = json.loads((files / "cal.json").read_text())["before"]["metrics"]["prevalence"]["value"]
    assert main(["apply", "cal.json", "use.csv", "-o", "plain.csv"]) == 0
    assert main(["apply", "cal.json", "use.csv", "--prior", "0.05", "-o", "moved.csv"]) == 0
    assert "0.05 (was 0.4" in capfd.readouterr().out
    p, moved = (np.array(column(name)) for name in ("plain.csv", "moved.csv"))
    factor = 0.05 / 0.95 * (1 - old) / old
    np.testing.assert_allclose(moved / (1 - moved), factor * p / (1 - p), rtol=1e-12)


def test_an_unknown_prevalence_is_estimated_with_its_interval(files, capfd):
    assert main(["apply", "cal.json", "use.csv", "--prior", "em", "-o", "-"]) == 0
    out, err = capfd.readouterr()
    moved = [float(row["probability"]) for row in csv.DictReader(out.splitlines())]
    value, low, high = (float(v.strip("[],")) for v in err.split("\n")[0].split()[2:5])
    assert low < 0.1 < high
    assert np.mean(moved) == pytest.approx(value, rel=1e-3)  # Saerens's fixed point
    assert "as if nothing else had changed" in err
    assert "more than the prevalence" not in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--emit", "sql", "--prior", "em"], "reads no scores"),
        (["--emit", "onnx"], "sql or python"),
        (["--emit", "python", "--score", "a b"], "parameter"),
        (["use.csv", "-o", "out.csv", "--prior", "1.5"], "no prevalence"),
        (["use.csv", "-o", "out.csv", "--prior", "0.2,0.8"], "no prevalence"),
        ([], "needs SCORES"),
        (["use.csv"], "needs an output"),
    ],
)
def test_wrong_usage(files, capfd, options, words):
    assert main(["apply", "cal.json", *options]) == 2
    assert words in capfd.readouterr().err


def test_several_classes(files, capfd):
    rng = np.random.default_rng(1)
    old, new = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
    for name, share in (("fit", old), ("use", new)):
        y = rng.choice(3, 4000, p=share)
        z = rng.normal(0, 1, (4000, 3)) + 1.5 * np.eye(3)[y]
        np.save(f"{name}.npy", 1.5 * z + np.log(old))
        np.save(f"{name}_labels.npy", y)
    arguments = ["fit.npy", "--labels", "fit_labels.npy", "--logits", "--method", "temperature"]
    assert main(["fit", *arguments, "-o", "k.json", "-q"]) == 0
    assert main(["apply", "k.json", "use.npy", "-o", "p.npy"]) == 0
    assert main(["apply", "k.json", "use.npy", "--prior", "0.1,0.3,0.6", "-o", "q.npy"]) == 0
    p, q = np.load("p.npy"), np.load("q.npy")
    count = np.bincount(np.load("fit_labels.npy")) / 4000
    wanted = p * new / count
    np.testing.assert_allclose(q, wanted / wanted.sum(axis=1, keepdims=True), atol=1e-12)
    capfd.readouterr()
    assert main(["apply", "k.json", "use.npy", "--prior", "em", "-o", "e.npy"]) == 0
    assert "prevalence" in capfd.readouterr().out
    np.testing.assert_allclose(np.load("e.npy").mean(axis=0), new, atol=0.04)
    assert main(["apply", "k.json", "use.npy", "--prior", "0.5,0.5", "-o", "q.npy"]) == 2
    assert main(["apply", "k.json", "--emit", "sql"]) == 0
    assert main(["apply", "k.json", "--emit", "python", "-o", "k.py"]) == 0
    module = {}
    exec((files / "k.py").read_text(), module)
    found = [module["calibrate"](row) for row in np.load("use.npy")[:50].tolist()]
    np.testing.assert_allclose(found, p[:50], atol=1e-12)
