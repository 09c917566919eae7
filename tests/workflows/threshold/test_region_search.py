"""Mask rules against brute force, and the masks that `apply` writes with them."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.apply.apply import apply
from calibcli.workflows.fit.fit import FitOptions, fit
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load
from calibcli.workflows.threshold.masks.search import search_regions
from calibcli.workflows.threshold.search import RegionWish
from calibcli.workflows.threshold.wish import Wish
from tests.flood import cleaned
from tests.schemas import fits_schema

AREAS, FILLS = (0, 3, 6), (False, True)


def spec_of(folder, scores, labels, **more):
    np.save(folder / "scores.npy", scores)
    np.save(folder / "labels.npy", labels)
    return InputSpec(
        (str(folder / "scores.npy"),),
        labels=str(folder / "labels.npy"),
        task="segmentation",
        cluster="image",
        **more,
    )


def blobs(seed, shape=(4, 9, 11), levels=16):
    """Return few-level scores (N, H, W) that hang together, and masks that they half explain."""
    rng = np.random.default_rng(seed)
    rough = rng.random(shape)
    for axis in (1, 2):
        rough = rough + np.roll(rough, 1, axis) + np.roll(rough, -1, axis)
    ranks = rough.reshape(-1).argsort().argsort().reshape(shape) / rough.size
    scores = np.floor(ranks * levels) / levels
    labels = (ranks + rng.normal(0, 0.15, shape) > 0.7).astype(np.uint8)
    return scores, labels


def counts(masks, labels, kept=None):
    kept = np.ones(labels.shape, bool) if kept is None else kept
    truth, masks = labels.astype(bool) & kept, masks & kept
    return np.array(
        [[(m & t).sum(), (m & ~t).sum(), (~m & t).sum()] for m, t in zip(masks, truth, strict=True)]
    )


def pooled(found):
    tp, fp, fn = found.sum(axis=0)
    return 2 * tp / (2 * tp + fp + fn)


def mean(found):
    whole = 2 * found[:, 0] + found[:, 1] + found[:, 2]
    used = whole > 0
    return (2 * found[used, 0] / whole[used]).mean()


def brute(scores, labels, figure, connectivity, kept=None):
    best = -1.0
    rules = itertools.product(np.unique(scores), AREAS, FILLS)
    for threshold, area, fill in rules:
        masks = np.array([cleaned(s >= threshold, area, fill, connectivity) for s in scores])
        found = counts(masks, labels, kept)
        if (found[:, 0] + found[:, 1] + found[:, 2]).any():
            best = max(best, figure(found))
    return best


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("maximize", "figure"), [("dice", pooled), ("mean-dice", mean)])
def test_the_search_finds_what_brute_force_finds(tmp_path, connectivity, maximize, figure):
    for seed in range(3):
        scores, labels = blobs(seed)
        result = search_regions(
            spec_of(tmp_path, scores, labels),
            Conventions(confidence=None),
            Wish.parse(maximize, images=True),
            RegionWish(AREAS, FILLS, connectivity),
        )
        (item,) = result["thresholds"]
        assert result["regions"]["thresholds"] == "every distinct score"
        best = brute(scores, labels, figure, connectivity)
        assert item["value"]["value"] == pytest.approx(best, abs=1e-12)
        masks = np.array(
            [
                cleaned(s >= item["threshold"], item["min_area"], item["fill_holes"], connectivity)
                for s in scores
            ]
        )
        found = counts(masks, labels)
        assert item["pooled_dice"]["value"] == pytest.approx(pooled(found))
        assert item["mean_dice"]["value"] == pytest.approx(mean(found))
        tp, fp, fn = found.sum(axis=0)
        told = item["confusion"]
        assert (told["tp"], told["fp"], told["fn"]) == (tp, fp, fn)
        assert told["tn"] == labels.size - tp - fp - fn


def test_pixels_to_ignore_shape_regions_and_count_for_nothing(tmp_path):
    scores, labels = blobs(7)
    gone = np.random.default_rng(1).random(labels.shape) < 0.25
    result = search_regions(
        spec_of(tmp_path, scores, np.where(gone, 255, labels).astype(np.uint8), ignore_label=255),
        Conventions(confidence=None),
        Wish.parse("dice"),
        RegionWish(AREAS, FILLS, 8),
    )
    best = brute(scores, labels, pooled, 8, ~gone)
    assert result["thresholds"][0]["value"]["value"] == pytest.approx(best, abs=1e-12)
    assert result["thresholds"][0]["n"] == (~gone).sum()


def test_many_scores_are_tried_at_quantiles_and_refined(tmp_path):
    """Not every score is tried, and hardly anything is lost."""
    rng = np.random.default_rng(3)
    coarse, labels = blobs(3, (6, 30, 31), levels=10**6)
    scores = np.clip(coarse + rng.normal(0, 1e-3, coarse.shape), 0, 1)
    spec = spec_of(tmp_path, scores, labels)
    quiet = Conventions(confidence=None)
    found = search_regions(spec, quiet, Wish.parse("dice"), RegionWish((0, 5), (False, True), 8))
    item = found["thresholds"][0]
    assert "100 quantiles" in found["regions"]["thresholds"]
    plain = search_regions(spec, quiet, Wish.parse("dice"), RegionWish())["thresholds"][0]
    assert found["thresholds"][0]["value"]["value"] >= plain["value"]["value"] - 1e-12
    exact = max(pooled(counts(scores >= t, labels)) for t in np.unique(scores))
    assert plain["value"]["value"] == pytest.approx(exact, abs=1e-12)
    tried = [c for c in found["regions"]["curves"] if c["min_area"] == 0 and not c["fill_holes"]]
    assert len(tried[0]["threshold"]) <= 100
    assert exact - item["without_regions"]["value"] < 0.01


def test_constraints_hold_or_the_best_attainable_is_told(tmp_path):
    scores, labels = blobs(2)
    spec = spec_of(tmp_path, scores, labels)
    quiet = Conventions(confidence=None)
    regions = RegionWish(AREAS, FILLS, 8)
    item = search_regions(spec, quiet, Wish.parse("dice", ("recall>=0.9",)), regions)
    assert item["thresholds"][0]["confusion"]["recall"]["value"] >= 0.9
    with pytest.raises(AnswerNoError, match="precision is at most"):
        search_regions(spec, quiet, Wish.parse("dice", ("precision>=0.999",)), regions)


def test_the_figures_beside_a_filter_are_those_of_the_same_masks_without_it(tmp_path):
    scores, labels = blobs(5, (8, 12, 13))
    spec = spec_of(tmp_path, scores, labels)
    result = search_regions(spec, Conventions(), Wish.parse("dice"), RegionWish(AREAS, FILLS, 8))
    (item,) = result["thresholds"]
    plain = counts(scores >= item["threshold"], labels)
    assert item["without_regions"] == {
        "threshold": item["threshold"],
        "value": pytest.approx(pooled(plain)),
    }
    crossed = item["cross_fitted"]
    assert crossed["folds"] == 8
    for name in ("precision", "recall", "f1"):
        assert crossed[name]["low"] <= crossed[name]["value"] <= crossed[name]["high"]
        assert item["confusion"][name]["low"] == crossed[name]["low"]
    assert item["mean_dice"]["high"] == crossed["mean_dice"]["high"]


def test_every_structure_out_of_reach_is_named(tmp_path):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=(5, 8, 9)).transpose(0, 3, 1, 2)
    labels = p.argmax(axis=1)
    labels[rng.uniform(size=labels.shape) < 0.5] = 0
    spec = spec_of(tmp_path, p, labels.astype(np.uint8), classes=("a", "b", "c"))
    wish = Wish.parse("dice", ("recall>=0.5", "precision>=0.6"))
    with pytest.raises(AnswerNoError) as error:
        search_regions(spec, Conventions(), wish, RegionWish())
    assert "2 of 3 slices: b: " in error.value.message
    assert "; c: " in error.value.message
    never = Wish.parse("dice", ("recall>=0.5", "precision>=0.6"), never=True)
    result = search_regions(spec, Conventions(), never, RegionWish())
    assert [item["threshold"] > 1 for item in result["thresholds"]] == [False, True, True]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three exclusive structures, a calibrator and thresholds with regions."""
    folder = tmp_path_factory.mktemp("three")
    rng = np.random.default_rng(4)
    rough = rng.normal(size=(6, 3, 16, 18))
    for axis in (2, 3):
        rough = rough + np.roll(rough, 1, axis) + np.roll(rough, -1, axis)
    p = np.exp(rough)
    p /= p.sum(axis=1, keepdims=True)
    labels = (rough + rng.normal(0, 2, rough.shape)).argmax(axis=1).astype(np.uint8)
    spec = spec_of(folder, p.astype(np.float32), labels, classes=("a", "b", "c"))
    fit(spec, Conventions(), FitOptions(method="temperature"), output=str(folder / "c.json"))
    search_regions(
        spec,
        Conventions(),
        Wish.parse("dice"),
        RegionWish((0, 4), (True, False), 8, background="a"),
        calibrator=str(folder / "c.json"),
        output=str(folder / "t.json"),
    )
    return folder, spec, labels


