"""A table reads the same from the few figures of classes that are worked out for it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec import structs

from calibcli.core.fitting.problems import ROW_CANDIDATES
from calibcli.core.results.reading import typed
from calibcli.io.rows.recipe import InputSpec
from calibcli.render.formats import short, text
from calibcli.render.words import answers
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.classes import DRAWN
from calibcli.workflows.measure.report import report

K = 4


@pytest.fixture
def files(write):
    rng = np.random.default_rng(3)
    z = rng.normal(0.0, 1.5, (400, K))
    q = np.exp(z / 2.0)
    label = (rng.random((400, 1)) > (q / q.sum(1, keepdims=True)).cumsum(axis=1)).sum(axis=1)
    label[label == 2] = 1  # one class does not occur
    return [write("z.npy", z), "--labels", write("y.npy", label), "--logits"]


@pytest.mark.parametrize("more", [[], ["--no-ci"], ["--calibrator"]])
def test_the_short_answer_of_measure(good, calibcli, files, tmp_path, more):
    if more == ["--calibrator"]:
        good("fit", *files, "--method", "temperature", "-o", tmp_path / "c.json", "--quiet")
        more = ["--calibrator", tmp_path / "c.json"]
    shown = good("measure", *files, *more, "--quiet").out
    full = json.loads(good("measure", *files, *more, "--format", "json", "--quiet").out)
    hint = next((line for line in shown.splitlines() if line.startswith("next:")), "")
    wanted = short.render_measure(typed(full), hint="X" if hint else "")
    kept = shown.split("next:")[0]
    assert wanted.startswith(kept) or wanted == shown
    assert "worst class" in shown


def test_the_tables_of_a_fit(good, files, tmp_path):
    wish = ["fit", *files, "--method", "temperature", "--quiet"]
    shown = good(*wish, "--all", "-o", tmp_path / "a.json").out
    full = json.loads(good(*wish, "-o", tmp_path / "b.json", "--format", "json").out)
    assert shown == text.render_fit(typed(full))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert "brier" in full["classes"][0]["after"]["metrics"]


def test_every_other_form_has_every_figure(good, files):
    assert "precision" in good("measure", *files, "--all", "--quiet").out
    gated = good("measure", *files, "--fail-if", "class.0.auc<0.01", "--quiet").out
    assert "pass  class.0.auc<0.01" in gated


def test_candidates_of_equal_rank_keep_the_order_of_their_names(good, files, tmp_path):
    found = good("fit", *files, "-o", tmp_path / "c.json", "--format", "json", "--quiet").json
    names = [one["method"] for one in found["candidates"]]
    assert names == [name for name in ROW_CANDIDATES if name in names]


def test_a_page_of_many_classes_says_the_same_of_all_and_everything_of_the_worst(write):
    rng = np.random.default_rng(5)
    many = DRAWN + 5
    z = rng.normal(0.0, 2.0, (900, many))
    label = (z / 3.0 + rng.gumbel(size=z.shape)).argmax(axis=1)
    spec = InputSpec(
        (str(write("z.npy", z)),), labels=str(write("y.npy", label)), logits=True, task="multiclass"
    )
    brief, full = (
        typed(report(spec, Conventions(), in_brief=in_brief)).measure for in_brief in (True, False)
    )
    assert answers.answer(brief) == answers.answer(full)
    error = sorted((one.ece.value for one in full.classes), reverse=True)
    for short_one, whole in zip(brief.classes, full.classes, strict=True):
        assert short_one.bins == whole.bins
        assert short_one.cost_curve == whole.cost_curve
        for name, figure in short_one.metrics.items():
            assert figure.value == whole.metrics[name].value
        if whole.ece.value >= error[DRAWN - 1]:
            short_one, whole = (structs.replace(one, cutoffs=None) for one in (short_one, whole))
            assert short_one == whole
