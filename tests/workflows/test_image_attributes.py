"""What a table tells of images: groups, clusters, weights, periods, as a column of pixels does."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calibcli.errors import InputError, UsageError
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure

N, H, W = 30, 12, 17
PATIENT = [f"p{i % 9}" for i in range(N)]
SCANNER = ["A" if i % 3 else "B" for i in range(N)]
WEIGHT = [0.5 + (i % 4) for i in range(N)]
DATE = [f"2026-0{1 + i % 3}-1{i % 10}" for i in range(N)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write the same pixels as a stack with a table of images, and as a table of pixels."""
    place = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(3)
    p = rng.beta(1, 2, (N, H, W)) ** rng.uniform(0.7, 1.4, (N, 1, 1))
    y = (rng.random((N, H, W)) < p).astype(np.uint8)
    np.save(place / "p.npy", p)
    np.save(place / "y.npy", y)
    np.save(place / "bytes.npy", (p * 255).round().astype(np.uint8))
    attributes = {"patient": PATIENT, "scanner": SCANNER, "w": WEIGHT, "date": DATE}
    order = rng.permutation(N)
    pq.write_table(
        pa.table({"image_id": order, **{k: np.array(v)[order] for k, v in attributes.items()}}),
        place / "images.parquet",
    )
    long = {"score": p.reshape(-1), "label": y.reshape(-1)}
    long |= {k: np.repeat(np.array(v), H * W) for k, v in attributes.items()}
    long["image"] = np.repeat(np.arange(N), H * W)
    pq.write_table(pa.table(long), place / "pixels.parquet")
    return place


def both(folder, cluster="image", conventions=None, scores="p.npy", **options):
    conventions = conventions or Conventions(thresholds=(0.5, 0.3))
    stack = InputSpec(
        (str(folder / scores),),
        labels=str(folder / "y.npy"),
        task="segmentation",
        images=str(folder / "images.parquet"),
        cluster=None if cluster == "image" else cluster,
        **{k: v for k, v in options.items() if k in ("groups", "weight", "scale")},
    )
    rows = {k: v for k, v in options.items() if k in ("groups", "weight")}
    table = InputSpec((str(folder / "pixels.parquet"),), cluster=cluster, **rows)
    by = {"by": options["by"]} if "by" in options else {}
    return measure(stack, conventions, **by), measure(table, conventions, **by)


def agree(own, other, where=""):
    """Compare all that a table's result holds, to 1e-9."""
    if isinstance(other, dict):
        for key, value in other.items():
            agree(own[key], value, f"{where}.{key}")
    elif isinstance(other, list):
        assert len(own) == len(other), where
        for i, (x, y) in enumerate(zip(own, other, strict=True)):
            agree(x, y, f"{where}[{i}]")
    elif isinstance(other, float):
        assert own == pytest.approx(other, rel=1e-9, abs=1e-12), where
    else:
        assert own == other, where


def test_a_patient_is_a_cluster_of_slices(folder):
    own, other = both(folder, "patient")
    agree(own["overall"], other["overall"])
    assert own["params"]["cluster"] == "patient"
    plain, _ = both(folder)
    widths = [
        result["overall"]["metrics"]["mean_score"]["high"]
        - result["overall"]["metrics"]["mean_score"]["low"]
        for result in (own, plain)
    ]
    assert widths[0] != widths[1]


def test_a_scanner_is_a_group_of_images(folder):
    own, other = both(folder, groups=("scanner", "month:date"))
    agree(own["overall"], other["overall"])
    agree(own["groups"], other["groups"])
    assert [one["slice"]["value"] for one in own["groups"][:2]] == ["A", "B"]


@pytest.mark.parametrize("weighted", [False, True])
def test_groups_of_patients_with_weights(folder, weighted):
    own, other = both(
        folder, "patient", groups=("scanner",), **({"weight": "w"} if weighted else {})
    )
    agree(own["overall"], other["overall"])
    agree(own["groups"], other["groups"])


def test_periods_of_images(folder):
    own, other = both(folder, by="month:date")
    agree(own["series"], other["series"])
    assert len(own["series"]["periods"]) == 3


def test_scores_of_few_levels_are_weighted_and_grouped_alike(folder):
    """Bytes are counted by level, floats are not: the same to the rounding of the scores."""
    for options in ({"groups": ("scanner",)}, {"weight": "w"}):
        own, _ = both(folder, "patient", scores="bytes.npy", scale=255.0, **options)
        _, other = both(folder, "patient", **options)
        parts = zip(
            (own["overall"], *own["groups"]), (other["overall"], *other["groups"]), strict=True
        )
        for mine, theirs in parts:
            for name in ("n", "prevalence", "brier", "auc"):
                for end in ("value", "low", "high"):
                    value = theirs["metrics"][name][end]
                    if value is not None:
                        assert mine["metrics"][name][end] == pytest.approx(value, abs=2e-3)


def spec(folder, images, **options):
    return InputSpec(
        (str(folder / "p.npy"),),
        labels=str(folder / "y.npy"),
        task="segmentation",
        images=str(images),
        **options,
    )


def refusal(folder, tmp_path, text, kind=InputError, **options):
    path = tmp_path / "images.csv"
    path.write_text(text)
    with pytest.raises(kind) as caught:
        measure(spec(folder, path, **options), Conventions(confidence=None))
    return caught.value


