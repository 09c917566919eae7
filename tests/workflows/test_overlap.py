"""The guard against rows that were used to fit, from files to warnings and gates."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from calibcli.core.statistics.sketch import RowSketch
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.artifacts import digest_of
from calibcli.io.content import row_hashes
from calibcli.io.rows.dataset import InputSpec, open_dataset
from calibcli.tasks.watching import Watch
from calibcli.workflows.fit.fit import FitOptions, fit
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure
from calibcli.workflows.measure.report import report
from calibcli.workflows.threshold.threshold import threshold
from calibcli.workflows.threshold.wish import Wish
from tests.schemas import fits_schema

PLAIN = Conventions(confidence=None)


def frame(seed, n=3000):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return pd.DataFrame({"score": 1 / (1 + np.exp(-1.5 * z)), "label": y})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("overlap")
    old, new = frame(0), frame(1)
    old.to_parquet(tmp_path / "old.parquet")
    old.to_csv(tmp_path / "old.csv", index=False)
    old.sample(frac=1, random_state=1).to_csv(tmp_path / "shuffled.csv", index=False)
    new.to_parquet(tmp_path / "new.parquet")
    pd.concat([new, old.iloc[:300]]).to_parquet(tmp_path / "mixed.parquet")
    old.drop(columns="label").to_parquet(tmp_path / "bare.parquet")
    spec = InputSpec((str(tmp_path / "old.parquet"),))
    fit(spec, PLAIN, FitOptions(method="platt"), output=str(tmp_path / "c.json"))
    return tmp_path


@pytest.fixture
def folder(made, tmp_path):
    """Files of each test, which may write others in their place."""
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def run(folder, name, **options):
    result = measure(
        InputSpec((str(folder / name),)), PLAIN, calibrator=str(folder / "c.json"), **options
    )
    fits_schema(result, "measure")
    return result


@pytest.mark.parametrize("name", ["old.parquet", "old.csv", "shuffled.csv", "bare.parquet"])
def test_the_same_rows_are_known_in_every_form(folder, name):
    options = {"reference": str(folder / "new.parquet")} if name == "bare.parquet" else {}
    found = run(folder, name, **options)
    assert found["overlap"]["value"] == 1.0
    assert found["overlap"]["matches"] == 3000
    assert any("was fitted on 100 % of these rows" in text for text in found["warnings"])


def test_other_rows_are_not(folder):
    found = run(folder, "new.parquet")
    assert found["overlap"]["value"] == 0.0
    assert found["overlap"]["high"] < 0.002
    assert not found["warnings"]


def test_some_rows_are_counted(folder):
    found = run(folder, "mixed.parquet")["overlap"]
    assert found["low"] <= 300 / 3300 <= found["high"]
    assert found["value"] == pytest.approx(300 / 3300, abs=0.01)


def test_a_new_dump_under_the_old_name_is_no_leak(folder):
    """Same path and number of rows: the rows tell, not the name."""
    frame(2).to_parquet(folder / "old.parquet")
    assert not run(folder, "old.parquet")["warnings"]


@pytest.mark.parametrize(
    ("name", "expr", "passed"),
    [
        ("old.csv", "overlap>0", False),
        ("new.parquet", "overlap>0", True),
        ("mixed.parquet", "overlap>0.5", True),
        ("mixed.parquet", "overlap.low>0.05", False),
        ("new.parquet", "overlap.high>0.01", True),
    ],
)
def test_gates(folder, name, expr, passed):
    assert run(folder, name, fail_if=[expr])["gates"][0]["passed"] is passed


def test_gates_fail_closed(folder):
    with pytest.raises(UsageError, match="needs a calibrator"):
        measure(InputSpec((str(folder / "new.parquet"),)), PLAIN, fail_if=["overlap>0"])
    with pytest.raises(UsageError, match="names no figure"):
        run(folder, "new.parquet", fail_if=["overlap.hgih>0"])
    measure(InputSpec((str(folder / "new.parquet"),)), PLAIN, save_stats=str(folder / "s.json"))
    with pytest.raises(UsageError, match="saved statistics have no rows"):
        run(folder, "s.json", fail_if=["overlap>0"])


def test_threshold_and_report_warn_too(folder):
    spec = InputSpec((str(folder / "shuffled.csv"),))
    calibrator = str(folder / "c.json")
    made = report(spec, PLAIN, calibrator=calibrator)
    assert any("was fitted on" in text for text in made["warnings"])
    assert made["measure"]["overlap"]["value"] == 1.0
    found = threshold(spec, PLAIN, Wish.parse("f1"), calibrator=calibrator)
    assert any("was fitted on 100 %" in text for text in found["warnings"])
    certain = Wish.parse("recall", ("precision>=0.6",), guarantee=0.9)
    found = threshold(spec, PLAIN, certain, calibrator=calibrator)
    assert found["kind"] == "empirical"
    fresh = InputSpec((str(folder / "new.parquet"),))
    assert threshold(fresh, PLAIN, certain, calibrator=calibrator)["kind"] == "certified"
    with pytest.raises(InputError, match="no such file"):
        threshold(fresh, PLAIN, certain, calibrator=str(folder / "none.json"))


def test_single_precision_is_known_in_double_and_not_the_reverse(folder):
    old = frame(0)
    old["score"] = old["score"].astype(np.float32)
    old.to_parquet(folder / "short.parquet")
    old.to_csv(folder / "short.csv", index=False)
    spec = InputSpec((str(folder / "short.parquet"),))
    fit(spec, PLAIN, FitOptions(method="platt"), output=str(folder / "c.json"))
    assert run(folder, "short.csv")["overlap"]["value"] == 1.0
    assert run(folder, "old.csv")["overlap"]["value"] > 0.99  # rounded to what the fit had
    fit(
        InputSpec((str(folder / "old.parquet"),)),
        PLAIN,
        FitOptions(method="platt"),
        output=str(folder / "c.json"),
    )
    found = run(folder, "short.parquet")["overlap"]
    assert found["value"] is None
    assert "32 bits" in found["reason"]


def test_an_old_calibrator_says_that_it_cannot_tell(folder):
    spec = InputSpec((str(folder / "old.parquet"),))
    fit(spec, PLAIN, FitOptions(method="platt"), output=str(folder / "c.json"))
    payload = json.loads((folder / "c.json").read_text())
    del payload["sketch"]
    payload["digest"] = digest_of(payload)
    (folder / "c.json").write_text(json.dumps(payload))
    found = run(folder, "old.parquet")
    assert "no sketch" in found["overlap"]["reason"]
    assert any("this very file" in text for text in found["warnings"])  # by name, as before
    payload["sketch"] = {
        "rows": 1, "limit": "zz", "sampled": 1, "twice": 0, "salt": "0", "digits": 64, "once": "",
    }  # fmt: skip
    payload["digest"] = digest_of(payload)
    (folder / "c.json").write_text(json.dumps(payload))
    with pytest.raises(InputError):
        run(folder, "old.parquet")


@pytest.mark.slow
def test_several_classes_and_models(tmp_path):
    rng = np.random.default_rng(3)
    z = rng.normal(0, 2, (1500, 4)).astype(np.float32)
    label = (z + rng.gumbel(0, 1, z.shape)).argmax(axis=1)
    np.save(tmp_path / "z.npy", z)
    np.save(tmp_path / "y.npy", label)
    np.save(tmp_path / "z2.npy", rng.normal(0, 2, (1500, 4)).astype(np.float32))
    spec = InputSpec((str(tmp_path / "z.npy"),), labels=str(tmp_path / "y.npy"), logits=True)
    fit(spec, PLAIN, FitOptions(method="temperature"), output=str(tmp_path / "c.json"))
    for name, share in (("z.npy", 1.0), ("z2.npy", 0.0)):
        again = InputSpec((str(tmp_path / name),), labels=spec.labels, logits=True)
        found = measure(again, PLAIN, calibrator=str(tmp_path / "c.json"))
        assert found["overlap"]["value"] == share
    table = frame(4, 1000)
    table["other"] = np.clip(table["score"] + rng.normal(0, 0.05, 1000), 0.001, 0.999)
    table.to_csv(tmp_path / "two.csv", index=False)
    spec = InputSpec((str(tmp_path / "two.csv"),))
    options = FitOptions(models=("score", "other"))
    fit(spec, PLAIN, options, output=str(tmp_path / "p.json"))
    found = measure(spec, PLAIN, calibrator=str(tmp_path / "p.json"))
    assert found["overlap"]["value"] == 1.0


def test_the_artifact_is_the_same_for_the_same_rows_in_any_order(folder):
    for name in ("old.csv", "shuffled.csv"):
        spec = InputSpec((str(folder / name),))
        fit(spec, PLAIN, FitOptions(method="platt"), output=str(folder / f"{name}.json"))
    first, second = (
        json.loads((folder / f"{name}.json").read_text())["sketch"]
        for name in ("old.csv", "shuffled.csv")
    )
    assert first == second


def test_partitions_sketched_apart_are_the_whole(folder):
    spec = InputSpec((str(folder / "old.parquet"), str(folder / "new.parquet")))
    here, there = Watch(512), Watch(512)
    for partition in open_dataset(spec).partitions:
        own = there.fresh()
        for batch in partition.batches():
            here.add(batch)
            own.add(batch)
        own.finish()
        there.merge(own)
    assert there.sketch.rows == 6000
    for a, b in zip(here.sketch.sample(), there.sketch.sample(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert there.seen == 64


def test_hashes_of_rows_do_not_collide():
    rng = np.random.default_rng(5)
    short = rng.random((100_000, 3)).astype(np.float32)
    assert len(np.unique(row_hashes(short))) == 100_000
    assert len(np.unique(row_hashes(short[:, 0]))) == len(np.unique(short[:, 0]))
    swapped = short[:, ::-1]
    assert not np.isin(row_hashes(swapped), row_hashes(short)).any()
    assert row_hashes(np.array([0.0]))[0] == row_hashes(np.array([-0.0]))[0]
    small = RowSketch(16)
    small.add(row_hashes(short))
    assert len(small.sample()[0]) == 16
