"""Volumes: what their voxels say is what the slices, one below the other, say as images."""

from __future__ import annotations

import json

import numpy as np
import pytest

N, K, D, H, W = 6, 3, 4, 5, 7


@pytest.fixture
def volumes():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(K), (N, D, H, W)).astype(np.float32)
    labels = (scores.cumsum(-1) < rng.random((N, D, H, W, 1))).sum(-1).clip(0, K - 1)
    return np.ascontiguousarray(np.moveaxis(scores, -1, 1)), labels


def figures(ran):
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    return found["overall"], found["classes"], found["segmentation"]


def run(calibcli, command, folder, scores, labels, *more):
    np.save(folder / "s.npy", scores)
    np.save(folder / "y.npy", labels)
    return calibcli(
        command, folder / "s.npy", "--labels", folder / "y.npy", "--task", "segmentation", *more
    )


@pytest.mark.parametrize("form", ["NCHW", "NHWC", "fortran", "npz", "one plane", "one"])
def test_a_volume_is_its_slices(form, volumes, calibcli, tmp_path):
    scores, labels = volumes
    if form == "one plane":
        scores, labels = scores[:, :1], (labels == 0).astype(int)
    if form == "one":
        scores, labels = scores[:1], labels[:1]
    flat = scores.reshape(*scores.shape[:2], D * H, W), labels.reshape(len(labels), D * H, W)
    wanted = figures(run(calibcli, "measure", tmp_path, *flat, "--format", "json"))
    more = ("--format", "json")
    if form == "NHWC":
        scores, more = np.ascontiguousarray(np.moveaxis(scores, 1, -1)), (*more, "--layout", form)
    if form == "fortran":
        scores = np.asfortranarray(scores)
    if form == "one":
        scores, labels, more = scores[0], labels[0], (*more, "--layout", "CDHW")
    if form == "npz":
        np.savez(tmp_path / "s.npz", probabilities=scores, labels=labels)
        ran = calibcli("measure", tmp_path / "s.npz", "--task", "segmentation", *more)
    else:
        ran = run(calibcli, "measure", tmp_path, scores, labels, *more)
    found = figures(ran)
    if form == "one":  # it is known by the file's name, so its bucket is another
        assert found[0]["metrics"]["ece"]["value"] == wanted[0]["metrics"]["ece"]["value"]
    else:
        assert found == wanted


def test_what_is_written_has_the_axes_of_the_scores(volumes, calibcli, tmp_path):
    scores, labels = volumes
    cal, cut = tmp_path / "c.json", tmp_path / "t.json"
    fit = ("--method", "temperature", "-o", cal)
    assert run(calibcli, "fit", tmp_path, scores, labels, *fit).code == 0
    chosen = ("--calibrator", cal, "--maximize", "dice", "-o", cut)
    assert run(calibcli, "threshold", tmp_path, scores, labels, *chosen).code == 0
    given = ("apply", cal, tmp_path / "s.npy", "--task", "segmentation")
    assert calibcli(*given, "-o", tmp_path / "p.npy").code == 0
    p = np.load(tmp_path / "p.npy")
    assert p.shape == scores.shape
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-5)
    assert calibcli(*given, "--thresholds", cut, "-o", tmp_path / "m.npy").code == 0
    assert np.load(tmp_path / "m.npy").shape in (labels.shape, scores.shape)


def test_regions_are_of_flat_images(volumes, calibcli, tmp_path):
    more = ("--maximize", "dice", "--search", "min-area=0,4", "-o", tmp_path / "t.json")
    ran = run(calibcli, "threshold", tmp_path, *volumes, *more)
    assert (ran.code, "these are volumes" in ran.err) == (2, True)


def test_a_voxel_is_named_by_its_axes(volumes, calibcli, tmp_path):
    scores, labels = volumes
    scores[2, 1, 3, 4, 5] = np.nan
    ran = run(calibcli, "measure", tmp_path, scores, labels)
    assert (ran.code, "[2, 3, 4, 5]" in ran.err) == (3, True)
    ran = run(calibcli, "measure", tmp_path, scores, labels[:, :2])
    assert (ran.code, "(N, K, D, H, W)" in ran.err) == (3, True)
