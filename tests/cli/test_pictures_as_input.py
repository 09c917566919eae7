"""PNG, TIFF, JPEG and NIfTI give the figures of the arrays that they hold."""

from __future__ import annotations

import sys

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
nibabel = pytest.importorskip("nibabel")
N, H, W = 6, 9, 11


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (N, H, W)).astype(np.uint8)
    return levels, (rng.random((N, H, W)) < levels / 255).astype(np.uint8)


@pytest.fixture
def overall(good):
    def run(*arguments):
        ran = good("measure", *arguments, "--task", "segmentation", "--quiet", "--format", "json")
        return ran.json["overall"]["metrics"]

    return run


@pytest.fixture
def wanted(maps, overall, tmp_path):
    levels, masks = maps
    for part, arrays in (("maps", levels), ("masks", masks)):
        (tmp_path / "npy" / part).mkdir(parents=True)
        for i, array in enumerate(arrays):
            np.save(tmp_path / "npy" / part / f"{i}.npy", array)
    folder = tmp_path / "npy"
    return overall(f"{folder}/maps/*.npy", "--labels", f"{folder}/masks/*.npy", "--scale", 255)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_picture_an_image(suffix, maps, wanted, overall, tmp_path):
    levels, masks = maps
    for i in range(N):
        Image.fromarray(levels[i]).save(tmp_path / f"{i}.{suffix}")
        Image.fromarray(masks[i] * 255).save(tmp_path / f"{i}.mask.png")
    scores, labels = f"{tmp_path}/[0-9].{suffix}", f"{tmp_path}/npy/masks/*.npy"
    assert overall(scores, "--labels", labels, "--scale", 255) == wanted
    scores, labels = f"{tmp_path}/{{id}}.{suffix}", f"{tmp_path}/{{id}}.mask.png"
    if suffix == "tif":  # {id} of the maps would match the masks as well
        found = overall(scores, "--labels", labels, "--scale", 255, "--positive", 255)
        assert found == wanted


def test_files_are_matched_by_a_key(maps, wanted, overall, calibcli, tmp_path):
    levels, masks = maps
    for i in range(N):
        np.save(tmp_path / f"case_{i}_prob.npy", levels[i])
        Image.fromarray(masks[i] > 0).save(tmp_path / f"{i}_seg.png")
    given = (f"{tmp_path}/case_{{id}}_prob.npy", "--scale", 255)
    labels = ("--labels", f"{tmp_path}/{{id}}_seg.png")
    assert overall(*given, *labels) == wanted
    (tmp_path / "0_seg.png").rename(tmp_path / "other_seg.png")
    ran = calibcli("measure", *given, *labels, "--task", "segmentation")
    assert (ran.code, "no labels of the same name: 0" in ran.err) == (3, True)


def test_pages_of_a_tiff_are_images_of_a_stack(maps, overall, tmp_path):
    levels, masks = maps
    np.save(tmp_path / "p.npy", levels)
    np.save(tmp_path / "y.npy", masks)
    wanted = overall(tmp_path / "p.npy", "--labels", tmp_path / "y.npy", "--scale", 255)
    for name, arrays in (("p.tif", levels), ("y.tif", masks)):
        first, *rest = map(Image.fromarray, arrays)
        first.save(tmp_path / name, save_all=True, append_images=rest)
    found = overall(tmp_path / "p.tif", "--labels", tmp_path / "y.tif", "--scale", 255)
    assert found == wanted


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("classes", [1, 3])
def test_volumes_of_nifti(suffix, classes, overall, tmp_path):
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), (4, 5, 6)).astype(np.float32)
    truth = (p.cumsum(-1) < rng.random((4, 5, 6, 1))).sum(-1).clip(0, 2).astype(np.uint8)
    if classes == 1:
        p, truth = p[..., 0], (truth == 0).astype(np.uint8)
    np.save(tmp_path / "p.npy", np.moveaxis(p, -1, 0) if classes == 3 else p[None])
    np.save(tmp_path / "y.npy", truth)
    options = ("--layout", "CDHW")
    wanted = overall(tmp_path / "p.npy", "--labels", tmp_path / "y.npy", *options)
    for name, array in (("p", p), ("y", truth)):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.{suffix}")
    found = overall(tmp_path / f"p.{suffix}", "--labels", tmp_path / f"y.{suffix}")
    assert found == wanted


def test_what_is_no_mask(maps, calibcli, tmp_path):
    levels, masks = maps
    np.save(tmp_path / "p.npy", levels[0])
    given = ("measure", tmp_path / "p.npy", "--scale", 255, "--task", "segmentation", "--labels")
    Image.fromarray(np.stack([masks[0]] * 3, axis=-1)).save(tmp_path / "colour.png")
    ran = calibcli(*given, tmp_path / "colour.png")
    assert (ran.code, "has colours (RGB)" in ran.err) == (3, True)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert calibcli(*given, tmp_path / "broken.png").code == 3
    (tmp_path / "broken.nii").write_bytes(b"nothing")
    assert calibcli(*given, tmp_path / "broken.nii").code == 3
    ran = calibcli("measure", tmp_path / "colour.png")
    assert (ran.code, "--task segmentation" in ran.err) == (3, True)


def test_without_the_libraries(maps, calibcli, tmp_path, monkeypatch):
    np.save(tmp_path / "p.npy", maps[0][0])
    Image.fromarray(maps[1][0]).save(tmp_path / "y.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    ran = calibcli("measure", tmp_path / "p.npy", "--scale", 255, "--task", "segmentation",
                   "--labels", tmp_path / "y.png")  # fmt: skip
    assert (ran.code, "calibcli[images]" in ran.err) == (3, True)
