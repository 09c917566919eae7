"""The same pixels as a stack of images and as a long table give the same numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure

N, K, H, W = 7, 3, 19, 23
QUICK = Conventions(at=(0.8,), thresholds=(0.5, 0.3), confidence=None)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(5)
    z = rng.normal(size=(N, K, H, W)) * 1.7
    truth = softmax(z / 1.5)
    labels = (truth.cumsum(axis=1) < rng.random((N, 1, H, W))).sum(axis=1).clip(0, K - 1)
    return z, softmax(z), labels


def table(path, scores, labels, images):
    """Write (N, K, H, W) or (N, H, W) pixels as rows; labels (N, H, W) or (N, K, H, W)."""
    planes = scores[:, None] if scores.ndim == 3 else scores
    columns = {f"s_{k}": planes[:, k].reshape(-1) for k in range(planes.shape[1])}
    truth = labels[:, None] if labels.ndim == 3 else labels
    names = [f"y_{k}" for k in range(truth.shape[1])] if truth.shape[1] > 1 else ["label"]
    columns |= {name: truth[:, k].reshape(-1) for k, name in enumerate(names)}
    columns["image"] = np.repeat(np.asarray(images), labels.shape[-1] * labels.shape[-2])
    pq.write_table(pa.table(columns), path)
    return str(path)


def both(tmp_path, scores, labels, *, spec=None, rows=None, values=None, conventions=None):
    np.save(tmp_path / "scores.npy", scores)
    np.save(tmp_path / "labels.npy", labels)
    stack = InputSpec(
        (str(tmp_path / "scores.npy"),),
        labels=str(tmp_path / "labels.npy"),
        task="segmentation",
        cluster="image",
        **(spec or {}),
    )
    long = table(
        tmp_path / "pixels.parquet",
        scores if values is None else values,
        labels,
        range(len(labels)),
    )
    plain = InputSpec((long,), cluster="image", **(rows or {}))
    conventions = conventions or QUICK
    return measure(stack, conventions), measure(plain, conventions)


def same(a, b):
    for part in ("overall",):
        compare(a[part], b[part])
    for own, other in zip(a["classes"], b["classes"], strict=True):
        compare(own, other)


def compare(own, other):
    for key in ("metrics", "bins", "confusion", "ece_by_bins", "at"):
        if key in other:
            agree(own[key], other[key], key)


def agree(own, other, where):
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


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_class_probabilities(tmp_path, pixels, dtype):
    _, p, labels = pixels
    same(*both(tmp_path, p.astype(dtype), labels.astype(np.uint8), rows={"scores": ("s_*",)}))


def test_intervals_by_image(tmp_path, pixels):
    """Images with names fall into the same buckets as a column of these names."""
    _, p, labels = pixels
    scores, truth = p.astype(np.float16), labels.astype(np.uint8)
    (tmp_path / "images.csv").write_text("image_id\n" + "\n".join(map(str, range(N))))
    spec = {"images": str(tmp_path / "images.csv")}
    rows, conventions = {"scores": ("s_*",)}, Conventions(at=(0.8,))
    found, other = both(tmp_path, scores, truth, spec=spec, rows=rows, conventions=conventions)
    same(found, other)
    for folder, stack in (("p", scores), ("y", truth)):
        (tmp_path / folder).mkdir()
        for i, image in enumerate(stack):
            np.save(tmp_path / folder / f"{i}.npy", image)
    files = InputSpec(
        (str(tmp_path / "p/*.npy"),), labels=str(tmp_path / "y/*.npy"), task="segmentation"
    )
    same(measure(files, conventions), other)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_class_logits(tmp_path, pixels, dtype):
    z, _, labels = pixels
    same(
        *both(
            tmp_path,
            z.astype(dtype),
            labels.astype(np.int64),
            spec={"logits": True},
            rows={"scores": ("s_*",), "logits": True},
        )
    )


def test_bytes_are_their_value_over_the_scale(tmp_path, pixels):
    _, p, labels = pixels
    coded = (p[:, 1] * 255).round().astype(np.uint8)
    same(
        *both(
            tmp_path,
            coded,
            (labels == 1).astype(np.uint8),
            spec={"scale": 255},
            rows={"score": "s_0"},
            values=coded / 255,
        )
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("logits", [False, True])
def test_one_structure(tmp_path, pixels, dtype, logits):
    z, p, labels = pixels
    scores = (z if logits else p)[:, 1].astype(dtype)
    more = {"logits": logits}
    truth = (labels == 1).astype(bool)
    same(*both(tmp_path, scores, truth, spec=more, rows={"score": "s_0"} | more))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_structures_of_their_own(tmp_path, pixels, dtype):
    _, p, _ = pixels
    truth = (p > np.random.default_rng(1).random(p.shape)).astype(np.uint8)
    rows = {"scores": ("s_*",), "label": "y_*", "task": "multilabel"}
    np.save(tmp_path / "scores.npy", p.astype(dtype))
    np.save(tmp_path / "labels.npy", truth)
    del rows["label"]
    stack = InputSpec(
        (str(tmp_path / "scores.npy"),),
        labels=str(tmp_path / "labels.npy"),
        task="segmentation",
        cluster="image",
    )
    scores = p.astype(dtype).transpose(0, 2, 3, 1).reshape(-1, K)
    np.savez(
        tmp_path / "rows.npz",
        scores=scores,
        label=truth.transpose(0, 2, 3, 1).reshape(-1, K),
        image=np.repeat(np.arange(N), H * W),
    )
    plain = InputSpec(
        (str(tmp_path / "rows.npz"),),
        scores=("scores",),
        label="label",
        cluster="image",
        task="multilabel",
    )
    same(measure(stack, QUICK), measure(plain, QUICK))


def test_channels_last_column_order_and_npz_are_the_same_pixels(tmp_path, pixels):
    _, p, labels = pixels
    p, labels = p.astype(np.float32), labels.astype(np.uint8)
    made = {}
    np.save(tmp_path / "y.npy", labels)

    def run(name, **more):
        spec = InputSpec((str(tmp_path / name),), task="segmentation", cluster="image", **more)
        return measure(spec, QUICK)["overall"]

    y = str(tmp_path / "y.npy")
    np.save(tmp_path / "first.npy", p)
    made["first"] = run("first.npy", labels=y)
    np.save(tmp_path / "last.npy", np.ascontiguousarray(p.transpose(0, 2, 3, 1)))
    made["last"] = run("last.npy", labels=y, layout="nhwc")
    np.save(tmp_path / "fortran.npy", np.asfortranarray(p))
    made["fortran"] = run("fortran.npy", labels=y)
    np.save(tmp_path / "swapped.npy", p.astype(">f4"))
    made["swapped"] = run("swapped.npy", labels=y)
    np.savez_compressed(tmp_path / "both.npz", probs=p, masks=labels)
    made["npz"] = run("both.npz")
    np.savez(tmp_path / "turned.npz", probs=np.asfortranarray(p), masks=labels)
    made["npz in column order"] = run("turned.npz")
    for name, found in made.items():
        assert found == made["first"], name


def test_files_of_one_image_each_are_clusters_by_name(tmp_path, pixels):
    _, p, labels = pixels
    rng = np.random.default_rng(3)
    (tmp_path / "scores").mkdir()
    (tmp_path / "masks").mkdir()
    rows, truths, names = [], [], []
    for i in range(N):
        h, w = rng.integers(4, H), rng.integers(4, W)  # images of any size
        own, truth = p[i, :, :h, :w].astype(np.float32), labels[i, :h, :w].astype(np.uint8)
        np.save(tmp_path / "scores" / f"page{i}.npy", own)
        np.save(tmp_path / "masks" / f"page{i}.npy", truth)
        rows.append(own.reshape(K, -1).T)
        truths.append(truth.reshape(-1))
        names += [f"page{i}"] * truth.size
    stack = InputSpec(
        (str(tmp_path / "scores" / "*.npy"),),
        labels=str(tmp_path / "masks" / "*.npy"),
        task="segmentation",
        cluster="image",
    )
    scores = np.concatenate(rows)
    columns = {f"s_{k}": scores[:, k] for k in range(K)}
    columns |= {"label": np.concatenate(truths), "image": names}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    plain = InputSpec((str(tmp_path / "rows.parquet"),), scores=("s_*",), cluster="image")
    same(measure(stack, QUICK), measure(plain, QUICK))


def test_ignored_pixels_are_rows_left_out(tmp_path, pixels):
    _, p, labels = pixels
    p, labels = p.astype(np.float32), labels.astype(np.uint8)
    gone = np.random.default_rng(2).random(labels.shape) < 0.3
    masked = np.where(gone, 255, labels).astype(np.uint8)
    scores = np.where(gone[:, None], np.nan, p).astype(np.float32)  # nobody looks there
    np.save(tmp_path / "scores.npy", scores)
    np.save(tmp_path / "labels.npy", masked)
    stack = InputSpec(
        (str(tmp_path / "scores.npy"),),
        labels=str(tmp_path / "labels.npy"),
        task="segmentation",
        cluster="image",
        ignore_label=255,
    )
    keep = ~gone.reshape(-1)
    columns = {f"s_{k}": p[:, k].reshape(-1)[keep] for k in range(K)}
    columns["label"] = labels.reshape(-1)[keep]
    columns["image"] = np.repeat(np.arange(N), H * W)[keep]
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    plain = InputSpec((str(tmp_path / "rows.parquet"),), scores=("s_*",), cluster="image")
    same(measure(stack, QUICK), measure(plain, QUICK))


def test_larger_than_distinct_scores_are_kept_apart(tmp_path):
    """Beyond 262,144 distinct scores both are counted in the same grid."""
    rng = np.random.default_rng(8)
    scores = rng.random((6, 320, 320), dtype=np.float32) ** 3
    labels = rng.random(scores.shape) < scores
    stack, plain = both(tmp_path, scores, labels.astype(np.uint8), rows={"score": "s_0"})
    assert stack["params"]["cells"] == plain["params"]["cells"] != "distinct scores"
    same(stack, plain)
