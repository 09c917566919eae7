"""Prediction sets, abstention and cost matrices end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from calibcli.core.decisions.conformal import nonconformity
from calibcli.core.decisions.promises.coverage import TrueScores
from calibcli.core.decisions.rules import REFER
from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.io.artifacts.schema import load_schema
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load
from calibcli.workflows.threshold.kinds.abstain import abstention
from calibcli.workflows.threshold.kinds.cost_matrix import cheapest_class
from calibcli.workflows.threshold.kinds.sets import prediction_sets

USUAL = Conventions()


def draw(seed, n, k=4, sharpness=2.0):
    """Rows whose probabilities are too extreme: their labels come from softer ones."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1, (n, k))
    soft = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p = np.exp(sharpness * z)
    p /= p.sum(axis=1, keepdims=True)
    return p, (rng.uniform(size=(n, 1)) > soft.cumsum(axis=1)).sum(axis=1)


@pytest.fixture
def save(tmp_path):
    def write(p, label, **columns):
        import pyarrow as pa
        from pyarrow import parquet

        table = {f"p_{k}": p[:, k] for k in range(p.shape[1])} | {"label": label} | columns
        parquet.write_table(pa.table(table), tmp_path / "scores.parquet", row_group_size=97)
        return tmp_path / "scores.parquet"

    def spec(p, label, groups=(), **columns):
        path = write(p, label, **columns)
        more = {name: name for name in ("weight", "count", "cluster") if name in columns}
        return InputSpec(paths=(str(path),), scores=("p_*",), groups=groups, **more)

    return spec


@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
def test_the_quantile_is_the_textbook_one(save, method):
    p, label = draw(0, 500)
    ranks = {"penalty": 0.05, "free_rank": 1} if method == "raps" else {}
    found = prediction_sets(save(p, label), USUAL, 0.9, method=method, **ranks)["sets"]
    true = np.sort(nonconformity(p, method, **ranks)[np.arange(500), label])
    assert found["quantiles"][""] == true[int(np.ceil(501 * 0.9)) - 1]


@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
def test_sets_cover_new_rows_as_promised(save, tmp_path, method):
    output = str(tmp_path / "sets.json")
    fresh, truth = draw(1000, 20_000)
    covered = []
    for seed in range(12):
        p, label = draw(seed, 400)
        prediction_sets(save(p, label), USUAL, 0.9, method=method, output=output)
        covered.append(load(output).decide(fresh)[np.arange(20_000), truth].mean())
    # 12 draws of Beta with standard deviation 0.015; deterministic APS covers more than promised.
    assert np.mean(covered) > 0.9 - 3 * 0.015 / 12**0.5
    if method == "lac":
        assert np.mean(covered) < 0.9 + 0.0025 + 3 * 0.015 / 12**0.5


def test_class_conditional_sets_cover_each_class(save, tmp_path):
    output = str(tmp_path / "sets.json")
    p, label = draw(2, 12_000)
    p[:, 3] *= 0.2  # the model neglects this class, so marginal sets miss it
    p /= p.sum(axis=1, keepdims=True)
    fresh, truth = p[6000:], label[6000:]
    for per_class, worst in ((False, 0.8), (True, 0.88)):
        spec = save(p[:6000], label[:6000])
        prediction_sets(spec, USUAL, 0.9, per_class=per_class, output=output)
        held = load(output).decide(fresh)[np.arange(6000), truth]
        share = min(held[truth == k].mean() for k in range(4))
        assert bool(share > worst) is per_class


def test_group_conditional_sets_cover_each_group_and_new_groups_get_every_class(save, tmp_path):
    output = str(tmp_path / "sets.json")
    p, label = draw(3, 8000)
    site = np.where(np.arange(8000) % 4 == 0, "bad", "good")
    rng = np.random.default_rng(0)
    label = np.where(site == "bad", rng.integers(0, 4, 8000), label)
    spec = save(p[:4000], label[:4000], groups=("site",), site=site[:4000])
    prediction_sets(spec, USUAL, 0.9, output=output)
    loaded = load(output)
    assert loaded.group == "site"
    held = loaded.decide(p[4000:], site[4000:])[np.arange(4000), label[4000:]]
    for value in ("bad", "good"):
        assert held[site[4000:] == value].mean() > 0.87
    assert loaded.decide(p[:3], ["new"] * 3).all()


