"""`fit --replay`: what each way of refitting would have cost, against rows and against runs."""

from __future__ import annotations

import csv
import io
import json
from statistics import NormalDist

import numpy as np
import pytest

from calibcli.core.calibrators import CALIBRATORS
from calibcli.core.fitting.online import OnlinePlatt
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.stats import ScoreStats
from tests.nights import SURE
from tests.schemas import fits_schema


def nights(slopes, n=1200, seed=5):
    """Rows of as many days as there are slopes: the labels' logit is that of the model times it."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(len(slopes)), n)
    z = rng.normal(-0.8, 1.6, len(day))
    label = (rng.random(len(day)) < expit(np.asarray(slopes)[day] * z + 0.2)).astype(int)
    dates = np.array([f"2025-03-{d + 1:02}" for d in day])
    return {"score": np.round(expit(z), 4), "label": label, "at": dates}


STILL, JUMP = (0.6,) * 5, (1.2, 1.2, 0.5, 0.5, 0.5, 0.5)


@pytest.fixture
def replay(good):
    def run(path, *more):
        return good("fit", path, *SURE, "--replay", "at", "--format", "json", *more).json

    return run


def by_name(found):
    return {(one["name"], one.get("step")): one for one in found["policies"]}


def losses_of(p, label, score):
    if score == "brier":
        return (p - label) ** 2
    return -np.log(np.where(label == 1, p, 1 - p))


@pytest.mark.parametrize("score", ["nll", "brier"])
def test_losses_are_those_of_fits_to_earlier_rows(replay, write, score):
    rows = nights(JUMP)
    shuffled = np.random.default_rng(0).permutation(len(rows["label"]))
    path = write("dump.csv", {key: column[shuffled] for key, column in rows.items()})
    found = replay(path, "--select", score)
    fits_schema(found, "replay")
    days = np.unique(rows["at"])
    parts = [(rows["score"][rows["at"] == d], rows["label"][rows["at"] == d]) for d in days]
    fits = [CALIBRATORS["platt"].fit(ScoreStats.from_arrays(*part)) for part in parts]
    smoothed = [fits[0]]
    for one in fits[1:]:
        smoothed.append(smoothed[-1].toward(one, 0.25))
    never, always, quarter = (
        np.concatenate(
            [
                losses_of(maps[k - 1].apply(np.log(s / (1 - s))), label, score)
                for k, (s, label) in enumerate(parts)
                if k
            ]
        )
        for maps in ([fits[0]] * len(parts), fits, smoothed)
    )
    told = by_name(found)
    quantile = NormalDist().inv_cdf(1 - 0.05 / 2)
    together = NormalDist().inv_cdf(1 - 0.05 / 2 / (len(told) - 1))
    lines = [OnlinePlatt().after(ScoreStats.from_arrays(*parts[0]))]
    for part in parts[1:]:
        lines.append(lines[-1].after(ScoreStats.from_arrays(*part)))
    online = np.concatenate(
        [
            losses_of(line.calibrator.apply(np.log(s / (1 - s))), label, score)
            for line, (s, label) in zip(lines, parts[1:], strict=False)
        ]
    )
    wanted = {("never", None): never, ("always", None): always, ("step", 0.25): quarter}
    wanted["online", None] = online
    for key, losses in wanted.items():
        loss, apart = told[key]["loss"], told[key]["difference"]
        half = quantile * losses.std() / np.sqrt(len(losses))
        assert loss["value"] == pytest.approx(losses.mean())
        assert loss["high"] - loss["value"] == pytest.approx(half)
        gap = losses - never
        assert apart["value"] == pytest.approx(gap.mean(), abs=1e-12)
        half = together * gap.std() / np.sqrt(len(gap))
        assert apart["high"] - apart["value"] == pytest.approx(half, abs=1e-12)
        by_night = losses.reshape(len(days) - 1, -1).mean(axis=1)
        assert told[key]["worst"]["value"] == days[1 + by_night.argmax()]
        assert told[key]["worst"]["loss"] == pytest.approx(by_night.max())
    raw = np.concatenate([losses_of(s, label, score) for s, label in parts[1:]])
    assert told["uncalibrated", None]["loss"]["value"] == pytest.approx(raw.mean())
    assert (found["nights"], found["rows"]) == (len(days) - 1, len(never))


def test_promote_does_what_promotions_do_night_by_night(replay, calibcli, write, tmp_path):
    rows = nights(JUMP)
    limits = ("--max-shift", "psi=0.1,odds=2,auc=0.2")
    found = replay(write("dump.csv", rows), *limits)
    codes = [next(p for p in one["policies"] if p["name"] == "promote") for one in found["periods"]]
    current, met = tmp_path / "current.json", []
    for place, day in enumerate(np.unique(rows["at"])):
        night = write(f"{day}.csv", {k: c[rows["at"] == day] for k, c in rows.items()})
        if not place:
            assert calibcli("fit", night, *SURE, "-o", current).code == 0
            continue
        more = ("--promote-over", current, *limits, "--format", "json")
        met.append(json.loads(calibcli("fit", night, *SURE, *more).out)["code"])
    assert [one["code"] for one in codes[1:]] == met
    assert met.count("promoted") == by_name(found)["promote", None]["replaced"] > 0


def test_where_nothing_changes_promote_is_never(replay, write):
    told = by_name(replay(write("dump.csv", nights(STILL))))
    still, moved = told["never", None], told["promote", None]
    assert moved["replaced"] == 0
    assert moved["loss"] == still["loss"]
    assert (moved["difference"]["low"], moved["difference"]["high"]) == (0, 0)


def test_after_a_jump_refitting_is_better_and_the_first_period_costs_nothing(replay, write):
    found = replay(write("dump.csv", nights(JUMP)), "--max-shift", "odds=9,auc=0.5")
    told = by_name(found)
    for name in ("always", "promote"):
        assert told[name, None]["difference"]["high"] < 0
    first = found["periods"][0]
    assert not first["judged"]
    assert {one["loss"] for one in first["policies"]} == {None}
    assert found["rows"] == sum(one["n"] for one in found["periods"][1:])


def test_maps_with_nothing_between_them_have_no_steps(calibcli, write):
    path = write("dump.csv", nights(STILL[:3]))
    ran = calibcli("fit", path, "--method", "isotonic", "--replay", "at", "--format", "json")
    assert ran.code == 0
    assert "steps of 0.5, 0.25 are left out" in ran.err
    assert [one["name"] for one in ran.json["policies"]][:3] == ["never", "always", "promote"]


def test_a_night_that_cannot_be_fitted_changes_nothing(replay, write):
    rows = nights(STILL[:3])
    rows["label"][rows["at"] == "2025-03-02"] = 0
    found = replay(write("dump.csv", rows))
    second = found["periods"][1]
    assert "label" in second["reason"]
    done = {one["name"] for one in second["policies"] if one["replaced"]}
    assert done == {"online"}, "which fits nothing anew"
    assert next(p for p in second["policies"] if p["name"] == "promote")["code"] == "input"


def test_the_forms(good, write):
    path = write("dump.csv", nights(JUMP[:4], n=400))
    given = ("fit", path, *SURE, "--replay", "day:at")
    table = good(*given).out
    assert "3 periods of day:at after the first, 1200 rows" in table
    assert "step 0.25" in table
    assert "| uncalibrated | 0 |" in good(*given, "--format", "md").out
    rows = list(csv.DictReader(io.StringIO(good(*given, "--format", "csv").out)))
    told = by_name(good(*given, "--format", "json").json)
    at = {(r["at"], r["metric"]): r for r in rows if r["table"] == "policies"}
    assert float(at["always", "nll"]["value"]) == told["always", None]["loss"]["value"]
    assert float(at["always", "nll_difference"]["low"]) == told["always", None]["difference"]["low"]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("-o", "c.json"), 2, "--output does nothing with --replay"),
        (("--promote-over", "c.json"), 2, "--promote-over does nothing with --replay"),
        (("--rollback", "c.json"), 2, "--rollback does nothing with --replay"),
        (("--fail-if", "ece>0.1"), 2, "--fail-if does nothing with --replay"),
        (("--bins", "10"), 2, "--bins does nothing with --replay"),
        (("--per-group", "at"), 2, "not for --per-group"),
        (("--folds", "time:at"), 2, "not for --folds time:COL"),
        (("--no-ci",), 2, "leave out --no-ci"),
        (("--format", "junit"), 2, "--format junit does not show a replay"),
        (("--raw",), 2, "--replay needs probabilities"),
        (("--replay", "year:at"), 3, "all rows are of one period of year:at"),
        (("--replay", "nothing"), 3, "has no column 'nothing'"),
        (("--method", "dirichlet"), 2, "dirichlet is for several classes"),
    ],
)
def test_what_a_replay_does_not_go_with_is_refused(calibcli, write, more, code, said):
    path = write("dump.csv", nights(STILL[:2], n=100))
    by = () if "--replay" in more else ("--replay", "at")
    ran = calibcli("fit", path, *by, *more)
    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_place_from_a_project_file_gives_way(good, write, tmp_path):
    config = tmp_path / "own.toml"
    config.write_text('[fit]\noutput = "c.json"\nmin_rows = 5\n')
    path = write("dump.csv", nights(STILL[:2], n=300))
    more = ("--config", config, "--format", "json")
    found = good("fit", path, *SURE, "--replay", "at", *more).json
    assert found["params"]["min_rows"] == 5
    assert not (tmp_path / "c.json").exists()


def test_a_first_period_of_one_label_and_rows_without_a_time(calibcli, write):
    rows = nights(STILL[:2], n=100)
    rows["label"][rows["at"] == "2025-03-01"] = 1
    ran = calibcli("fit", write("dump.csv", rows), *SURE, "--replay", "at")
    assert ran.code == 3
    assert "nothing can be fitted to the first period, 2025-03-01" in ran.err
    rows = nights(STILL[:2], n=100)
    rows["at"] = np.where(np.arange(200) == 7, "", rows["at"])
    ran = calibcli("fit", write("gap.csv", rows), *SURE, "--replay", "at")
    assert ran.code == 3
    assert "rows without a value of at" in ran.err


@pytest.mark.slow
def test_the_interval_holds_what_is_to_be_expected(replay, write):
    """Of a difference whose maps are known, the expected value is a sum over the logits."""
    z = np.linspace(-8.8, 7.2, 801)
    density = np.exp(-0.5 * ((z + 0.8) / 1.6) ** 2)
    density /= density.sum()
    kind, inside = CALIBRATORS["platt"], 0
    for seed in range(60):
        rows = nights(JUMP, n=800, seed=100 + seed)
        parts = [rows["at"] == day for day in np.unique(rows["at"])]
        fits = [
            kind.fit(ScoreStats.from_arrays(rows["score"][at], rows["label"][at])) for at in parts
        ]
        gaps = []
        for night, slope in enumerate(JUMP[1:], start=1):
            truth = expit(slope * z + 0.2)
            expected = [
                density @ -(truth * np.log(q) + (1 - truth) * np.log1p(-q))
                for q in (fits[night - 1].apply(z), fits[0].apply(z))
            ]
            gaps.append(expected[0] - expected[1])
        told = by_name(replay(write("dump.csv", rows)))["always", None]["difference"]
        inside += told["low"] <= np.mean(gaps) <= told["high"]
    assert inside >= 57, "99 % each, so that six hold together with 95 %"
