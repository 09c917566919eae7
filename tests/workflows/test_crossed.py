"""`measure --by` crossed with groups, classes, cut-offs and a second model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibcli.core.results.reading import typed
from calibcli.errors import UsageError
from calibcli.io.rows.dataset import InputSpec
from calibcli.render.formats import csvout, markdown
from calibcli.render.formats import text as tables
from calibcli.workflows.fit.fit import fit
from calibcli.workflows.fit.fitted import FitOptions
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure
from calibcli.workflows.threshold.threshold import threshold
from calibcli.workflows.threshold.wish import Wish
from tests.schemas import fits_schema

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
PLAIN = Conventions(confidence=None)


def expit(z):
    return 1 / (1 + np.exp(-z))


@pytest.fixture(scope="module")
def frame():
    """On the second day the scores of group b are wrong, and the second model is better."""
    rng = np.random.default_rng(5)
    n = 900
    day, group = np.arange(n) * 3 // n, rng.integers(0, 2, n)
    z = rng.normal(0, 1.5, n)
    y = (rng.random(n) < expit(z)).astype(int)
    wrong = np.where((day == 1) & (group == 1), 2.5, 0.0)
    names = np.array(["a", "b"])
    columns = {"score": expit(z + wrong), "second": expit(z), "label": y}
    return pd.DataFrame(columns | {"g": names[group], "day": np.array(DAYS)[day]})


@pytest.fixture(scope="module")
def path(frame, tmp_path_factory):
    found = tmp_path_factory.mktemp("crossed") / "rows.csv"
    frame.to_csv(found, index=False)
    return str(found)


def spec(path, **more):
    return InputSpec((path,), score="score", label="label", groups=("g",), **more)


def run(asked, conventions=PLAIN, **options):
    found = measure(asked, conventions, by="day", **options)
    fits_schema(found, "measure")
    for render in (tables.render_measure, markdown.render_measure, csvout.render_measure):
        assert render(typed(found))
    return found


@pytest.fixture(scope="module")
def fitted(path, tmp_path_factory):
    """A calibrator by group, and cut-offs by group after it."""
    folder = tmp_path_factory.mktemp("fitted")
    cal, cuts = str(folder / "cal.json"), str(folder / "cuts.json")
    fit(spec(path), PLAIN, FitOptions(method="platt", per_group="g"), output=cal)
    wish = replace(Wish.parse("f1"), per_group="g")
    threshold(spec(path), PLAIN, wish, calibrator=cal, output=cuts)
    return cal, cuts


def test_a_group_within_a_period_is_its_rows(frame, path, tmp_path):
    found = run(spec(path), Conventions())
    for row in found["series"]["periods"]:
        assert [one["slice"]["value"] for one in row["groups"]] == ["a", "b"]
        for one in row["groups"]:
            mine = frame[(frame["day"] == row["value"]) & (frame["g"] == one["slice"]["value"])]
            mine.to_csv(tmp_path / "own.csv", index=False)
            own = InputSpec((str(tmp_path / "own.csv"),), score="score", label="label")
            alone = measure(own, Conventions())["overall"]["metrics"]
            for name, figure in one["metrics"].items():
                assert figure["value"] == pytest.approx(alone[name]["value"]), name
                assert figure["low"] == pytest.approx(alone[name]["low"]), name


def test_gates_of_groups_find_the_bad_period(path):
    gates = ["group.g.b.ece>0.2", "worst(group.g).brier>0.25", "group.g.a.ece>0.2", "ece>0.9"]
    found = run(spec(path), fail_if=gates)["series"]
    assert found["first_bad"] == DAYS[1]
    assert [row["why"] for row in found["periods"]] == [[], gates[:2], []]


def test_a_group_that_a_period_lacks_fails_closed(frame, tmp_path):
    some = frame[(frame["day"] != DAYS[2]) | (frame["g"] == "a")]
    some.to_csv(tmp_path / "some.csv", index=False)
    asked = spec(str(tmp_path / "some.csv"))
    with pytest.raises(UsageError, match=rf"group\.g\.b.*in {DAYS[2]}"):
        run(asked, fail_if=["group.g.b.ece>0.2"])
    assert run(asked, fail_if=["worst(group.g).ece>0.2"])["series"]["first_bad"] == DAYS[1]


def test_decisions_within_a_period_are_those_of_its_rows(frame, path, fitted, tmp_path):
    cal, cuts = fitted
    options = {"calibrator": cal, "thresholds": cuts}
    gates = ["group.g.b.decision.precision<0", "group.g.b.calibrated.brier>0.215"]
    found = run(spec(path), fail_if=gates, **options)
    assert [row["why"] for row in found["series"]["periods"]] == [[], gates[1:], []]
    for row in found["series"]["periods"]:
        for one in row["groups"]:
            mine = frame[(frame["day"] == row["value"]) & (frame["g"] == one["slice"]["value"])]
            mine.to_csv(tmp_path / "own.csv", index=False)
            alone = measure(spec(str(tmp_path / "own.csv")), PLAIN, **options)["decision"]
            assert one["decision"]["metrics"] == alone["metrics"]


def test_two_models_are_compared_in_each_period(frame, path, tmp_path):
    gates = ["versus.nll<-0.1"]
    found = run(spec(path), Conventions(), versus="second", fail_if=gates)
    assert [row["why"] for row in found["series"]["periods"]] == [[], gates, []]
    periods = found["versus"]["periods"]
    assert [one["slice"]["value"] for one in periods] == list(DAYS)
    frame[frame["day"] == DAYS[1]].to_csv(tmp_path / "own.csv", index=False)
    own = measure(spec(str(tmp_path / "own.csv")), Conventions(), versus="second")["versus"]
    for name, figure in periods[1]["metrics"].items():
        assert figure["value"] == pytest.approx(own["metrics"][name]["value"]), name
        assert figure["low"] == pytest.approx(own["metrics"][name]["low"]), name


def test_periods_change_nothing_of_two_models_and_a_calibrator_by_group(path, fitted):
    options = {"versus": "second", "calibrator": fitted[0]}
    no_groups = InputSpec((path,), score="score", label="label")
    found = run(no_groups, Conventions(), **options)["versus"]
    found.pop("periods")
    assert found == measure(no_groups, Conventions(), **options)["versus"]
    for gate in ("group.g.a.versus.nll<0", "calibrated.versus.nll<0"):
        with pytest.raises(UsageError, match="cannot be evaluated with --by"):
            run(spec(path), fail_if=[gate], **options)


def test_many_periods_are_not_compared_and_their_gates_are_refused(frame, tmp_path):
    frame.assign(day=np.arange(len(frame)) // 15).to_csv(tmp_path / "many.csv", index=False)
    asked = spec(str(tmp_path / "many.csv"))
    found = run(asked, versus="second")["versus"]
    assert "more than 50 periods" in found["note"]
    assert "periods" not in found
    with pytest.raises(UsageError, match="more than 50 periods"):
        run(asked, versus="second", fail_if=["versus.nll<0"])


def test_classes_within_a_period(tmp_path):
    rng = np.random.default_rng(2)
    z = rng.normal(0, 1.5, (900, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    truth = np.minimum((rng.random((900, 1)) > p.cumsum(axis=1)).sum(axis=1), 2)
    day = np.arange(900) // 300
    shown = np.where((day == 2)[:, None], p[:, [1, 0, 2]], p)
    columns = {f"p_{k}": shown[:, k] for k in range(3)} | {f"q_{k}": p[:, k] for k in range(3)}
    columns |= {"label": truth, "day": np.array(DAYS)[day], "g": np.array(["a", "b"])[day % 2]}
    pd.DataFrame(columns).to_csv(tmp_path / "rows.csv", index=False)
    asked = InputSpec(
        (str(tmp_path / "rows.csv"),), scores=("p_0", "p_1", "p_2"), label="label", groups=("g",)
    )
    gates = ["class.0.ece>0.15", "class.2.ece>0.15", "versus.nll<-0.2", "group.g.a.brier>0.9"]
    with pytest.raises(UsageError, match=rf"group\.g\.a.*in {DAYS[1]}"):
        run(asked, versus="q_0,q_1,q_2", fail_if=gates)
    found = run(asked, versus="q_0,q_1,q_2", fail_if=gates[:3])["series"]
    assert [row["why"] for row in found["periods"]] == [[], [], [gates[0], gates[2]]]
    accuracy = [row["groups"][0]["metrics"]["accuracy"]["value"] for row in found["periods"]]
    right = shown.argmax(axis=1) == truth
    assert accuracy == pytest.approx([right[day == d].mean() for d in range(3)])


def test_a_group_drifts_from_the_same_group_of_the_reference(frame, tmp_path):
    then, now = str(tmp_path / "then.csv"), str(tmp_path / "now.csv")
    frame[frame["day"] == DAYS[0]].to_csv(then, index=False)
    frame[frame["day"] == DAYS[1]].to_csv(now, index=False)
    measure(spec(then), PLAIN, save_stats=str(tmp_path / "then.json"))
    own = []
    for day in DAYS[:2]:
        own.append(str(tmp_path / f"{day}.csv"))
        frame[(frame["day"] == day) & (frame["g"] == "b")].to_csv(own[-1], index=False)
    bare = InputSpec((own[1],), score="score", label="label")
    alone = measure(bare, Conventions(), reference=own[0])["drift"]["metrics"]
    gates = ["group.g.a.drift.psi>0.5", "group.g.b.drift.psi>0.5"]
    for reference in (then, str(tmp_path / "then.json")):
        found = measure(spec(now), Conventions(), reference=reference, fail_if=gates)
        fits_schema(found, "measure")
        assert [one["passed"] for one in found["gates"]] == [True, False]
        told = found["drift"]["groups"][1]["metrics"]
        assert list(told) == list(alone)
        for name, figure in alone.items():
            assert told[name]["value"] == pytest.approx(figure["value"]), name
            assert told[name]["low"] == pytest.approx(figure["low"]), name
    frame[["score", "label"]].to_csv(tmp_path / "bare.csv", index=False)
    whole = str(tmp_path / "bare.csv")
    found = measure(spec(now), PLAIN, reference=whole)
    assert "groups" not in found["drift"]
    assert any("drift is of all rows" in text for text in found["warnings"])
    with pytest.raises(UsageError, match="cannot be evaluated"):
        measure(spec(now), PLAIN, reference=whole, fail_if=gates)