def test_binary_scores_have_sets_of_the_two_labels(save, tmp_path):
    p, label = draw(4, 500, k=2)
    path = tmp_path / "binary.csv"
    np.savetxt(path, np.stack([p[:, 1], label], 1), "%.17g", ",", header="score,label", comments="")
    output = str(tmp_path / "sets.json")
    prediction_sets(InputSpec(paths=(str(path),)), USUAL, 0.8, output=output)
    assert load(output).decide(p[:, 1])[np.arange(500), label].mean() >= 0.8


def test_sets_refuse_weights(save):
    p, label = draw(5, 100)
    with pytest.raises(UsageError, match="weights"):
        prediction_sets(save(p, label, weight=np.ones(100)), USUAL, 0.9)


def test_a_patient_counts_once_however_many_rows_it_has(save, tmp_path):
    p, label = draw(5, 300)
    patient = np.minimum(np.random.default_rng(1).geometric(0.02, 300), 60)
    output = str(tmp_path / "sets.json")
    found = prediction_sets(save(p, label, cluster=patient), USUAL, 0.8, output=output)["sets"]
    true = 1 - p[np.arange(300), label]
    units, size = np.unique(patient, return_counts=True)
    mass = 1 / size[np.searchsorted(units, patient)] / (len(units) + 1)
    order = np.argsort(true)
    quantile = true[order][np.flatnonzero(np.cumsum(mass[order]) >= 0.8 - 1e-12)[0]]
    assert found["quantiles"] == {"": quantile}
    assert found["units"] == {"": len(units)}
    assert found["slices"][0]["units"] == len(units)
    assert (load(output).decide(p) == (1 - p <= quantile)).all()


@pytest.mark.parametrize("by", ["class", "group"])
def test_patients_are_counted_in_each_slice(save, by):
    p, label = draw(6, 400)
    patient, site = np.arange(400) // 4, np.array(["a", "b"])[np.arange(400) % 2]
    spec = save(p, label, ("site",) if by == "group" else (), cluster=patient, site=site)
    found = prediction_sets(spec, USUAL, 0.8, per_class=by == "class")["sets"]
    slot = label.astype(str) if by == "class" else site
    assert found["units"] == {k: len(np.unique(patient[slot == k])) for k in np.unique(slot)}
    assert found["rows"] == {k: int((slot == k).sum()) for k in np.unique(slot)}


def test_patients_of_one_row_have_the_sets_of_rows(save):
    p, label = draw(7, 200)
    plain = prediction_sets(save(p, label), USUAL, 0.9)["sets"]
    own = prediction_sets(save(p, label, cluster=np.arange(200)), USUAL, 0.9)["sets"]
    assert own["quantiles"] == plain["quantiles"]
    assert own["held"] == plain["held"]


def test_few_patients_are_told(save):
    p, label = draw(8, 200)
    result = prediction_sets(save(p, label, cluster=np.arange(200) % 5), USUAL, 0.9)
    assert result["warnings"] == ["fewer than 9 values of cluster: every set holds every class"]


def test_a_count_is_that_many_rows(save):
    p, label = draw(6, 200)
    times = np.arange(200) % 3
    counted = prediction_sets(save(p, label, count=times), USUAL, 0.9)["sets"]
    repeated = prediction_sets(save(p.repeat(times, 0), label.repeat(times)), USUAL, 0.9)["sets"]
    assert counted == repeated


def test_too_few_rows_of_a_class_put_it_into_every_set(save, tmp_path):
    p, label = draw(7, 300)
    keep = np.flatnonzero((label != 1) | (np.cumsum(label == 1) <= 5))
    output = str(tmp_path / "sets.json")
    spec = save(p[keep], label[keep])
    result = prediction_sets(spec, USUAL, 0.9, per_class=True, output=output)
    assert any("'1'" in text for text in result["warnings"])
    assert load(output).decide(p)[:, 1].all()


