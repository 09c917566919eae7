"""`measure --by`: a series that changes on a known day, and one that does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibcli.core.decisions.gates import evaluate_gate, parse_gate
from calibcli.core.results.reading import typed
from calibcli.errors import InputError, UsageError
from calibcli.io.rows.dataset import InputSpec
from calibcli.render.formats import csvout, markdown
from calibcli.render.formats import text as tables
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure
from tests.schemas import fits_schema

DATA = Path(__file__).parents[3] / "shared" / "data"
DAYS = pd.date_range("2024-02-20", periods=14, freq="D")


def dump(seed, rows=400, since=99, slope=1.0, mean=0.0):
    """Rows of 14 days; from day `since` on the labels and the scores follow another law."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(14), rows)
    later = day >= since
    z = rng.normal(np.where(later, mean, 0.0), 1.5)
    y = (rng.random(len(z)) < 1 / (1 + np.exp(-np.where(later, slope, 1.0) * z))).astype(int)
    at = DAYS[day] + pd.to_timedelta(rng.integers(0, 86400, len(z)), "s")
    return pd.DataFrame({"score": 1 / (1 + np.exp(-z)), "label": y, "at": at, "day": day})


def run(path, by="at", *, tolerance=0.05, spec=None, **options):
    result = measure(
        InputSpec((str(path),), **(spec or {})), Conventions(tolerance=tolerance), by=by, **options
    )
    fits_schema(result, "measure")
    return result


@pytest.fixture
def paths(tmp_path):
    dump(0).to_parquet(tmp_path / "before.parquet")
    dump(1, since=9, slope=0.2, mean=1.5).sample(frac=1, random_state=0).to_csv(
        tmp_path / "now.csv", index=False
    )
    dump(2).to_parquet(tmp_path / "same.parquet")
    return tmp_path


def test_first_bad_day_is_the_day_it_changed(paths):
    found = run(paths / "now.csv", reference=str(paths / "before.parquet"))
    series = found["series"]
    assert [row["value"] for row in series["periods"]] == list(DAYS.strftime("%Y-%m-%d"))
    assert series["first_bad"] == series["first_changed"] == "2024-02-29"
    assert [row["bad"] for row in series["periods"]] == [False] * 9 + [True] * 5
    assert series["looks"] == 42
    assert series["level"] == pytest.approx(0.05 / 42)
    assert found["groups"] == []
    assert found["params"]["groups"] == []
    for render in (tables.render_measure, markdown.render_measure, csvout.render_measure):
        assert "2024-02-29" in render(typed(found))


def test_figures_of_a_day_are_those_of_its_rows(paths):
    frame = pd.read_csv(paths / "now.csv", parse_dates=["at"])
    one = frame[frame["at"].dt.date == DAYS[4].date()]
    one.to_parquet(paths / "one.parquet")
    alone = measure(InputSpec((str(paths / "one.parquet"),)), Conventions())["overall"]["metrics"]
    row = run(paths / "now.csv")["series"]["periods"][4]["metrics"]
    for name in ("n", "prevalence", "brier", "nll", "auc", "ece"):
        assert row[name]["value"] == pytest.approx(alone[name]["value"]), name
        assert row[name]["low"] == pytest.approx(alone[name]["low"]), name


def test_without_labels_or_without_a_reference(paths):
    frame = pd.read_csv(paths / "now.csv").drop(columns="label")
    frame.to_csv(paths / "bare.csv", index=False)
    found = run(paths / "bare.csv", reference=str(paths / "before.parquet"))["series"]
    assert (found["first_bad"], found["looks"]) == ("2024-02-29", 14)
    assert "ECE" not in found["rule"]
    alone = run(paths / "now.csv")["series"]
    assert (alone["first_bad"], alone["looks"]) == ("2024-02-29", 14)
    assert alone["first_changed"] is None
    assert "PSI" not in alone["rule"]


