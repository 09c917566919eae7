import csv
import io

from calibcli.core.results.reading import typed
from calibcli.render.formats import csvout
from calibcli.render.words import names


def read(text):
    rows = list(csv.DictReader(io.StringIO(text)))
    assert all(None not in row and None not in row.values() for row in rows)
    assert text.count("\n") == len(rows) + 1
    return rows


def only(rows, **wanted):
    found = [r for r in rows if all(r[k] == v for k, v in wanted.items())]
    assert len(found) == 1
    return found[0]


def test_every_metric_is_one_row_with_the_exact_number(make_binary):
    result = make_binary(calibrated=True, groups=("front", "rear"))
    rows = read(csvout.render_measure(typed(result)))
    for part in [result["overall"], *result["groups"]]:
        name = part["slice"].get("value", "")
        for stage, source in (("before", part), ("calibrated", part["calibrated"])):
            for metric, entry in source["metrics"].items():
                row = only(rows, stage=stage, name=name, table="metrics", metric=metric)
                for key in ("value", "low", "high"):
                    assert (float(row[key]) if row[key] else None) == entry[key]


def test_bins_and_confusion_are_rows_too(make_binary):
    result = make_binary(thresholds=(0.3, 0.5))
    rows = read(csvout.render_measure(typed(result)))
    last = result["overall"]["bins"][-1]
    row = only(rows, table="bins", at="15", metric="frequency")
    assert [float(row[k]) for k in ("value", "low", "high")] == [
        last["frequency"], last["frequency_low"], last["frequency_high"]
    ]  # fmt: skip
    counts = result["overall"]["confusion"][0]
    assert only(rows, table="confusion", at="0.3", metric="tp")["value"] == str(counts["tp"])
    recall = only(rows, table="confusion", at="0.3", metric="recall")
    assert float(recall["low"]) == counts["recall"]["low"]


def test_names_are_harmless_in_a_spreadsheet_and_in_a_terminal(make_multiclass, nasty):
    result = make_multiclass((*nasty, "+1", "-1", "@x", " =1"))
    text = csvout.render_measure(typed(result))
    assert not set(text) & {chr(c) for c in [*range(10), *range(11, 32), 0x9B, 0x202D]}
    rows = read(text)
    for row in rows:
        for key in ("slice", "column", "name", "table", "metric", "reason"):
            assert not row[key].lstrip().startswith(("=", "+", "-", "@"))
    shown = {row["name"] for row in rows}
    assert "'=1+1" in shown
    assert names.visible("two\nlines\r\n") in shown
    assert "a|b`c`" in shown


def test_missing_values_are_empty_with_the_reason(make_binary):
    result = make_binary()
    result["overall"]["metrics"]["auc"] = {
        "value": None, "low": None, "high": None, "reason": "one class only"
    }  # fmt: skip
    row = only(read(csvout.render_measure(typed(result))), metric="auc")
    assert (row["value"], row["reason"]) == ("", "one class only")


def test_gates_at_and_fit_and_threshold_share_the_columns(make_binary, make_fit, make_threshold):
    result = make_binary()
    result["gates"] = [{"expr": "=ece>0.05", "value": 0.1, "passed": False}]
    gate = only(read(csvout.render_measure(typed(result))), table="gates")
    assert (gate["at"], gate["reason"]) == ("'=ece>0.05", "failed")
    rows = read(csvout.render_fit(typed(make_fit())))
    chosen = only(rows, table="candidates", at="temperature", metric="score")
    assert (chosen["value"], chosen["reason"].split(";")[0]) == ("0.4712", "chosen")
    row = only(read(csvout.render_threshold(typed(make_threshold()))), metric="threshold")
    assert float(row["value"]) == make_threshold()["thresholds"][0]["threshold"]