def test_many_values_are_rounded_up_whatever_the_order():
    rng = np.random.default_rng(0)
    value, slot = rng.uniform(size=5000), rng.integers(0, 3, 5000)
    a, b = TrueScores(1000), TrueScores(1000)
    a.add(value, slot)
    for part in np.array_split(rng.permutation(5000), 7):
        other = TrueScores(1000)
        other.add(value[part], slot[part])
        b.merge(other)
    assert not a.exact
    assert not b.exact
    for mine, theirs in zip(a.read(), b.read(), strict=True):
        assert (mine == theirs).all()
    order = np.lexsort((value, slot))
    rounded = np.repeat(a.read()[1], a.read()[2])
    assert (rounded >= value[order]).all()
    assert (rounded <= value[order] * (1 + 2.0**-13)).all()


def test_what_is_kept_is_that_of_brute_force(save, tmp_path):
    p, label = draw(8, 2000)
    output = str(tmp_path / "keep.json")
    result = abstention(save(p, label), USUAL, "accuracy>=0.75", output=output)["abstain"]
    sure, right = p.max(axis=1), p.argmax(axis=1) == label
    shares = [(right[sure >= t].mean(), (sure >= t).sum()) for t in np.unique(sure)]
    assert result["kept"] == max(n for accuracy, n in shares if accuracy >= 0.75)
    decided = load(output).decide(p)
    assert (decided != REFER).sum() == result["kept"]
    assert (decided == label)[decided != REFER].mean() == result["accuracy"]["value"]


def test_a_certified_accuracy_of_the_kept_holds(save):
    fresh, truth = draw(1000, 100_000)
    sure, right = fresh.max(axis=1), fresh.argmax(axis=1) == truth
    kept = 0
    for seed in range(40):
        p, label = draw(seed, 500)
        try:
            result = abstention(save(p, label), USUAL, "accuracy>=0.65", guarantee=0.9)
        except AnswerNoError:
            kept += 1
            continue
        kept += right[sure >= result["abstain"]["threshold"]].mean() >= 0.65
    assert kept >= 40 * 0.9 - 3 * (40 * 0.09) ** 0.5


def test_an_accuracy_out_of_reach_is_a_no(save):
    p, label = draw(9, 200)
    with pytest.raises(AnswerNoError, match="accuracy is at most"):
        abstention(save(p, 3 - label), USUAL, "accuracy>=0.99")
    with pytest.raises(UsageError, match="accuracy"):
        abstention(save(p, label), USUAL, "recall>=0.9")


def test_abstention_of_a_binary_score_on_a_grid_counts_as_it_decides(tmp_path, monkeypatch):
    monkeypatch.setattr("calibcli.core.statistics.counting.tally.EXACT_CELLS", 64)
    rng = np.random.default_rng(1)
    score = rng.uniform(size=4000)
    label = (rng.uniform(size=4000) < score).astype(int)
    path, output = tmp_path / "scores.csv", str(tmp_path / "keep.json")
    np.savetxt(path, np.stack([score, label], 1), "%.17g", ",", header="score,label", comments="")
    spec = InputSpec(paths=(str(path),))
    result = abstention(spec, USUAL, "accuracy>=0.85", output=output)["abstain"]
    decided = load(output).decide(score)
    assert (decided != REFER).sum() == result["kept"]
    assert (decided != label)[decided != REFER].sum() == result["errors"]


@pytest.fixture
def costs(tmp_path):
    def write(text):
        (tmp_path / "costs.csv").write_text(text)
        return str(tmp_path / "costs.csv")

    return write


