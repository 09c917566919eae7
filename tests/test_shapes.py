"""The shapes in which tools write scores, and the command for each: docs/shapes.md, executed.

``python tests/test_shapes.py`` writes the table into the page.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from calibcli.io.rows import names as usual_names

PAGE = Path(__file__).parent.parent / "docs" / "shapes.md"
ROWS = 80
_rng = np.random.default_rng(7)
P = np.round(_rng.uniform(0.02, 0.98, ROWS), 2)
Y = (_rng.random(ROWS) < P).astype(int)
ODDS = np.log(P / (1 - P))
Q = np.round(_rng.dirichlet((1, 1, 1), ROWS), 4)
Q[:, 2] = np.round(1 - Q[:, 0] - Q[:, 1], 4)
Q = np.abs(Q)
C = np.array([_rng.choice(3, p=row / row.sum()) for row in Q])
ANIMALS = np.array(["cat", "dog", "fox"])
LOGITS = np.log(np.maximum(Q, 1e-9))
TAGS = (_rng.random((ROWS, 3)) < Q).astype(int)


class Shape(NamedTuple):
    """What a tool writes.

    Attributes:
        tool: that writes it.
        holds: what the file holds.
        command: after `calibcli measure`; the first word is the file.
        task: "binary", "classes" or "labels": which of the scores above it has.
        write: makes the file, and those that the command names.
        near: how far figures may be off: 0, or what half a last digit or float16 loses.
    """

    tool: str
    holds: str
    command: str
    task: str
    write: Callable[[Path], Any]
    near: float = 1e-9


def text(columns: dict[str, Any], **options: Any) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", **options)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue()


def comma(columns: dict[str, Any], **options: Any) -> Callable[[Path], Any]:
    return lambda path: path.write_text(text(columns, **options), encoding="utf-8")


def lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def jsonl(rows: Any) -> Callable[[Path], Any]:
    return lambda path: path.write_text(lines(rows), encoding="utf-8")


def parq(**columns: Any) -> Callable[[Path], Any]:
    return lambda path: parquet.write_table(pa.table(columns), path)


def npz(**arrays: Any) -> Callable[[Path], Any]:
    return lambda path: np.savez(path, **arrays)


def beside(**arrays: Any) -> Callable[[Path], Any]:
    def write(path: Path) -> None:
        for name, array in arrays.items():
            np.save(path.with_name(f"{name}.npy"), array)

    return write


def spark(row: Any) -> dict[str, Any]:
    return {"type": 1, "size": None, "indices": None, "values": list(row)}


def hive(path: Path) -> None:
    for day, rows in (("2026-01-01", slice(0, 30)), ("2026-01-02", slice(30, None))):
        folder = path / f"day={day}"
        folder.mkdir(parents=True)
        parquet.write_table(
            pa.table({"score": P[rows], "label": Y[rows]}), folder / "part-0.parquet"
        )


def stream(path: Path) -> None:
    table = pa.table({"score": P, "label": Y})
    with pa.ipc.new_stream(path, table.schema) as file:
        file.write_table(table)


def counts(path: Path) -> None:
    cells, n = np.unique(np.column_stack([P, Y]), axis=0, return_counts=True)
    columns = {"score": cells[:, 0], "label": cells[:, 1].astype(int), "n": n}
    parquet.write_table(pa.table(columns), path)


def joined(path: Path) -> None:
    order = _rng.permutation(ROWS)
    comma({"id": np.arange(ROWS)[order], "proba": P[order]})(path)
    comma({"id": np.arange(ROWS), "target": Y})(path.with_name("truth.csv"))


def named(k: Any) -> Any:
    return ANIMALS[k]


WORDS = np.array(["ham", "spam"])[Y]
SHAPES = [
    Shape(
        "scikit-learn, pandas",
        "`y_true,y_prob`, and the index without a name",
        "a.csv",
        "binary",
        comma({"": range(ROWS), "y_true": Y, "y_prob": P}),
    ),
    Shape(
        "XGBoost, LightGBM",
        "`pred_proba`, `target` in Parquet",
        "a.parquet",
        "binary",
        parq(pred_proba=P, target=Y),
    ),
    Shape(
        "CatBoost",
        "`SampleId`, `Probability`, `Label`, by tabs",
        "a.tsv",
        "binary",
        comma({"SampleId": range(ROWS), "Probability": P, "Label": Y}, delimiter="\t"),
    ),
    Shape(
        "CatBoost",
        "raw values: logits",
        "a.tsv --logits --score RawFormulaVal",
        "binary",
        comma({"SampleId": range(ROWS), "RawFormulaVal": ODDS, "Label": Y}, delimiter="\t"),
    ),
    Shape(
        "R, `write.csv`",
        "row names, `obs`, quoted",
        "a.csv",
        "binary",
        comma({"": range(1, ROWS + 1), "obs": Y, "prob": P}, quoting=csv.QUOTE_NONNUMERIC),
    ),
    Shape(
        "R, `write.csv2`; Excel in Europe",
        "semicolons and decimal commas",
        "a.csv",
        "binary",
        comma({"label": Y, "score": [str(p).replace(".", ",") for p in P]}, delimiter=";"),
    ),
    Shape(
        "Excel",
        "percentages",
        "a.csv",
        "binary",
        comma({"score": [f"{100 * p:.0f}%" for p in P], "outcome": Y}),
    ),
    Shape(
        "risk scores in percent",
        "0 to 100",
        "a.csv --scale 100",
        "binary",
        comma({"risk": np.round(100 * P), "outcome": Y}),
    ),
    Shape(
        "R, caret",
        "`pred`, `obs`, a column a class",
        "a.csv --scores cat,dog,fox",
        "classes",
        comma({"pred": named(Q.argmax(1)), "obs": named(C)} | dict(zip(ANIMALS, Q.T, strict=True))),
    ),
    Shape(
        "R, tidymodels",
        "`.pred_spam`, `.pred_ham`, `truth`",
        "a.csv --score .pred_spam --positive spam",
        "binary",
        comma({".pred_ham": np.round(1 - P, 2), ".pred_spam": P, "truth": WORDS}),
    ),
    Shape(
        "H2O",
        "`predict,p0,p1` and the label",
        "a.csv --score p1",
        "binary",
        comma({"predict": (P > 0.5) * 1, "p0": np.round(1 - P, 2), "p1": P, "label": Y}),
    ),
    Shape(
        "AutoGluon",
        "`0,1` of `predict_proba`, and the label",
        "a.csv --score 1",
        "binary",
        comma({"0": np.round(1 - P, 2), "1": P, "label": Y}),
    ),
    Shape(
        "PyCaret",
        "`prediction_label`, `prediction_score`: its confidence",
        "a.csv --predicted prediction_label",
        "top",
        comma(
            {
                "target": named(C),
                "prediction_label": named(Q.argmax(1)),
                "prediction_score": Q.max(1),
            }
        ),
    ),
    Shape(
        "Azure ML",
        "`Scored Labels`, `Scored Probabilities`",
        "a.csv",
        "binary",
        comma({"Label": Y, "Scored Labels": (P > 0.5) * 1, "Scored Probabilities": P}),
    ),
    Shape(
        "NannyML, Evidently",
        "`y_pred_proba`, `y_pred`, `y_true`",
        "a.csv",
        "binary",
        comma({"y_pred_proba": P, "y_pred": (P > 0.5) * 1, "y_true": Y}),
    ),
    Shape(
        "PostgreSQL, `COPY`",
        "`t` and `f`",
        "a.csv --positive t",
        "binary",
        comma({"score": P, "label": np.array(["f", "t"])[Y]}),
    ),
    Shape(
        "DuckDB, `COPY`",
        "`true` and `false`",
        "a.csv",
        "binary",
        comma({"score": P, "label": np.array(["false", "true"])[Y]}),
    ),
    Shape(
        "SQL, `GROUP BY score, label`",
        "how many rows each is",
        "a.parquet --count n",
        "binary",
        counts,
    ),
    Shape(
        "Kaggle",
        "a submission and its solution, by id",
        "a.csv --labels truth.csv --key id",
        "binary",
        joined,
    ),
    Shape(
        "Kaggle, Otto",
        "`Class_1` to `Class_3`, labels of these names",
        "a.csv --scores 'Class_*'",
        "classes",
        comma(
            {f"Class_{k + 1}": Q[:, k] for k in range(3)}
            | {"target": [f"Class_{c + 1}" for c in C]}
        ),
    ),
    Shape(
        "scikit-learn, `predict_proba`",
        "`proba_cat`, …, and the label",
        "a.parquet --scores 'proba_*'",
        "classes",
        parq(**{f"proba_{name}": Q[:, k] for k, name in enumerate(ANIMALS)}, label=named(C)),
    ),
    Shape(
        "Dataiku",
        "`proba_0`, …, and the label",
        "a.csv --scores 'proba_*'",
        "classes",
        comma({f"proba_{k}": Q[:, k] for k in range(3)} | {"label": C}),
    ),
    Shape(
        "Spark ML",
        "vectors: `probability`, `rawPrediction`",
        "a.parquet",
        "classes",
        parq(
            label=C.astype(float),
            probability=[spark(q) for q in Q],
            prediction=Q.argmax(1) * 1.0,
            rawPrediction=[spark(q) for q in LOGITS],
        ),
    ),
    Shape(
        "BigQuery ML",
        "`predicted_animal_probs`: pairs of label and prob",
        "a.parquet",
        "classes",
        parq(
            animal=named(C),
            predicted_animal=named(Q.argmax(1)),
            predicted_animal_probs=[
                [{"label": ANIMALS[k], "prob": row[k]} for k in np.argsort(-row)] for row in Q
            ],
        ),
    ),
    Shape(
        "Vertex AI, batch",
        "instances and predictions in JSON Lines",
        "a.jsonl --scores prediction.scores --label instance.animal --classes cat,dog,fox",
        "classes",
        jsonl(
            {"instance": {"animal": named(c)}, "prediction": {"scores": list(q)}}
            for c, q in zip(C, Q, strict=True)
        ),
    ),
    Shape(
        "Hugging Face, `pipeline(top_k=None)`",
        "a list of label and score in each row",
        "a.jsonl",
        "classes",
        jsonl(
            [
                {
                    "text": "…",
                    "label": str(named(c)),
                    "scores": [
                        {"label": str(ANIMALS[k]), "score": q[k]}
                        for k in np.argsort(-np.array(q)).tolist()
                    ],
                }
                for c, q in zip(C.tolist(), Q.tolist(), strict=True)
            ]
        ),
    ),
    Shape(
        "Hugging Face, datasets",
        "`text`, `label`, `score` in JSON Lines",
        "a.jsonl",
        "binary",
        jsonl(
            [{"text": "…", "label": int(y), "score": float(p)} for y, p in zip(Y, P, strict=True)]
        ),
    ),
    Shape(
        "Hugging Face, `Trainer.predict`",
        "`predictions` (logits) and `label_ids`",
        "a.npz --logits",
        "classes",
        npz(predictions=LOGITS, label_ids=C),
    ),
    Shape(
        "lm-evaluation-harness",
        "log-likelihoods of the choices",
        "a.jsonl --scores 'filtered_resps.*.0' --label target --logits",
        "classes",
        jsonl(
            [
                {"doc_id": i, "target": int(c), "filtered_resps": [[z, False] for z in row]}
                for i, (c, row) in enumerate(zip(C, LOGITS.tolist(), strict=True))
            ]
        ),
    ),
    Shape(
        "PyTorch, NumPy",
        "`logits.npy` and `labels.npy`",
        "logits.npy --labels labels.npy --logits",
        "classes",
        beside(logits=LOGITS, labels=C),
    ),
    Shape("fastai, `get_preds`", "`preds` and `targs`", "a.npz", "classes", npz(preds=Q, targs=C)),
    Shape(
        "Keras, binary",
        "`y_prob` (n, 1) and `y_true`",
        "a.npz",
        "binary",
        npz(y_prob=P[:, None], y_true=Y),
    ),
    Shape(
        "Keras, softmax",
        "`probs` and one-hot `labels`",
        "a.npz",
        "classes",
        npz(probs=Q, labels=np.eye(3)[C]),
    ),
    Shape(
        "Keras, several labels",
        "`probs` and `targets` (n, K)",
        "a.npz --task multilabel",
        "labels",
        npz(probs=Q, targets=TAGS),
    ),
    Shape(
        "mixed precision",
        "float16 scores",
        "a.npz",
        "binary",
        npz(score=P.astype("f2"), label=Y),
        2e-3,
    ),
    Shape(
        "CheXpert",
        "findings in columns; -1 is uncertain",
        "a.csv --scores 'p_*' --label 'y_*' --ignore-label -1",
        "labels",
        comma(
            {f"p_{a}": Q[:, k] for k, a in enumerate(ANIMALS)}
            | {f"y_{a}": TAGS[:, k] for k, a in enumerate(ANIMALS)}
        ),
    ),
    Shape(
        "Polars, `write_parquet`",
        "a list of scores in each row",
        "a.parquet",
        "classes",
        parq(scores=[list(q) for q in Q], label=C),
    ),
    Shape(
        "Polars, `write_ndjson`",
        "a list of scores in each row",
        "a.ndjson",
        "classes",
        jsonl([{"scores": q, "label": c} for q, c in zip(Q.tolist(), C.tolist(), strict=True)]),
    ),
    Shape(
        "R, arrow",
        "Feather",
        "a.feather",
        "binary",
        lambda path: feather.write_feather(pa.table({"score": P, "label": Y}), str(path)),
    ),
    Shape("Arrow, Flight", "an IPC stream", "a.arrow", "binary", stream),
    Shape("Spark, Hive", "a folder of Parquet, by day", "scores", "binary", hive),
    Shape(
        "any, compressed",
        "CSV, gzip",
        "a.csv.gz",
        "binary",
        lambda path: path.write_bytes(gzip.compress(text({"score": P, "label": Y}).encode())),
    ),
    Shape(
        "structs",
        "`probs: {cat, dog, fox}`",
        "a.parquet",
        "classes",
        parq(
            label=named(C), probs=[dict(zip(ANIMALS.tolist(), q, strict=True)) for q in Q.tolist()]
        ),
    ),
    Shape(
        "fraud, credit",
        "words for labels",
        "a.csv --positive spam",
        "binary",
        comma({"score": P, "label": WORDS}),
    ),
    Shape(
        "Label Studio, crowds",
        "the share of annotators who said 1",
        "a.csv --votes 1",
        "binary",
        comma({"score": P, "label": Y}),
    ),
]


def expected(task: str) -> dict[str, float]:
    """Return figures of the scores above, by NumPy alone."""
    if task == "classes":
        right = Q.argmax(1) == C
        picked = Q[np.arange(ROWS), C] / Q.sum(1)
        return {"n": ROWS, "accuracy": right.mean(), "nll": -np.log(picked).mean()}
    if task == "top":
        return {"n": ROWS, "prevalence": (Q.argmax(1) == C).mean(), "mean_score": Q.max(1).mean()}
    score, label = (P, Y) if task == "binary" else (Q.ravel(), TAGS.ravel())
    return {"n": len(label), "prevalence": label.mean(), "brier": ((score - label) ** 2).mean()}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda one: f"{one.tool}: {one.command}")
def test_the_command_reads_the_shape(shape, good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(shape.command)
    shape.write(tmp_path / words[0])
    found = good("measure", *words, "--no-ci", "--quiet", "--format", "json").json
    figures = found["overall"]["metrics"]
    for name, value in expected(shape.task).items():
        assert figures[name]["value"] == pytest.approx(value, abs=shape.near), name
    assert found["task"] == {"classes": "multiclass", "labels": "multilabel"}.get(
        shape.task, "binary"
    )


def options(command: str) -> int:
    return sum(word.startswith("--") for word in shlex.split(command))


def table() -> str:
    rows = [f"| {one.tool} | {one.holds} | `calibcli measure {one.command}` |" for one in SHAPES]
    return "\n".join(["| written by | holds | command |", "| --- | --- | --- |", *rows]) + "\n"


def test_the_page_has_the_table():
    assert table() in PAGE.read_text(encoding="utf-8")
    assert len(SHAPES) >= 40
    assert sum(options(one.command) <= 2 for one in SHAPES) >= 30


def names() -> str:
    """Return the usual names as the page has them."""
    kinds = {
        "one score a row": usual_names.SCORES,
        "several, in a list, a struct or an array": usual_names.ROWS,
        "label": usual_names.LABELS,
    }
    return "".join(
        f"| {kind}{', else' if place else ''} | {', '.join(f'`{name}`' for name in tier)} |\n"
        for kind, tiers in kinds.items()
        for place, tier in enumerate(tiers)
    )


def test_the_page_has_the_names():
    assert names() in PAGE.read_text(encoding="utf-8")


def compressed(kind: str) -> Callable[[Path], Any]:
    def write(path: Path) -> None:
        with pa.output_stream(path, compression=kind) as out:
            out.write((text(MIXED) if ".csv" in path.name else lines(RECORDS)).encode())

    return write


MIXED = {"id": range(ROWS), "score": P, "label": Y, "day": ["mon", "tue"] * (ROWS // 2)}
RECORDS = [
    {"id": i, "score": float(P[i]), "label": int(Y[i]), "day": MIXED["day"][i]} for i in range(ROWS)
]
ARROW = pa.table({name: list(values) for name, values in MIXED.items()})


def ipc(path: Path) -> None:
    with pa.ipc.new_stream(path, ARROW.schema) as file:
        file.write_table(ARROW)


FORMATS = {
    "a.csv": comma(MIXED),
    "a.tsv": comma(MIXED, delimiter="\t"),
    "semi.csv": comma(MIXED, delimiter=";"),
    "a.csv.gz": compressed("gzip"),
    "a.csv.zst": compressed("zstd"),
    "a.jsonl": jsonl(RECORDS),
    "a.ndjson.gz": compressed("gzip"),
    "a.jsonl.zst": compressed("zstd"),
    "a.parquet": lambda path: parquet.write_table(ARROW, path),
    "groups.parquet": lambda path: parquet.write_table(ARROW, path, row_group_size=7),
    "a.feather": lambda path: feather.write_feather(ARROW, str(path)),
    "a.arrow": ipc,
}


def test_a_confidence_is_not_read_as_the_probability_of_label_1(calibcli, write):
    picked = (P > 0.5).astype(int)
    columns = {"target": Y, "prediction_label": picked, "prediction_score": np.maximum(P, 1 - P)}
    ran = calibcli("measure", write("pycaret.csv", columns))
    assert (ran.code, "--predicted prediction_label" in ran.err) == (3, True)
    columns["prediction_score"] = P
    assert calibcli("measure", write("plain.csv", columns)).code == 0


def test_the_same_rows_give_the_same_bytes(good, tmp_path):
    found = {}
    for name, write in FORMATS.items():
        write(tmp_path / name)
        out = good("measure", tmp_path / name, "--group", "day", "--quiet", "--format", "json").out
        found[name] = out.replace(str(tmp_path / name), "FILE")
    assert len(set(found.values())) == 1


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    for mark, made in (("| written by", table()), ("| one score a row |", names())):
        before, _, rest = page.partition(mark)
        page = before + made + "\n" + rest.partition("\n\n")[2]
    PAGE.write_text(page, encoding="utf-8")