@pytest.mark.slow
def test_a_gate_decides_which_day_is_bad(paths):
    reference = str(paths / "before.parquet")
    found = run(paths / "now.csv", reference=reference, fail_if=["drift.psi>0.2", "brier>0.9"])
    assert found["series"]["first_bad"] == "2024-02-29"
    assert found["series"]["periods"][9]["why"] == ["drift.psi>0.2"]
    found = run(paths / "now.csv", fail_if=["series.bad>0"])
    assert found["gates"][0] == {"expr": "series.bad>0", "value": 5, "passed": False}
    same = run(paths / "same.parquet", fail_if=["series.bad>0"])
    assert same["gates"][0]["passed"]
    with pytest.raises(UsageError, match="needs series"):
        evaluate_gate(
            parse_gate("series.bad>0"),
            measure(InputSpec((str(paths / "same.parquet"),)), Conventions()),
        )
    assert run(paths / "now.csv", fail_if=["mce>0.001"])["series"]["metrics"]["bad"]["value"] == 14
    with pytest.raises(UsageError, match="names no figure"):
        run(paths / "now.csv", fail_if=["mcee>0.99"])


def test_numbers_are_in_order_and_other_texts_are_said(paths):
    found = run(paths / "now.csv", "day")["series"]
    assert [row["value"] for row in found["periods"]] == [str(i) for i in range(14)]
    frame = pd.read_csv(paths / "now.csv")
    frame["who"] = np.where(frame["day"] < 3, "anna", "bert")
    frame.loc[:9, "who"] = None
    frame.to_csv(paths / "who.csv", index=False)
    found = run(paths / "who.csv", "who")
    assert [row["value"] for row in found["series"]["periods"]] == ["anna", "bert"]
    assert any("neither dates nor numbers" in text for text in found["warnings"])
    assert any("10 rows without a value of who" in text for text in found["warnings"])


def test_groups_beside_a_series(paths):
    frame = pd.read_csv(paths / "now.csv")
    frame["camera"] = np.where(np.arange(len(frame)) % 2, "a", "b")
    frame.to_csv(paths / "two.csv", index=False)
    found = run(paths / "two.csv", "month:at", spec={"groups": ("camera",)})
    assert [one["slice"]["value"] for one in found["groups"]] == ["a", "b"]
    assert [row["value"] for row in found["series"]["periods"]] == ["2024-02", "2024-03"]


def test_what_cannot_be_cut_is_refused(paths):
    with pytest.raises(InputError, match=r"no column 'when' \(--by\)"):
        run(paths / "now.csv", "when")
    with pytest.raises(InputError, match="not a date"):
        run(paths / "now.csv", "month:score")
    measure(InputSpec((str(paths / "now.csv"),)), Conventions(), save_stats=str(paths / "s.json"))
    with pytest.raises(UsageError, match="saved statistics have none"):
        run(paths / "s.json")


@pytest.mark.slow
def test_many_looks_raise_no_more_alarms_than_one(tmp_path):
    """Fourteen days without any change, and a model that is off by its tolerance every day."""
    bad = changed = 0
    rng = np.random.default_rng(3)
    for _ in range(14):
        for name in ("before", "now"):
            frame = dump(rng.integers(1 << 30), rows=150, since=0, slope=0.75)
            frame.to_parquet(tmp_path / f"{name}.parquet")
        found = run(
            tmp_path / "now.parquet", tolerance=0.06, reference=str(tmp_path / "before.parquet")
        )["series"]
        bad += found["first_bad"] is not None
        changed += found["first_changed"] is not None
    assert max(bad, changed) <= 3  # 0.7 expected at 5 %; docs/drift.md has a longer run


@pytest.mark.skipif(not (DATA / "car_loan").exists(), reason="real files are elsewhere")
def test_car_loans_change_in_the_week_they_were_made_to():
    folder = DATA / "car_loan"
    found = run(
        folder / "production.parquet",
        "week:timestamp",
        reference=str(folder / "reference.parquet"),
        spec={"score": "y_pred_proba", "label": "repaid"},
    )["series"]
    assert found["first_changed"] == "2019-04-01"
    assert found["first_bad"] == "2019-04-08"
    assert not any(row["bad"] or row["changed"] for row in found["periods"][:22])
