"""The same rows give the same numbers, however they are written down, split or counted."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

COLUMNS = ("score", "label", "camera", "visit")


OF_INDEPENDENT_ROWS = ("spiegelhalter", "hosmer", "miscalibration_p")


@pytest.fixture
def metrics(calibcli):
    """Measure; return the metrics, or all that is known of the whole."""

    def run(*arguments, whole=False):
        ran = calibcli("measure", *arguments, "--quiet", "--format", "json")
        assert ran.code == 0, ran.err
        return ran.json["overall"] if whole else ran.json["overall"]["metrics"]

    return run


@pytest.fixture
def table(write, binary):
    return write("scores.csv", binary)


def part(columns, rows):
    return {name: values[rows] for name, values in columns.items()}


def values(figures):
    return {name: figure["value"] for name, figure in figures.items()}


def same(found, expected, off=0.0):
    assert list(found) == list(expected)
    for name, figure in found.items():
        for end in ("value", "low", "high"):
            if expected[name][end] is None:
                assert figure[end] is None
            else:
                assert figure[end] == pytest.approx(expected[name][end], rel=off, abs=off), name


# -- how they are written down ---------------------------------------------------------------------


def test_every_type_of_file(metrics, write, table, binary, tmp_path):
    expected = metrics(table, whole=True)
    assert metrics(write("x.parquet", binary), whole=True) == expected
    with pa.ipc.new_file(tmp_path / "x.arrow", pa.table(binary).schema) as file:
        file.write_table(pa.table(binary))
    assert metrics(tmp_path / "x.arrow", whole=True) == expected
    with pa.output_stream(tmp_path / "x.csv.gz", compression="gzip") as stream:
        stream.write(table.read_bytes())
    assert metrics(tmp_path / "x.csv.gz", whole=True) == expected
    (tmp_path / "x.tsv").write_text(table.read_text().replace(",", "\t"))
    assert metrics(tmp_path / "x.tsv", whole=True) == expected


def test_arrays(metrics, write, table, binary, tmp_path):
    expected = metrics(table, whole=True)
    scores, labels = write("s.npy", binary["score"]), write("y.npy", binary["label"])
    assert metrics(scores, "--labels", labels, whole=True) == expected
    np.savez(tmp_path / "x.npz", score=binary["score"], label=binary["label"])
    assert metrics(tmp_path / "x.npz", whole=True) == expected
    only_scores = write("only.csv", {"score": binary["score"]})
    assert metrics(only_scores, "--labels", labels, whole=True) == expected


def test_several_files_a_folder_and_a_glob(metrics, write, table, binary, tmp_path):
    expected = metrics(table, whole=True)
    for number, rows in enumerate((slice(0, 150), slice(150, 151), slice(151, None))):
        write(f"part{number}.csv", part(binary, rows))
        write(f"folder/part{number}.parquet", part(binary, rows))
    parts = [tmp_path / f"part{number}.csv" for number in range(3)]
    assert metrics(*parts, whole=True) == expected
    assert metrics(tmp_path / "part*.csv", whole=True) == expected
    assert metrics(tmp_path / "folder", whole=True) == expected
    assert metrics(tmp_path / "folder" / "*.parquet", whole=True) == expected
    mixed = [tmp_path / "part0.csv", tmp_path / "folder" / "part1.parquet", parts[2]]
    assert metrics(*mixed, whole=True) == expected


def test_hive_partitions_are_columns(metrics, calibcli, write, table, binary, tmp_path):
    for camera in ("front", "rear", "side"):
        mine = part(binary, binary["camera"] == camera)
        mine.pop("camera")
        write(f"set/camera={camera}/part.parquet", mine)
    found, direct = (
        calibcli("measure", path, "--group", "camera", "--format", "json").json
        for path in (tmp_path / "set", table)
    )
    assert values(found["overall"]["metrics"]) == values(direct["overall"]["metrics"])
    assert found["groups"] == direct["groups"]


def test_standard_input(metrics, table, monkeypatch, binary, tmp_path):
    expected = metrics(table, whole=True)
    with table.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert metrics("-", whole=True) == expected
    parquet.write_table(pa.table(binary), tmp_path / "x.parquet")
    with (tmp_path / "x.parquet").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert metrics("-", "--input-format", "parquet", whole=True) == expected


def test_the_order_of_rows_is_nothing_to_the_numbers(metrics, write, table, binary):
    shuffled = np.random.default_rng(0).permutation(len(binary["score"]))
    assert metrics(write("shuffled.csv", part(binary, shuffled)), whole=True) == metrics(
        table, whole=True
    )


def test_float32_scores_are_their_float64_values(metrics, write, binary):
    single = binary["score"].astype(np.float32)
    found, expected = (
        metrics(write(f"{number}.npy", scores), "--labels", write("y.npy", binary["label"]))
        for number, scores in enumerate((single, single.astype(np.float64)))
    )
    assert found == expected


def test_logits_are_their_sigmoids(metrics, write, binary):
    z = np.random.default_rng(3).normal(0, 2, 400)
    labels = ("--labels", write("y.npy", binary["label"]))
    found = metrics(write("z.npy", z), "--logits", *labels)
    same(found, metrics(write("p.npy", 1 / (1 + np.exp(-z))), *labels), off=1e-9)


# -- how they are counted --------------------------------------------------------------------------


def test_count_of_a_group_by_equals_the_rows(metrics, write, binary):
    coarse = {"score": np.round(binary["score"], 1), "label": binary["label"]}
    pairs, count = np.unique(np.stack(list(coarse.values())), axis=1, return_counts=True)
    grouped = {"score": pairs[0], "label": pairs[1].astype(int), "rows": count}
    by_row = metrics(write("rows.csv", coarse), whole=True)
    assert metrics(write("grouped.csv", grouped), "--count", "rows", whole=True) == by_row
    zero = {name: np.append(column, column[:1]) for name, column in grouped.items()}
    zero["rows"][-1] = 0
    assert metrics(write("zero.csv", zero), "--count", "rows", whole=True) == by_row


def test_whole_weights_equal_repeated_rows(metrics, write, binary):
    weight = np.random.default_rng(5).integers(0, 5, 400)
    weighted = {**{name: binary[name] for name in ("score", "label")}, "w": weight}
    repeated = {name: np.repeat(binary[name], weight) for name in ("score", "label")}
    found = metrics(write("w.csv", weighted), "--weight", "w", whole=True)
    expected = metrics(write("r.csv", repeated), whole=True)
    for name, figure in found["metrics"].items():
        # Tests are of the effective rows, not of the mass.
        tests = name.startswith(OF_INDEPENDENT_ROWS)
        if not tests and name != "ece_debiased":
            assert figure["value"] == pytest.approx(expected["metrics"][name]["value"], rel=1e-12)
    for name in ("tp", "fp", "fn", "tn"):
        assert found["confusion"][0][name] == expected["confusion"][0][name]


def test_whole_weights_of_several_classes_equal_repeated_rows(metrics, write, classes):
    weight = np.random.default_rng(5).integers(0, 4, 300)
    names = [f"p_{k}" for k in range(3)]
    columns = {**dict(zip(names, classes["p"].T, strict=True)), "label": classes["label"]}
    found = metrics(write("w.csv", {**columns, "w": weight}), "--scores", "p_*", "--weight", "w")
    repeated = {name: np.repeat(column, weight) for name, column in columns.items()}
    expected = metrics(write("r.csv", repeated), "--scores", "p_*")
    for name, figure in found.items():
        if not name.startswith(OF_INDEPENDENT_ROWS) and name != "ece_debiased":
            assert figure["value"] == pytest.approx(expected[name]["value"], rel=1e-11), name


def test_a_weight_of_one_is_no_weight(metrics, write, binary):
    found = metrics(write("w.csv", {**binary, "w": np.ones(400)}), "--weight", "w")
    expected = metrics(write("x.csv", binary))
    for name, figure in found.items():
        if name.startswith(OF_INDEPENDENT_ROWS):
            assert figure["value"] is None or figure["value"] == expected[name]["value"]
        else:
            assert figure["value"] == pytest.approx(expected[name]["value"], rel=1e-12), name


def test_clusters_of_one_row_change_no_value(metrics, write, binary):
    found = metrics(write("x.csv", {**binary, "row": np.arange(400)}), "--cluster", "row")
    expected = values(metrics(write("y.csv", binary)))
    tests = [name for name in expected if name.startswith(OF_INDEPENDENT_ROWS)]
    # These need independent rows, and do not ask whether a cluster has only one.
    assert values(found) == expected | dict.fromkeys(tests)


# -- groups ----------------------------------------------------------------------------------------


def test_a_group_equals_its_rows(calibcli, metrics, write, table, binary):
    groups = calibcli("measure", table, "--group", "camera", "--format", "json").json["groups"]
    assert [one["slice"]["value"] for one in groups] == ["front", "rear", "side"]
    for one in groups:
        alone = part(binary, binary["camera"] == one["slice"]["value"])
        expected = metrics(write("alone.csv", alone), whole=True)
        for name in ("metrics", "confusion", "bins", "ece_by_bins"):
            assert one[name] == expected[name], name


def test_a_group_of_several_classes_equals_its_rows(calibcli, metrics, write, classes):
    names = [f"p_{k}" for k in range(3)]
    camera = np.random.default_rng(2).choice(["a", "b"], 300)
    columns = {**dict(zip(names, classes["p"].T, strict=True)), "label": classes["label"],
               "camera": camera}  # fmt: skip
    ran = calibcli(
        "measure", write("x.csv", columns), "--scores", "p_*", "--group", "camera", "--format=json"
    )
    for one in ran.json["groups"]:
        alone = part(columns, camera == one["slice"]["value"])
        expected = metrics(write("alone.csv", alone), "--scores", "p_*")
        assert values(one["metrics"]) == pytest.approx(values(expected), rel=1e-12)


def test_groups_keep_their_clusters(calibcli, metrics, write, table, binary):
    options = ("--group", "camera", "--cluster", "visit")
    groups = calibcli("measure", table, *options, "--format", "json").json["groups"]
    alone = part(binary, binary["camera"] == "front")
    expected = metrics(write("alone.csv", alone), "--cluster", "visit")
    assert groups[0]["metrics"] == expected


def test_two_groups_are_two_lists(calibcli, table):
    ran = calibcli(
        "measure", table, "--group", "camera", "--group", "label", "--format", "json", "-q"
    )
    found = [(one["slice"]["column"], one["slice"]["value"]) for one in ran.json["groups"]]
    assert found == [
        ("camera", "front"), ("camera", "rear"), ("camera", "side"), ("label", "0"), ("label", "1"),
    ]  # fmt: skip


# -- classes ---------------------------------------------------------------------------------------


def test_classes_are_bound_to_columns_in_their_order(calibcli, write, classes):
    names = np.array(["cat", "dog", "eel"])
    labels = ("--labels", write("y.npy", classes["label"]))
    codes = calibcli("measure", write("p.npy", classes["p"]), *labels, "--format", "json").json
    named = dict(zip((f"p_{n}" for n in names), classes["p"].T, strict=True))
    table = write("p.csv", {**named, "label": names[classes["label"]]})
    by_suffix = calibcli("measure", table, "--scores", "p_*", "--format", "json").json
    assert [one["slice"]["name"] for one in by_suffix["classes"]] == list(names)
    assert by_suffix["overall"] == codes["overall"]
    swapped = calibcli(
        "measure", table, "--scores", "p_eel,p_cat,p_dog", "--classes", "eel,cat,dog",
        "--format", "json",
    ).json  # fmt: skip
    by_name = {one["slice"]["name"]: one["metrics"] for one in swapped["classes"]}
    for one in by_suffix["classes"]:
        assert by_name[one["slice"]["name"]] == one["metrics"]
    labels = ("--labels", write("n.csv", {"label": names[classes["label"]]}))
    bound = calibcli(
        "measure",
        write("p.npy", classes["p"]),
        *labels,
        "--classes",
        "cat,dog,eel",
        "--format=json",
    ).json
    assert bound["overall"] == codes["overall"]


def test_a_class_that_does_not_occur_is_no_error(calibcli, write, classes):
    labels = np.where(classes["label"] == 2, 0, classes["label"])
    ran = calibcli(
        "measure", write("p.npy", classes["p"]), "--labels", write("y.npy", labels), "--format=json"
    )
    assert ran.code == 0
    assert len(ran.json["classes"]) == 3
    assert ran.json["classes"][2]["metrics"]["prevalence"]["value"] == 0
    assert "class '2' does not occur among the labels" in ran.json["warnings"]


def test_a_list_column_is_its_columns(metrics, write, classes, tmp_path):
    labels = classes["label"]
    lists = pa.table({"score": pa.array(classes["p"].tolist()), "label": labels})
    parquet.write_table(lists, tmp_path / "lists.parquet")
    columns = dict(zip((f"p_{k}" for k in range(3)), classes["p"].T, strict=True))
    expected = metrics(write("x.parquet", {**columns, "label": labels}), "--scores", "p_*")
    assert metrics(tmp_path / "lists.parquet", "--score", "score") == expected


def test_two_columns_of_a_binary_score(metrics, write, binary):
    z = np.random.default_rng(4).normal(0, 1, (400, 2))
    labels = ("--labels", write("y.npy", binary["label"]))
    two = metrics(write("z.npy", z), "--task", "binary", "--logits", *labels)
    assert two == metrics(write("d.npy", z[:, 1] - z[:, 0]), "--logits", *labels)
    p = np.stack([1 - binary["score"], binary["score"]], axis=1)
    assert metrics(write("p.npy", p), "--task", "binary", *labels) == metrics(
        write("s.npy", binary["score"]), *labels
    )
    as_classes = metrics(write("p.npy", p), *labels)
    assert "accuracy" in as_classes


@pytest.mark.parametrize(
    ("coded", "options"),
    [
        (lambda y: y == 1, ()),
        (lambda y: 2 * y - 1, ()),
        (lambda y: np.where(y == 1, "true", "false"), ()),
        (lambda y: y.astype(float), ()),
        (lambda y: np.where(y == 1, "spam", "ham"), ("--positive", "spam")),
        (lambda y: 1 - y, ("--positive", "0")),
        (lambda y: np.where(y == 1, 2, 7), ("--positive", "2")),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_codings_of_labels(metrics, write, table, binary, coded, options, suffix):
    columns = {"score": binary["score"], "label": coded(binary["label"])}
    assert metrics(write(f"x.{suffix}", columns), *options) == metrics(table)


# -- invalid rows ----------------------------------------------------------------------------------


def test_drop_invalid_leaves_out_counts_and_says_so(calibcli, metrics, write, binary):
    score, label = binary["score"].astype(object), binary["label"].astype(object)
    score[3], score[77], label[200] = "nan", "", ""
    path = write("x.csv", {"score": score, "label": label})
    ran = calibcli("measure", path, "--drop-invalid", "--format", "json")
    assert ran.code == 0
    (warning,) = ran.json["warnings"]
    assert warning.startswith("3 rows ")
    assert ran.err == f"calibcli: warning: {warning}\n"
    assert ran.json["params"]["drop_invalid"] is True
    good = np.delete(np.arange(400), [3, 77, 200])
    kept = {"score": binary["score"][good], "label": binary["label"][good]}
    assert ran.json["overall"] == metrics(write("y.csv", kept), whole=True)
    quiet = calibcli("measure", path, "--drop-invalid", "--format", "json", "--quiet")
    assert (quiet.out, quiet.err) == (ran.out, "")


# -- saved statistics ------------------------------------------------------------------------------


@pytest.fixture
def shards(calibcli, write, tmp_path):
    """Save the statistics of some rows in three shards; return the files."""

    def save(columns, *options):
        paths = []
        for number, rows in enumerate((slice(0, 100), slice(100, 180), slice(180, None))):
            path = tmp_path / f"shard{number}.json"
            table = write(f"shard{number}.csv", part(columns, rows))
            assert calibcli("measure", table, *options, "--save-stats", path).code == 0
            paths.append(path)
        return paths

    return save


def test_shards_merge_to_one_run(calibcli, metrics, shards, table, binary):
    expected = metrics(table, whole=True)
    paths = shards(binary)
    assert metrics(*paths, whole=True) == expected
    assert metrics(*reversed(paths), whole=True) == expected
    merged = calibcli("measure", *paths, "--format", "json").json
    assert sum(one["rows"] for one in merged["inputs"]) == 400


def test_shards_with_groups_and_clusters_merge(calibcli, shards, table, binary):
    options = ("--group", "camera", "--cluster", "visit")
    expected = calibcli("measure", table, *options, "--format", "json").json
    found = calibcli("measure", *shards(binary, *options), "--format", "json").json
    assert found["overall"] == expected["overall"]
    assert found["groups"] == expected["groups"]


def test_shards_of_several_classes_merge(calibcli, write, shards, classes):
    names = [f"p_{k}" for k in range(3)]
    columns = {**dict(zip(names, classes["p"].T, strict=True)), "label": classes["label"]}
    found = calibcli("measure", *shards(columns, "--scores", "p_*"), "--format", "json").json
    expected = calibcli(
        "measure", write("all.csv", columns), "--scores", "p_*", "--format", "json"
    ).json
    # Rows of different shards fall into other buckets, which the intervals of sums come from.
    assert values(found["overall"]["metrics"]) == values(expected["overall"]["metrics"])
    assert found["overall"]["bins"] == expected["overall"]["bins"]
    assert found["classes"] == expected["classes"]


def test_merged_statistics_can_be_saved_again(metrics, calibcli, shards, table, binary, tmp_path):
    paths = shards(binary)
    assert calibcli("measure", *paths[:2], "--save-stats", tmp_path / "two.json").code == 0
    assert metrics(tmp_path / "two.json", paths[2], whole=True) == metrics(table, whole=True)


def test_the_same_shard_twice_is_refused(calibcli, shards, binary, tmp_path):
    first, *_ = shards(binary)
    copy = tmp_path / "copy.json"
    copy.write_bytes(first.read_bytes())
    for paths in ((first, first), (first, copy)):
        ran = calibcli("measure", *paths)
        assert (ran.code, ran.out) == (3, "")
        assert "twice" in ran.err


def test_shards_of_other_kinds_are_refused(calibcli, shards, write, binary, table, tmp_path):
    first, *_ = shards(binary)
    other = tmp_path / "other.json"
    for options in (("--logits",), ("--cluster", "visit"), ("--weight", "visit")):
        assert calibcli("measure", table, *options, "--save-stats", other).code == 0
        ran = calibcli("measure", first, other)
        assert (ran.code, ran.out) == (3, "")
        assert len(ran.err.splitlines()) == 3
    assert calibcli("measure", first, table).code == 3
    assert calibcli("measure", first, "--group", "camera").code == 2


def test_statistics_serve_every_binary_command(calibcli, table, tmp_path):
    stats = tmp_path / "stats.json"
    assert calibcli("measure", table, "--save-stats", stats).code == 0
    fitted = []
    for number, source in enumerate((table, stats)):
        out, cuts = tmp_path / f"c{number}.json", tmp_path / f"t{number}.json"
        for method in ("platt", "isotonic"):
            arguments = ("fit", source, "--method", method, "-o", out, "--format", "json", "-q")
            fitted.append(calibcli(*arguments).json)
        assert calibcli("threshold", source, "-q", "-o", cuts).code == 0
        assert calibcli("report", source, "-o", tmp_path / f"{number}.html").code == 0
    for ours, theirs in ((0, 2), (1, 3)):
        assert fitted[ours]["calibrator"] == fitted[theirs]["calibrator"]
        assert fitted[ours]["after"]["metrics"] == fitted[theirs]["after"]["metrics"]
    first, second = (json.loads((tmp_path / f"t{k}.json").read_text()) for k in (0, 1))
    assert first["thresholds"] == second["thresholds"]


def test_statistics_of_logits_take_their_calibrator(calibcli, write, binary, tmp_path):
    z = np.random.default_rng(6).normal(0, 2, 400)
    path = write("z.csv", {"logit": z, "label": binary["label"]})
    stats, fitted = tmp_path / "s.json", tmp_path / "c.json"
    assert calibcli("measure", path, "--logits", "--save-stats", stats).code == 0
    arguments = ("--logits", "--method", "temperature", "-o", fitted)
    assert calibcli("fit", path, *arguments).code == 0
    direct = calibcli("measure", path, "--logits", "--calibrator", fitted, "--format", "json", "-q")
    kept = calibcli("measure", stats, "--calibrator", fitted, "--format", "json", "-q")
    assert kept.code == 0
    after = [ran.json["overall"]["calibrated"]["metrics"] for ran in (direct, kept)]
    same(after[1], after[0], off=1e-12)


# -- apply -----------------------------------------------------------------------------------------


@pytest.fixture
def calibrator(calibcli, table, tmp_path):
    path = tmp_path / "c.json"
    assert calibcli("fit", table, "--method", "platt", "-o", path).code == 0
    return path


def test_apply_keeps_columns_order_and_bytes(good, write, calibrator, tmp_path):
    rows = [
        ["note", "score", "label", "wide", "empty"],
        ["plain", "0.50", "1", "007", ""],
        ["comma, and \"quote\"", ".25", "0", "1e5", ""],
        ["two\nlines", "1.0", "1", "+1", ""],
        ["日本語", "0.000000000000000001", "0", "0x1F", ""],
        [" space ", "5e-1", "1", "2024-01-01", ""],
    ]  # fmt: skip
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    good("apply", calibrator, source, "-o", out)
    with out.open(newline="", encoding="utf-8") as file:
        written = list(csv.reader(file))
    assert [row[:-1] for row in written] == rows
    assert written[0][-1] == "probability"
    piped = good("apply", calibrator, source, "-o", "-").out
    assert piped.encode() == out.read_bytes()


def test_apply_keeps_the_types_of_parquet(good, write, calibrator, binary, tmp_path):
    table = pa.table(
        {
            "score": pa.array(binary["score"], pa.float32()),
            "when": pa.array(range(400), pa.timestamp("us")),
            "kind": pa.array(["a", None] * 200).dictionary_encode(),
            "list": pa.array([[1], []] * 200),
        }
    )
    parquet.write_table(table, tmp_path / "in.parquet")
    good("apply", calibrator, tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    written = parquet.read_table(tmp_path / "out.parquet")
    assert written.column_names == [*table.column_names, "probability"]
    assert written.drop_columns("probability").equals(table)
    assert written.schema.field("probability").type == pa.float64()


def test_one_calibrator_gives_one_probability_everywhere(
    good, calibcli, write, table, calibrator, binary, tmp_path
):
    import calibcli as package

    api = package.load(str(calibrator)).apply(binary["score"])
    outputs = {}
    for suffix in ("csv", "parquet", "npy"):
        path = tmp_path / f"out.{suffix}"
        good("apply", calibrator, table, "-o", path)
        if suffix == "csv":
            with path.open(newline="") as file:
                outputs[suffix] = [float(row["probability"]) for row in csv.DictReader(file)]
        elif suffix == "parquet":
            outputs[suffix] = parquet.read_table(path)["probability"].to_numpy()
        else:
            outputs[suffix] = np.load(path)
    for found in outputs.values():
        np.testing.assert_array_equal(found, api)
    # What `measure --calibrator` shows as after is what apply has written.
    written = calibcli(
        "measure", tmp_path / "out.csv", "--score", "probability", "--format", "json", "-q"
    ).json["overall"]
    after = calibcli(
        "measure", table, "--calibrator", calibrator, "--format", "json", "-q"
    ).json["overall"]["calibrated"]  # fmt: skip
    assert after["metrics"] == written["metrics"]
    assert after["bins"] == written["bins"]
    assert after["confusion"] == written["confusion"]


def test_rows_of_several_classes_are_calibrated_alike(good, calibcli, write, classes, tmp_path):
    import calibcli as package

    rows, labels = write("z.npy", classes["z"]), ("--labels", write("y.npy", classes["label"]))
    fitted, out = tmp_path / "c.json", tmp_path / "out.npy"
    for method in ("temperature", "isotonic"):
        arguments = (*labels, "--logits", "--method", method, "-o", fitted)
        assert calibcli("fit", rows, *arguments).code == 0
        good("apply", fitted, rows, "-o", out)
        np.testing.assert_array_equal(np.load(out), package.load(str(fitted)).apply(classes["z"]))
        written = calibcli("measure", out, *labels, "--format", "json", "-q").json["overall"]
        after = calibcli(
            "measure", rows, *labels, "--logits", "--calibrator", fitted, "--format", "json", "-q"
        ).json["overall"]["calibrated"]  # fmt: skip
        assert values(after["metrics"]) == values(written["metrics"])
        # Rows are units by their scores, which are others in the file that was written.
        same(after["metrics"], written["metrics"], off=0.02)


def test_decisions_are_those_of_the_confusion_table(good, calibcli, table, calibrator, tmp_path):
    cuts, out = tmp_path / "t.json", tmp_path / "out.csv"
    arguments = ("--calibrator", calibrator, "-o", cuts, "--format", "json", "-q")
    (chosen,) = calibcli("threshold", table, *arguments).json["thresholds"]
    good("apply", calibrator, table, "--thresholds", cuts, "-o", out)
    with out.open(newline="") as file:
        rows = [(int(row["label"]), int(row["decision"])) for row in csv.DictReader(file)]
    counted = [rows.count(pair) for pair in ((1, 1), (0, 1), (1, 0), (0, 0))]
    assert counted == [chosen["confusion"][name] for name in ("tp", "fp", "fn", "tn")]


def test_a_threshold_of_logits_decides_as_it_was_chosen(calibcli, write):
    """The probability of a logit is rounded, so a cut-off must be compared by value."""
    z = np.random.default_rng(11).normal(0, 3, 500)
    label = (np.random.default_rng(12).uniform(size=500) < 1 / (1 + np.exp(-z))).astype(int)
    path = write("z.csv", {"logit": z, "label": label})
    chosen = calibcli("threshold", path, "--logits", "--format", "json", "-q").json["thresholds"][0]
    predicted = 1 / (1 + np.exp(-z)) >= chosen["threshold"]
    assert chosen["confusion"]["tp"] == (predicted & (label == 1)).sum()
    assert chosen["confusion"]["fp"] == (predicted & (label == 0)).sum()
    for t in 1 / (1 + np.exp(-z[:50])):
        (table,) = calibcli(
            "measure", path, "--logits", "--threshold", repr(float(t)), "--no-ci", "--format=json"
        ).json["overall"]["confusion"]  # fmt: skip
        # Scores less than an ulp apart may fall on either side of their own value.
        wanted = (1 / (1 + np.exp(-z)) >= t).sum()
        assert abs(table["tp"] + table["fp"] - wanted) <= 1


def test_rows_that_a_calibrator_has_seen_are_noticed(calibcli, write, table, calibrator, binary):
    seen = calibcli("measure", table, "--calibrator", calibrator)
    assert "in-sample" in seen.out
    renamed = calibcli("measure", write("renamed.csv", binary), "--calibrator", calibrator)
    assert "in-sample" in renamed.out
    fresh = {**binary, "score": np.random.default_rng(13).uniform(size=len(binary["score"]))}
    other = calibcli("measure", write("other.csv", fresh), "--calibrator", calibrator)
    assert "in-sample" not in other.out


def test_many_absent_classes_are_one_warning(calibcli, write):
    p = np.random.default_rng(0).dirichlet(np.ones(12), 200)
    labels = ("--labels", write("y.npy", np.arange(200) % 2))
    ran = calibcli("measure", write("p.npy", p), *labels, "--no-ci", "--format", "json")
    (warning,) = ran.json["warnings"]
    assert warning.startswith("10 of 12 classes do not occur among the labels: '2', '3', ")
    assert warning.endswith(" and 5 more")


def test_statistics_of_a_grid_say_where_they_are_not_exact(
    calibcli, metrics, write, monkeypatch, tmp_path
):
    monkeypatch.setattr("calibcli.core.statistics.counting.tally.EXACT_CELLS", 100)
    rng = np.random.default_rng(9)
    p = rng.uniform(size=20_000)
    y = (rng.uniform(size=20_000) < p).astype(int)
    path, stats = write("x.parquet", {"score": p, "label": y}), tmp_path / "s.json"
    options = ("--threshold", "0.123", "--bins", "7", "--no-ci", "--format", "json")
    assert calibcli("measure", path, *options, "--save-stats", stats).json["warnings"] == []
    same_options = calibcli("measure", stats, *options).json
    assert same_options["warnings"] == []
    (table,) = same_options["overall"]["confusion"]
    assert table["tp"] == ((p >= 0.123) & (y == 1)).sum()
    other = calibcli("measure", stats, "--threshold", "0.321", "--no-ci", "--format", "json").json
    (warning,) = other["warnings"]
    most = int(warning.partition("up to ")[2].split()[0].replace(",", ""))
    (table,) = other["overall"]["confusion"]
    assert 0 < abs(table["tp"] + table["fp"] - (p >= 0.321).sum()) <= most
    before = calibcli("measure", stats, "--no-ci", "--format", "json").json
    assert before["warnings"] == []


def test_apply_leaves_out_rows_without_a_score_only_when_told(
    calibcli, write, calibrator, tmp_path
):
    rows = "score,label,note\n.5,1,a\nnan,0,b\n.25,,c\n,1,d\n1,0,e\n"
    path, out = write("in.csv", rows), tmp_path / "out.csv"
    ran = calibcli("apply", calibrator, path, "-o", out)
    assert (ran.code, out.exists()) == (3, False)
    assert "row 2: no usable score" in ran.err
    ran = calibcli("apply", calibrator, path, "-o", out, "--drop-invalid")
    assert ran.code == 0
    assert "2 rows without a usable score were left out" in ran.out
    with out.open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["note"] for row in written] == ["a", "c", "e"]
    for suffix in ("npy", "parquet"):
        other = tmp_path / f"out.{suffix}"
        assert calibcli("apply", calibrator, path, "-o", other, "--drop-invalid").code == 0
        column = np.load(other) if suffix == "npy" else parquet.read_table(other)["probability"]
        assert np.asarray(column).tolist() == [float(row["probability"]) for row in written]
    piped = calibcli("apply", calibrator, path, "-o", "-", "--drop-invalid")
    assert piped.out.encode() == out.read_bytes()
    assert "2 rows" in piped.err
