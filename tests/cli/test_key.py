"""`--key` joins labels, a second model and the models of an ensemble to the scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

N = 700
RNG = np.random.default_rng(21)
A = np.round(RNG.beta(1, 1.2, N), 4)
Y = (RNG.random(N) < A).astype(int)
B = np.round(np.clip(A + RNG.normal(0, 0.1, N), 0.01, 0.99), 4)
ORDER = RNG.permutation(N)
ID = np.arange(N) * 7 + 3
Q = RNG.dirichlet(np.ones(3), (2, N))
K = np.array([RNG.choice(3, p=row) for row in Q[0]])


def probabilities(rows):
    return {f"p_{k}": rows[:, k] for k in range(3)}


@pytest.fixture(params=["binary", "classes"])
def models(request, write):
    """Two models' scores and the labels in rows of one order, and each in an order of its own."""
    binary = request.param == "binary"
    first = {"score": A} if binary else probabilities(Q[0])
    second = {"score": B} if binary else probabilities(Q[1])
    label = {"label": Y if binary else K}
    options = () if binary else ("--scores", "p_*")

    def mixed(columns, seed):
        order = np.random.default_rng(seed).permutation(N)
        return {name: np.asarray(values)[order] for name, values in columns.items()}

    aligned = (
        write("a.csv", {"id": ID, **first, **label}),
        write("b.csv", {"id": ID, **second}),
        write("y.csv", {"id": ID, **label}),
    )
    apart = (
        write("a2.parquet", {"id": ID, **first, **label}),
        write("b2.parquet", mixed({"id": ID, **second}, 1)),
        write("y2.csv", mixed({"id": ID, **label}, 2)),
    )
    return aligned, apart, options


def same(one, other):
    assert json.dumps(one).replace("a.csv", "a2.parquet") == json.dumps(other) or one == other


def test_a_second_model(models, calibcli):
    (a, b, _), (a2, b2, _), options = models
    aligned = calibcli("measure", a, "--versus", b, *options, "--format", "json").json
    joined = calibcli("measure", a2, "--versus", b2, "--key", "id", *options, "--format", "json")
    assert joined.code == 0, joined.err
    found = joined.json["versus"]
    for part in (aligned["versus"], found):
        part.pop("score")
    assert found == aligned["versus"]
    assert joined.json["params"]["key"] == "id"
    assert joined.json["warnings"] == aligned["warnings"]


def test_a_second_model_without_some_rows(calibcli, write):
    a = write("a.csv", {"id": ID, "score": A, "label": Y})
    b = write(
        "b.csv",
        {"id": np.append(ID[50:][::-1], [1, 2]), "score": np.append(B[50:][::-1], [0.5, 0.5])},
    )
    joined = calibcli("measure", a, "--versus", b, "--key", "id", "--format", "json").json
    a, b = (write(f"{m}3.csv", {"score": p[50:], "label": Y[50:]}) for m, p in (("a", A), ("b", B)))
    fewer = calibcli("measure", a, "--versus", b, "--format", "json").json
    for name, figure in fewer["versus"]["metrics"].items():
        for end in ("first", "second", "value"):
            assert joined["versus"]["metrics"][name][end] == pytest.approx(figure[end], rel=1e-12)
    assert [text.split(":")[0] for text in joined["warnings"]] == [
        "50 of 700 rows have no scores there",
        f"2 of 652 rows of {a.with_name('b.csv')} are of no row here",
    ]


@pytest.mark.slow
def test_models_of_an_ensemble(models, calibcli, tmp_path, write):
    (a, b, _), (a2, b2, y2), options = models
    fits = []
    for place, (files, key) in enumerate(
        (((a, b), ()), ((a2, b2), ("--key", "id")), ((a2, b2), ("--key", "id", "--labels", y2)))
    ):
        out = tmp_path / f"{place}.json"
        given = "--ensemble", ",".join(map(str, files)), *options, *key, "-o", out, "-q"
        ran = calibcli("fit", *files, *given)
        assert ran.code == 0, ran.err
        fits.append(json.loads(out.read_text()))
    for fit in fits[1:]:
        assert fit["calibrator"]["pool"] == fits[0]["calibrator"]["pool"]
        assert fit["before"] == fits[0]["before"]
        assert [one["rows"] for one in fit["inputs"]] == [N, N]
    rows = calibcli("apply", tmp_path / "1.json", a2, b2, *options, "--key", "id", "-o", "-")
    plain = calibcli("apply", tmp_path / "0.json", a, b, *options, "-o", "-")
    assert rows.code == plain.code == 0, rows.err + plain.err
    assert [line.rsplit(",", 1)[1] for line in rows.out.splitlines()] == [
        line.rsplit(",", 1)[1] for line in plain.out.splitlines()
    ]


def test_a_model_without_some_rows(calibcli, write, tmp_path):
    a = write("a.csv", {"id": ID, "score": A, "label": Y})
    b = write("b.csv", {"id": ID[9:], "score": B[9:]})
    given = "--ensemble", f"{a},{b}", "--key", "id", "-o", tmp_path / "c.json"
    ran = calibcli("fit", a, b, *given)
    assert ran.code == 3
    assert "9 rows without a score, the first is row 1" in ran.err
    ran = calibcli("fit", a, b, *given, "--drop-invalid", "--format", "json")
    assert ran.code == 0, ran.err
    assert "9 of 700 rows have no scores there" in " ".join(ran.json["warnings"])


@pytest.mark.parametrize("command", ["measure", "fit", "threshold", "report", "apply"])
def test_a_key_needs_another_file(command, calibcli, write, calibrator):
    path = write("a.csv", {"id": ID, "score": A, "label": Y})
    given = (calibrator, path) if command == "apply" else (path,)
    ran = calibcli(
        command,
        *given,
        "-o",
        path.with_name("out.html" if command == "report" else "out.csv"),
        "--key",
        "id",
    )
    assert ran.code == 2
    assert "--key joins the rows of two files" in ran.err
    if command == "apply":
        ran = calibcli(command, *given, path.with_name("b.csv"), "-o", "-", "--key", "id")
        assert ran.code == 2
        assert "the calibrator is of one" in ran.err