def test_artifact_and_result_fit_their_schemas(three, tmp_path):
    folder, spec, _ = three
    artifact = json.loads((folder / "t.json").read_text())
    fits_schema(artifact, "thresholds")
    result = search_regions(spec, Conventions(), Wish.parse("dice"), RegionWish((0, 4)))
    fits_schema(result, "threshold")
    for item in result["thresholds"]:
        assert item["threshold_low"] <= item["threshold"] <= item["threshold_high"]
        for name in ("pooled_dice", "mean_dice"):
            assert item[name]["low"] < item[name]["value"] < item[name]["high"]


def test_masks_are_those_of_the_rule_and_what_was_promised_together(three):
    folder, spec, labels = three
    out, probabilities = folder / "masks.npy", folder / "p.npy"
    plain = InputSpec(spec.paths, task="segmentation")
    apply(str(folder / "c.json"), plain, str(probabilities))
    apply(str(folder / "c.json"), plain, str(out), thresholds=str(folder / "t.json"))
    artifact = json.loads((folder / "t.json").read_text())
    p = load(folder / "c.json").apply(np.load(spec.paths[0]).transpose(0, 2, 3, 1).reshape(-1, 3))
    p = p.reshape(*labels.shape, 3)
    written = np.load(probabilities)
    assert written.dtype == np.float32
    assert np.array_equal(written, p.transpose(0, 3, 1, 2).astype(np.float32))
    masks = np.load(out)
    assert masks.dtype == np.uint8
    items = artifact["thresholds"]
    for image in range(len(labels)):
        claims = {
            k: cleaned(p[image, :, :, k] >= one["threshold"], one["min_area"], one["fill_holes"], 8)
            for k, one in enumerate(items)
            if one["threshold"] is not None
        }
        for r, c in np.ndindex(*labels.shape[1:]):
            mine = {k: p[image, r, c, k] / items[k]["threshold"] for k in claims if claims[k][r, c]}
            wanted = max(mine, key=lambda k: (mine[k], -k)) if mine else 0  # a is background
            assert masks[image, r, c] == wanted
    for k, told in enumerate(artifact["regions"]["together"]):
        tp, fp, fn = counts(masks == k, labels == k).sum(axis=0)
        assert (told["tp"], told["fp"], told["fn"]) == (tp, fp, fn)


