"""Files as tools write them, whose columns no usual name tells: the hint is typed, and is right."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

RNG = np.random.default_rng(11)
N = 300
P = RNG.uniform(0.02, 0.98, N)
Y = (RNG.random(N) < P).astype(int)
Q = RNG.dirichlet([0.8] * 3, N)
C = np.array([RNG.choice(3, p=row) for row in Q])
NAMES = np.array(["cat", "dog", "fox"])
TOLD, TRUTH = NAMES[Q.argmax(1)], NAMES[C]
Z = np.log(P / (1 - P))
EACH = {name: Q[:, k] for k, name in enumerate(NAMES)}
TOP = {"accuracy": float((Q.argmax(1) == C).mean())}
YES = {"prevalence": float(Y.mean()), "mean_score": float(P.mean())}
RIGHT = {"prevalence": TOP["accuracy"], "mean_score": float(Q.max(1).mean())}
SIDES = np.where(Y, "Yes", "No")

SHAPES = {
    "catboost classes": (
        "tsv", {"SampleId": range(N), **{f"Probability:Class={k}": v for k, v in EACH.items()},
                "Label": TRUTH},
        "--scores 'Probability:Class=*'", TOP),
    "catboost raw": ("tsv", {"RawFormulaVal": Z, "Label": Y},
                     "--score RawFormulaVal --logits", YES),
    "vertex": ("csv", {"species": TRUTH, **{f"species_{k}_scores": v for k, v in EACH.items()}},
               "--scores 'species_*_scores' --label species", TOP),
    "azure": (
        "csv", {**{f'Scored Probabilities for Class "{k}"': v for k, v in EACH.items()},
                "Scored Labels": TOLD, "species": TRUTH},
        "--scores 'Scored Probabilities for Class \"*\"' --label species", TOP),
    "fastai": ("csv", {"fname": ["a"] * N, "targ": C, **{f"pred{k}": Q[:, k] for k in range(3)}},
               "--scores 'pred*' --label targ", TOP),
    "scikit-learn, with predictions": (
        "csv", {"y_pred": TOLD, "y_test": TRUTH, **{f"proba_{k}": v for k, v in EACH.items()}},
        "--scores 'proba_*' --label y_test", TOP),
    "scikit-learn, both sides": ("csv", {"y_test": Y, "proba_0": 1 - P, "proba_1": P},
                                 "--score proba_1 --label y_test", YES),
    "margins": ("csv", {"y_true": Y, "decision_function": Z},
                "--score decision_function --raw", {"prevalence": float(Y.mean())}),
    "dataiku": ("csv", {"proba_No": 1 - P, "proba_Yes": P, "prediction": SIDES[::-1],
                        "Churn": SIDES}, "--score proba_", None),
    "open_clip": ("csv", {"true_label": TRUTH, "pred": TOLD, "conf": Q.max(1)},
                  "--predicted pred", RIGHT),
    "timm": ("csv", {"top1_class": TOLD, "top1_prob": Q.max(1), "label": TRUTH},
             "--score top1_prob --predicted top1_class", RIGHT),
    "weka": ("csv", {"actual": np.where(Y, "2:yes", "1:no"),
                     "predicted": np.where(P > 0.5, "2:yes", "1:no"),
                     "prediction": np.maximum(P, 1 - P)},
             "--score prediction --predicted predicted",
             {"prevalence": float(((P > 0.5) == Y).mean())}),
    "W&B": ("table.json", {"truth": TRUTH, "guess": TOLD,
                           **{f"score_{k}": v for k, v in EACH.items()}},
            "--scores 'score_*'", TOP),
}  # fmt: skip


def written(write, form, columns):
    if form == "table.json":
        rows = [list(map(plain, row)) for row in zip(*columns.values(), strict=True)]
        return write("x.table.json", json.dumps({"columns": list(columns), "data": rows}))
    sign = "\t" if form == "tsv" else ","
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    quoted = [sign.join('"' + str(v).replace('"', '""') + '"' for v in row) for row in rows]
    return write(f"x.{form}", "\n".join(quoted) + "\n")


def plain(value):
    return value.item() if hasattr(value, "item") else value


@pytest.mark.parametrize("name", SHAPES)
def test_the_hint_is_typed(name, write, calibcli):
    form, columns, options, figures = SHAPES[name]
    path = written(write, form, columns)
    ran = calibcli("measure", path)
    assert ran.code == 3, ran.out
    hint = ran.err.splitlines()[-1]
    assert hint.startswith(f"hint: calibcli measure {path} {options}"), hint
    told = {"wrong": "prediction --positive", "right": " --label Churn "}
    if figures is None:  # two sides, and both are right
        assert told["wrong"] not in hint
        assert told["right"] in hint
        return
    assert "; or" not in hint
    again = calibcli(*shlex.split(hint)[2:], "--format", "json", "-q")
    found = again.json["overall"]["metrics"]
    for figure, value in figures.items():
        assert found[figure]["value"] == pytest.approx(value, abs=1e-9), figure


def test_a_table_that_is_one_json_document_is_its_rows(write, good, calibcli):
    columns = {"score": P.round(6).tolist(), "label": Y.tolist(), "site": ["a", "b"] * (N // 2)}
    rows = list(zip(*columns.values(), strict=True))
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    table = {"columns": list(columns), "index": list(range(N)), "data": rows}
    forms = {
        "lines.jsonl": "\n".join(map(json.dumps, records)),
        "records.json": json.dumps(records, indent=1),
        "split.json": json.dumps(table),
        "mlflow.json": json.dumps(table, indent=2),
        "wandb.table.json": json.dumps({"_type": "table", "ncols": 3, "nrows": N, **table}),
    }
    found = []
    for name, text in forms.items():
        told = good("measure", write(name, text), "--group", "site", "--format", "json").json
        assert told["inputs"][0]["rows"] == N
        assert told["inputs"][0]["path"].endswith(name)
        found.append(told["overall"])
    assert all(one == found[0] for one in found)
    for name, text in {
        "ragged.json": json.dumps({"columns": ["score", "label"], "data": [[0.1]]}),
        "half.json": '{"columns": ["score", "label"], "data": [[0.1, 1],',
        "empty.json": '{"columns": ["score", "label"], "data": []}',
    }.items():
        assert calibcli("measure", write(name, text)).code == 3, name


def test_fields_of_objects_are_found(write, calibcli):
    lines = [
        json.dumps({"reference": str(truth), "prediction": {"label": str(said), "score": float(p)}})
        for truth, said, p in zip(TRUTH, TOLD, Q.max(1), strict=True)
    ]
    ran = calibcli("measure", write("pipe.jsonl", "\n".join(lines)))
    hint = ran.err.splitlines()[-1]
    assert hint.endswith("--score prediction.score --predicted prediction.label")
    again = calibcli(*shlex.split(hint)[2:], "--format", "json", "-q").json
    assert again["overall"]["metrics"]["prevalence"]["value"] == pytest.approx(TOP["accuracy"])


def test_results_of_a_detector_are_no_table(write, calibcli):
    """Those of masks have no boxes, and are the same array of objects."""
    mask = {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9]], "score": 0.9}
    found = write("found.json", json.dumps([mask] * 4))
    ran = calibcli("measure", found)
    assert (ran.code, "one JSON array" in ran.err) == (3, True)
    truth = write("truth.json", json.dumps({
        "images": [{"id": 1, "width": 20, "height": 20}], "categories": [{"id": 1, "name": "a"}],
        "annotations": [{**mask, "id": 1, "bbox": [0, 0, 9, 9], "area": 40, "iscrowd": 0}],
    }))  # fmt: skip
    ran = calibcli("measure", found, "--task", "detection", "--ground-truth", truth)
    assert "masks" in ran.err
    assert "no column x" not in ran.err


def test_one_mark_beside_the_classes_is_named(write, calibcli):
    """-100 and 255 are what trainers ignore."""
    logits = write("logits.npy", np.log(Q))
    labels = write("labels.npy", np.where(np.arange(N) % 10 == 0, -100, C))
    ran = calibcli("measure", logits, "--labels", labels, "--logits")
    assert ran.code == 3
    assert ran.err.rstrip().endswith("found -100: --ignore-label -100 if that is no label")
    again = calibcli("measure", logits, "--labels", labels, "--logits", "--ignore-label", "-100",
                     "--format", "json", "-q")  # fmt: skip
    assert again.json["overall"]["metrics"]["n"]["value"] == N - N // 10
