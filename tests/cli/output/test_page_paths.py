"""The page names files without the folders of the machine; the JSON of the report has the paths."""

from __future__ import annotations

import numpy as np

from calibcli.render.page.paths import by_name


def test_no_folder_stands_on_the_page(write, good, tmp_path):
    rng = np.random.default_rng(0)
    p = rng.random(300)
    label = (rng.random(300) < p).astype(int)
    rows = {"score": p, "label": label, "site": np.where(label, "a/b", "c/d")}
    home = "hidden_folder"
    now, before = write(f"{home}/now.csv", rows), write(f"{home}/before.csv", rows)
    other = write(f"{home}/deep/other.csv", rows | {"score": rng.random(300)})
    folder = now.parent
    good("fit", before, "-o", folder / "c.json", "-q")
    good("threshold", before, "--calibrator", folder / "c.json", "-o", folder / "t.json", "-q")
    line = ("report", now, "--calibrator", folder / "c.json", "--thresholds", folder / "t.json",
            "--reference", before, "--versus", other, "--group", "site", "-q")  # fmt: skip
    good(*line, "-o", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert home not in text
    assert str(tmp_path) not in text
    for name in ("now.csv", "before.csv", "other.csv", "c.json", "a/b"):
        assert name in text, name
    good(*line, "-o", tmp_path / "r.json")
    assert str(now) in (tmp_path / "r.json").read_text()


def test_files_of_one_name_keep_what_tells_them_apart():
    report = {
        "inputs": [{"path": "/d/may/a.csv", "rows": 1}, {"path": "s3://b/june/a.csv", "rows": 2}],
        "warnings": ["the reference C:\\x\\old.csv does not keep its clusters"],
        "params": {"reference": "C:\\x\\old.csv", "group": "/d/may/a.csv"},
        "measure": {"groups": [{"slice": {"value": "/d/may/a.csv"}}], "versus": None},
        "title": "/d/may/a.csv",
    }
    told = by_name(report)
    assert [one["path"] for one in told["inputs"]] == ["may/a.csv", "june/a.csv"]
    assert told["warnings"] == ["the reference old.csv does not keep its clusters"]
    assert told["params"]["reference"] == "old.csv"
    assert told["measure"] == report["measure"]  # a group may be called as a file is
    assert told["title"] == "/d/may/a.csv"
    assert by_name({"inputs": [{"path": "a.csv"}, {"path": "-"}]}) == {
        "inputs": [{"path": "a.csv"}, {"path": "-"}]
    }