def test_rows_have_no_regions(three, tmp_path):
    folder, _, _ = three
    with pytest.raises(InputError, match="regions of images"):
        load(folder / "t.json").decide(np.full((2, 3), 1 / 3))
    (tmp_path / "rows.csv").write_text("p_a,p_b,p_c\n.2,.3,.5\n")
    rows = InputSpec((str(tmp_path / "rows.csv"),), scores=("p_a", "p_b", "p_c"))
    with pytest.raises(InputError, match="regions of images"):
        apply(
            str(folder / "c.json"),
            rows,
            str(tmp_path / "out.csv"),
            thresholds=str(folder / "t.json"),
        )


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_probabilities_keep_the_layout(three, tmp_path, layout, dtype):
    folder, spec, _ = three
    p = np.load(spec.paths[0])
    scores = np.round(p * 255).astype(np.uint8) if dtype == np.uint8 else p.astype(dtype)
    if layout == "NHWC":
        scores = np.ascontiguousarray(scores.transpose(0, 2, 3, 1))
    np.save(tmp_path / "s.npy", scores)
    plain = InputSpec(
        (str(tmp_path / "s.npy"),),
        task="segmentation",
        layout=layout,
        scale=255 if dtype == np.uint8 else None,
    )
    apply(str(folder / "c.json"), plain, str(tmp_path / "out.npy"))
    made = np.load(tmp_path / "out.npy")
    assert made.shape == scores.shape
    assert made.dtype == (np.float32 if dtype == np.uint8 else dtype)
    axis = 1 if layout == "NCHW" else 3
    values = np.moveaxis(scores, axis, -1).reshape(-1, 3) / (255 if dtype == np.uint8 else 1)
    wanted = load(folder / "c.json").apply(values).astype(made.dtype)
    assert np.array_equal(np.moveaxis(made, axis, -1).reshape(-1, 3), wanted)


def test_files_of_one_image_go_to_a_folder(three, tmp_path):
    folder, spec, _ = three
    p = np.load(spec.paths[0])
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for i, image in enumerate(p):
        np.save(tmp_path / "in" / f"{i}.npy", image)
    plain = InputSpec((str(tmp_path / "in" / "*.npy"),), task="segmentation")
    apply(str(folder / "c.json"), plain, str(tmp_path / "out"))
    apply(
        str(folder / "c.json"), InputSpec(spec.paths, task="segmentation"), str(tmp_path / "a.npy")
    )
    whole = np.load(tmp_path / "a.npy")
    for i in range(len(p)):
        assert np.array_equal(np.load(tmp_path / "out" / f"{i}.npy"), whole[i])
    with pytest.raises(UsageError, match="need a folder"):
        apply(str(folder / "c.json"), plain, str(tmp_path / "one.npy"))
    with pytest.raises(InputError, match="is an input of this run"):
        apply(str(folder / "c.json"), plain, str(tmp_path / "in"))


def test_a_failure_leaves_the_old_output_whole(three, tmp_path):
    folder, spec, _ = three
    p = np.load(spec.paths[0])
    p[-1, 0, 0, 0] = np.nan
    np.save(tmp_path / "s.npy", p)
    out = tmp_path / "out.npy"
    out.write_bytes(b"old")
    plain = InputSpec((str(tmp_path / "s.npy"),), task="segmentation")
    with pytest.raises(InputError, match="no score"):
        apply(str(folder / "c.json"), plain, str(out))
    assert out.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_other_classes_than_the_calibrator_s_are_refused(three, tmp_path):
    folder, _, _ = three
    np.save(tmp_path / "two.npy", np.full((1, 2, 4, 4), 0.5, np.float32))
    plain = InputSpec((str(tmp_path / "two.npy"),), task="segmentation")
    with pytest.raises(InputError, match="3 scores a pixel"):
        apply(str(folder / "c.json"), plain, str(tmp_path / "out.npy"))
