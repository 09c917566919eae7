"""Artifacts in a service: read once, applied to arrays."""

from __future__ import annotations

import numpy as np
import pytest

import calibcli as package
from calibcli.errors import CalibcliError, InputError


@pytest.fixture
def fitted(calibcli, write, binary, tmp_path):
    """Return a function that fits on the binary scores and loads the calibrator."""
    table = write("scores.csv", binary)

    def fit(method, *options):
        path = tmp_path / f"{method}.json"
        arguments = ("--method", method, "-o", path, "-q", "--no-ci")
        assert calibcli("fit", table, *arguments, *options).code == 0
        return package.load(path)

    return fit


METHODS = ("identity", "temperature", "platt", "beta", "isotonic", "histogram", "spline",
           "venn-abers")  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_probabilities_that_never_fall(fitted, method):
    loaded = fitted(method)
    grid = np.append(np.linspace(0, 1, 501), [1e-300, 1 - 1e-16])
    grid.sort()
    p = loaded.apply(grid)
    assert p.dtype == np.float64
    assert p.shape == grid.shape
    assert ((p >= 0) & (p <= 1)).all()
    if method not in ("histogram", "venn-abers"):
        assert (np.diff(p) >= -1e-12).all()
    np.testing.assert_array_equal(loaded.apply(grid[::-1]), p[::-1])


@pytest.mark.parametrize("method", METHODS)
def test_one_row_at_a_time_gives_the_same(fitted, method, binary):
    loaded = fitted(method)
    p = loaded.apply(binary["score"][:20])
    for score, expected in zip(binary["score"][:20], p, strict=True):
        assert loaded.apply([score])[0] == expected
    assert loaded.apply([]).shape == (0,)


def test_a_float32_score_is_its_float64_value(fitted):
    loaded = fitted("platt")
    single = np.float32([0.1, 0.7, 0.9])
    np.testing.assert_array_equal(loaded.apply(single), loaded.apply(single.astype(np.float64)))


def test_logits_and_probabilities_of_one_score_agree(fitted):
    loaded = fitted("temperature")
    z = np.linspace(-5, 5, 41)
    np.testing.assert_allclose(
        loaded.apply(z, logits=True), loaded.apply(1 / (1 + np.exp(-z))), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    "scores",
    [0.5, [[0.5]], [0.5, np.nan], [1.5], [-0.1], ["0.5"], [None], [0.5j], np.zeros((3, 2)),
     [np.inf], np.array(["2024-01-01"], "M8[D]")],
)  # fmt: skip
def test_what_cannot_be_a_score_is_refused(fitted, scores):
    with pytest.raises(InputError) as caught:
        fitted("platt").apply(scores)
    assert "\n" not in caught.value.message


def test_rows_of_classes(calibcli, write, classes, tmp_path):
    path = tmp_path / "c.json"
    calibcli(
        "fit", write("z.npy", classes["z"]), "--labels", write("y.npy", classes["label"]),
        "--logits", "--classes", "cat,dog,eel", "--method", "temperature", "-o", path, "-q",
    )  # fmt: skip
    loaded = package.load(str(path))
    assert (loaded.task, loaded.classes, loaded.logits) == (
        "multiclass",
        ("cat", "dog", "eel"),
        True,
    )
    p = loaded.apply(classes["z"])
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert (p.argmax(axis=1) == classes["z"].argmax(axis=1)).all()
    assert loaded.apply(np.zeros((0, 3))).shape == (0, 3)
    for wrong in (np.zeros(3), np.zeros((4, 2)), np.zeros((4, 4))):
        with pytest.raises(InputError, match=r"\(n, 3\) is needed"):
            loaded.apply(wrong)


def test_thresholds_decide(calibcli, write, binary, tmp_path):
    table, path = write("scores.csv", binary), tmp_path / "t.json"
    assert calibcli("threshold", table, "-o", path, "-q").code == 0
    cuts = package.load(path)
    assert isinstance(cuts, package.LoadedThresholds)
    (cut,) = cuts.values
    decided = cuts.decide([cut, np.nextafter(cut, 0), 1.0, 0.0])
    assert decided.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(cuts.decide(binary["score"]), binary["score"] >= cut)


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"schema": "calibcli/stats"}'])
def test_what_is_no_artifact_is_refused(tmp_path, content):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    for given in (path, str(path)):
        with pytest.raises(CalibcliError):
            package.load(given)