def test_a_cost_matrix_decides_the_cheapest_class(save, costs, tmp_path):
    p, label = draw(10, 1000, k=3, sharpness=1.0)
    cost = np.array([[0, 1, 5], [1, 0, 1], [9, 2, 0]])
    output = str(tmp_path / "cost.json")
    path = costs("\n".join(",".join(map(str, row)) for row in cost))
    result = cheapest_class(save(p, label), USUAL, path, output=output)["cost_matrix"]
    decided = (p @ cost).argmin(axis=1)
    assert (load(output).decide(p) == decided).all()
    assert result["expected"]["value"] == pytest.approx(cost[label, decided].mean())
    assert result["most_probable"] == pytest.approx(cost[label, p.argmax(axis=1)].mean())
    assert result["claimed"] == pytest.approx((p @ cost).min(axis=1).mean())
    Draft202012Validator(load_schema("thresholds")).validate(json.loads(Path(output).read_text()))


def test_names_bind_the_rows_and_columns_and_refer_is_a_decision(save, costs, tmp_path):
    p, label = draw(11, 500, k=3)
    output = str(tmp_path / "cost.json")
    path = costs("true,2,refer,0,1\n1,1,0.2,1,0\n0,5,0.2,0,1\n2,0,0.2,9,2\n")
    cheapest_class(save(p, label), USUAL, path, output=output)
    cost = np.array([[0, 1, 5, 0.2], [1, 0, 1, 0.2], [9, 2, 0, 0.2]])
    best = (p @ cost).argmin(axis=1)
    assert (load(output).decide(p) == np.where(best == 3, REFER, best)).all()
    assert load(output).refers


def test_another_prevalence_is_that_of_reweighted_rows(save, costs):
    p, label = draw(12, 3000, k=2, sharpness=1.0)
    path = costs("0,1\n4,0\n")
    prior = (0.9, 0.1)
    found = cheapest_class(save(p, label), USUAL, path, prior=prior)["cost_matrix"]
    share = np.bincount(label) / 3000
    ratio = np.array(prior) / share
    q = p * ratio
    cost = np.array([[0, 1], [4, 0]])
    decided = (q @ cost).argmin(axis=1)
    actual = np.average(cost[label, decided], weights=ratio[label])
    assert found["expected"]["value"] == pytest.approx(actual)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("0,1\n1,0\n", InputError, "2 rows and 2 columns"),
        ("0,1,x\n1,0,1\n1,1,0\n", InputError, "no number, in row 1"),
        ("0,1,2\n1,0\n1,1,0\n", InputError, "rows of 3 and of 2"),
        ("5,1,2\n1,0,1\n1,1,0\n", UsageError, "costs less than"),
        ("", InputError, "is empty"),
        ("a,0,1,7\n0,0,1,2\n1,1,0,1\n2,1,1,0\n", InputError, "does not name"),
    ],
)
def test_matrices_that_cannot_be_used(save, costs, text, kind, said):
    p, label = draw(13, 50, k=3)
    with pytest.raises(kind, match=said):
        cheapest_class(save(p, label), USUAL, costs(text))


def test_what_raps_adds_can_be_set_and_is_of_raps_alone(save):
    p, label = draw(2, 500)
    spec = save(p, label)
    small = prediction_sets(spec, USUAL, 0.95, method="raps", penalty=1.0, free_rank=1)["sets"]
    plain = prediction_sets(spec, USUAL, 0.95, method="aps")["sets"]
    assert (small["penalty"], small["free_rank"]) == (1.0, 1)
    assert small["quantiles"] != plain["quantiles"]
    assert plain["slices"][0]["coverage"].get("reason") is None
    for options in ({"method": "aps", "penalty": 0.1}, {"method": "raps", "free_rank": -1}):
        with pytest.raises(UsageError):
            prediction_sets(spec, USUAL, 0.95, **options)


def test_tied_scores_cover_at_least_what_is_promised(save):
    p = np.repeat([[0.9, 0.1], [0.1, 0.9]], 100, axis=0)
    label = np.repeat([0, 1], 100)
    label[::10] = 1 - label[::10]
    figure = prediction_sets(save(p, label), USUAL, 0.8)["sets"]["slices"][0]["coverage"]
    assert figure["value"] == 0.8
    assert figure["high"] > 0.9
    assert figure["reason"].startswith("at least")