def test_tables_that_do_not_fit(folder, tmp_path):
    ids = "".join(f"{i},{i % 2}\n" for i in range(N))
    assert "no column of image ids" in refusal(folder, tmp_path, "name,g\n" + ids).message
    short = refusal(folder, tmp_path, "id,g\n" + ids.replace("29,1\n", ""))
    assert "does not name 1 of 30 images: 29" in short.message
    twice = refusal(folder, tmp_path, "id,g\n" + ids + "3,1\n")
    assert twice.message.endswith("row 31: the image '3' a second time")
    column = refusal(folder, tmp_path, "id,camera\n" + ids, groups=("camara",))
    assert "has no column 'camara' (--group)" in column.message
    assert "camera" in column.hint
    weight = refusal(folder, tmp_path, "id,w\n" + ids.replace("3,1", "3,-1", 1), weight="w")
    assert "row 4: not a weight" in weight.message
    gap = refusal(folder, tmp_path, "id,c\n" + ids.replace("3,1", "3,", 1), cluster="c")
    assert "row 4: no cluster id" in gap.message


def test_without_a_table_images_have_no_columns(folder):
    for options in ({"groups": ("g",)}, {"cluster": "patient"}, {"weight": "w"}):
        bare = InputSpec(
            (str(folder / "p.npy"),), labels=str(folder / "y.npy"), task="segmentation", **options
        )
        with pytest.raises(UsageError) as caught:
            measure(bare, Conventions(confidence=None))
        assert "--images FILE" in caught.value.hint


def test_images_in_another_order_or_in_shards_have_the_same_intervals(folder, tmp_path):
    """Without names an image is known by its content, not by its place."""
    p, y = np.load(folder / "p.npy"), np.load(folder / "y.npy")
    turned = np.random.default_rng(0).permutation(N)
    np.save(tmp_path / "p.npy", p[turned])
    np.save(tmp_path / "y.npy", y[turned])
    for place, part in enumerate((slice(0, 11), slice(11, N))):
        for name, stack in (("scores", p), ("masks", y)):
            (tmp_path / name).mkdir(exist_ok=True)
            np.save(tmp_path / name / f"{place}.npy", stack[part])
    conventions = Conventions()

    def run(scores, labels):
        found = InputSpec((str(scores),), labels=str(labels), task="segmentation")
        return measure(found, conventions)

    whole = run(folder / "p.npy", folder / "y.npy")
    agree(run(tmp_path / "p.npy", tmp_path / "y.npy")["overall"], whole["overall"])
    agree(run(tmp_path / "scores/*.npy", tmp_path / "masks/*.npy")["overall"], whole["overall"])


@pytest.mark.parametrize("planes", [1, 3])
def test_weights_of_images_count_for_structures(tmp_path, planes):
    """An image of weight 2 is the image twice, for pooled figures and for means over images."""
    rng = np.random.default_rng(planes)
    p = rng.random((9, planes, 8, 9)) if planes > 1 else rng.random((9, 8, 9))
    y = (rng.random(p.shape) < p**2).astype(np.uint8)
    times = 1 + np.arange(9) % 3

    def structures(copies, weight):
        name = f"{weight}"
        np.save(tmp_path / f"p{name}.npy", p[copies])
        np.save(tmp_path / f"y{name}.npy", y[copies])
        table = {"image_id": np.arange(len(copies)), "w": 0.25 * times[copies]}
        pq.write_table(pa.table(table), tmp_path / "images.parquet")
        spec = InputSpec(
            (str(tmp_path / f"p{name}.npy"),), labels=str(tmp_path / f"y{name}.npy"),
            task="segmentation", images=str(tmp_path / "images.parquet"), weight=weight,
        )  # fmt: skip
        return measure(spec, Conventions())["segmentation"]["structures"]

    pairs = zip(
        structures(np.arange(9), "w"), structures(np.repeat(np.arange(9), times), None), strict=True
    )
    for own, other in pairs:
        for name in ("score", "gap", "ece", "precision", "recall", "dice", "iou", "mean_dice"):
            assert own[name]["value"] == pytest.approx(other[name]["value"]), name
            assert own[name]["low"] <= own[name]["value"] <= own[name]["high"]
        assert [4 * own[k] for k in ("tp", "fp", "fn")] == [other[k] for k in ("tp", "fp", "fn")]
        assert own["decided"] < other["decided"]


def test_a_reference_of_structures_that_may_overlap(tmp_path, calibcli):
    """Labels tell that planes are structures of their own; the reference has none."""
    rng = np.random.default_rng(0)
    p = rng.random((5, 3, 8, 9))
    for name, values in (("p", p), ("q", p**1.4), ("y", (rng.random(p.shape) < p).astype("u1"))):
        np.save(tmp_path / f"{name}.npy", values)
    run = calibcli(
        "measure", tmp_path / "p.npy", "--labels", tmp_path / "y.npy", "--task", "segmentation",
        "--classes", "a,b,c", "--reference", tmp_path / "q.npy", "--no-ci", "-q",
        "--format", "json",
    )  # fmt: skip
    moved = run.json["drift"]["metrics"]["mean_score"]
    assert moved["value"] == pytest.approx(p.mean() - (p**1.4).mean())


def test_a_search_over_regions_refuses_weights(folder, calibcli):
    options = ("--images", folder / "images.parquet", "--weight", "w", "--task", "segmentation")
    run = ("threshold", folder / "p.npy", "--labels", folder / "y.npy", *options)
    for more in (("--search", "min-area=0,3"), ("--maximize", "mean-dice")):
        ran = calibcli(*run, *more)
        assert (ran.code, "counts every image once" in ran.err) == (2, True)
    assert calibcli(*run, "--maximize", "f1", "-q").code == 0
