"""Files made to do harm: an answer, or one line and exit code 3, in bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from calibcli.errors import InputError
from calibcli.io.formats.source import Source
from calibcli.io.rows.dataset import InputSpec, open_dataset

ADDRESSES = 3 * 2**30
"""Bytes of addresses that a run gets; a third of it is taken by the libraries alone."""


@pytest.fixture
def bounded(tmp_path):
    """Run the program with little memory; nothing may appear beside the files that are there."""

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        ran = subprocess.run(
            [sys.executable, "-m", "calibcli", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
        )
        assert sorted(tmp_path.rglob("*")) == before
        assert "Traceback" not in ran.stderr
        return ran

    return run


def refused(ran, said):
    assert (ran.returncode, ran.stdout) == (3, "")
    assert len(ran.stderr.splitlines()) == 3, ran.stderr
    assert said in ran.stderr


# -- a few kilobytes that become hundreds of megabytes ---------------------------------------------


@pytest.mark.parametrize(
    ("head", "filling", "said"),
    [
        (b"", b"\0", "not UTF-8 text"),
        (b"", b"a", "its first line is longer"),
        (b'"score', b"a\n", "its first line is longer"),
        (b'score,label\n0.5,1\n0.5,"', b"a", "a row of more than 4 MB"),
        (b"score,label\n0.5,1\n", b"1,", "a row of more than 4 MB"),
    ],
)
def test_compressed_csv(bounded, tmp_path, head, filling, said):
    block = filling * (2**24 // len(filling))
    with gzip.open(tmp_path / "x.csv.gz", "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(8):
            file.write(block)
    assert (tmp_path / "x.csv.gz").stat().st_size < 2**23
    refused(bounded("measure", "x.csv.gz"), said)


@pytest.mark.slow
def test_an_npz_of_a_row_of_millions(bounded, tmp_path):
    out = io.BytesIO()
    np.save(out, np.zeros((1, 2**21)))
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", out.getvalue())
        archive.writestr(
            "label.npy", out.getvalue()[:128].replace(b"(1, 2097152)", b"(1,        )")
        )
    assert bounded("measure", "x.npz").returncode == 3
    np.savez_compressed(tmp_path / "y.npz", scores=np.zeros((1, 2**21)), label=np.zeros(1, int))
    (tmp_path / "x.npz").unlink()
    refused(bounded("measure", "y.npz"), "2,097,152 scores in each row, more than 1,000,000")


def test_parquet_of_millions_of_equal_rows(tmp_path, bounded):
    """It is kilobytes long and valid, so it is read, in the memory of one batch."""
    rows = 2**22
    table = pa.table({"score": np.full(rows, 0.5, np.float32), "label": np.zeros(rows, np.int8)})
    parquet.write_table(table, tmp_path / "x.parquet", row_group_size=rows)
    assert (tmp_path / "x.parquet").stat().st_size < 2**20
    ran = bounded("measure", "x.parquet", "--no-ci", "--format", "json")
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["overall"]["metrics"]["n"]["value"] == rows


# -- too many, too deep ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "said"), [(10_000_000, "its first line is longer"), (200_000, "100,000 columns")]
)
def test_csv_of_many_columns(bounded, tmp_path, columns, said):
    line = ",".join(["c"] * columns)
    (tmp_path / "x.csv").write_text(f"{line}\n{line}\n")
    refused(bounded("measure", "x.csv"), said)


def test_a_row_of_many_values(bounded, tmp_path):
    (tmp_path / "x.csv").write_text("score,label\n" + "1," * 10_000_000 + "\n")
    refused(bounded("measure", "x.csv"), "a row of more than 4 MB")


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"a":' * 500_000,
        "[" * 100_000 + "]" * 100_000,
        '{"schema": "calibcli/stats", "a": ' + "[" * 900 + "]" * 900 + "}",
        '{"images": [], "annotations": [{"id": ' + "9" * 1_000_000 + "}]}",
        "[" + "[]," * 200_000 + "[]]",
        '[{"image_id": 1, "category_id": 1, "bbox": [1e999, 1, 1, 1], "score": 1e999}]',
    ],
    ids=["lists", "objects", "closed", "valid", "digits", "wide", "infinite"],
)
def test_json_of_any_depth(calibcli, scores, tmp_path, text):
    path = tmp_path / "deep.json"
    path.write_text(text)
    for command in (
        ("measure", path),
        ("measure", path, "--task", "detection", "--ground-truth", path),
        ("measure", scores, "--calibrator", path),
        ("measure", scores, "--thresholds", path),
        ("measure", scores, "--reference", path),
        ("threshold", scores, "--cost-matrix", path),
        ("apply", path, scores, "-o", tmp_path / "out.csv"),
    ):
        ran = calibcli(*command)
        assert (ran.code, ran.out) == (3, ""), command
        assert len(ran.err.splitlines()) == 3
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_a_file_without_end(calibcli, tmp_path):
    for device in ("/dev/zero", "/dev/urandom"):
        for arguments in (("measure", device), ("measure", device, "--labels", device)):
            ran = calibcli(*arguments)
            assert ran.code == 3
            assert "is a device" in ran.err
    assert "is empty" in calibcli("measure", "/dev/null").err


# -- damage ---------------------------------------------------------------------------------------


def written(kind, folder, binary):
    """Write the binary rows as a kind of file; return its path and the options to read it."""
    table, path = pa.table(binary), folder / f"x.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path, row_group_size=100)
    elif kind in ("arrow", "arrows"):
        make = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
        with path.open("wb") as file, make(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
    elif kind == "npy":
        np.save(path, binary["score"])
        np.save(folder / "labels.npy", binary["label"])
        return path, ("--labels", folder / "labels.npy")
    elif kind == "npz":
        np.savez_compressed(path, score=binary["score"], label=binary["label"])
    else:
        text = "score,label\n" + "".join(
            f"{s},{y}\n" for s, y in zip(binary["score"], binary["label"], strict=True)
        )
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path, ()


@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrows", "npy", "npz", "csv.gz"])
def test_the_beginning_of_a_file_is_no_file(calibcli, tmp_path, binary, kind):
    path, options = written(kind, tmp_path, binary)
    whole = path.read_bytes()
    assert calibcli("measure", path, *options, "--no-ci").code == 0
    for cut in np.unique(np.linspace(0, len(whole) - 1, 15).astype(int)).tolist():
        path.write_bytes(whole[:cut])
        ran = calibcli("measure", path, *options, "--no-ci")
        # A stream of Arrow may end after any of its messages: only its last bytes say that it does.
        assert ran.code == 3 or (kind == "arrows" and ran.code == 0), cut
        assert len(ran.err.splitlines()) in (0, 3)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_bit_turned_anywhere(kind, tmp_path):
    table = {"score": [0.1, 0.9, 0.5], "label": [0, 1, 1], "camera": ["a", "b", "a"]}
    path, _ = written(kind, tmp_path, table)
    whole = path.read_bytes()
    for at in range(len(whole)):
        turned = bytearray(whole)
        turned[at] ^= 2
        source = Source("x", kind, data=bytes(turned))
        spec = InputSpec(("x",), groups=("camera",), logits=True)
        with contextlib.suppress(InputError):
            for batch in open_dataset(spec, sources=[source]).batches():
                assert len(batch) <= 3


def test_numbers_edited_by_hand_are_refused(calibcli, scores, calibrator, tmp_path):
    cuts, stats = tmp_path / "t.json", tmp_path / "s.json"
    assert calibcli("threshold", scores, "-o", cuts).code == 0
    assert calibcli("measure", scores, "--save-stats", stats).code == 0
    uses = {
        calibrator: [
            ("measure", scores, "--calibrator", calibrator),
            ("measure", scores, "--reference", calibrator),
            ("apply", calibrator, scores, "-o", tmp_path / "out.csv"),
            ("apply", calibrator, "--emit", "sql"),
            ("report", scores, "--calibrator", calibrator, "-o", tmp_path / "out.html"),
        ],
        cuts: [("measure", scores, "--thresholds", cuts)],
        stats: [("measure", stats), ("measure", scores, "--reference", stats)],
    }
    for path, commands in uses.items():
        text = path.read_text()
        value = json.loads(text)
        value["rows" if "rows" in value else "logits"] = 7 if "rows" in value else True
        path.write_text(json.dumps(value))
        for command in commands:
            ran = calibcli(*command)
            assert (ran.code, ran.out) == (3, ""), command
            assert "its digest does not match" in ran.err
        path.write_text(text)
    assert not list(tmp_path.glob("out.*"))


def test_an_artifact_without_its_digest_explains_what_fails(calibcli, scores, calibrator):
    value = json.loads(calibrator.read_text())
    del value["digest"]
    value["before"] = {"metrics": {"ece": {"value": "many"}}}
    calibrator.write_text(json.dumps(value))
    ran = calibcli("report", scores, "--calibrator", calibrator, "--format", "md")
    assert ran.code in (0, 3)
    value["candidates"] = [{"method": "platt", "score": []}]
    calibrator.write_text(json.dumps(value))
    ran = calibcli("report", scores, "--calibrator", calibrator, "--format", "md")
    assert ran.code == 3
    assert "candidates[0].score" in ran.err


# -- outputs that are not what they seem ----------------------------------------------------------


def test_links_as_outputs(calibcli, scores, tmp_path):
    """A link is followed, and stays; one that leads to the input, or nowhere, changes nothing."""
    content = scores.read_bytes()
    (tmp_path / "to_input").symlink_to(scores)
    assert calibcli("measure", scores, "-o", tmp_path / "to_input").code == 3
    (tmp_path / "hard").hardlink_to(scores)
    assert calibcli("measure", scores, "-o", tmp_path / "hard").code == 3
    assert scores.read_bytes() == content
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    assert calibcli("measure", scores, "-o", tmp_path / "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert "ECE" in (tmp_path / "target").read_text()
    before = sorted(os.listdir(tmp_path))  # noqa: PTH208
    for output in ("target/below", "no/such", "."):
        ran = calibcli("measure", scores, "-o", tmp_path / output)
        assert (ran.code, ran.out) == (3, ""), output
    assert sorted(os.listdir(tmp_path)) == before  # noqa: PTH208


def test_what_fails_on_an_edited_artifact_is_no_bug(calibcli, scores, calibrator, monkeypatch):
    def fail(*_, **__):
        raise KeyError("pairs")

    whole = calibrator.read_text()
    monkeypatch.setattr("calibcli.workflows.measure.measure.measured", fail)
    assert calibcli("measure", scores, "--calibrator", calibrator).code == 4
    value = json.loads(whole)
    del value["digest"]
    calibrator.write_text(json.dumps(value))
    ran = calibcli("measure", scores, "--calibrator", calibrator)
    assert ran.code == 3
    assert "has no digest" in ran.err
    # Of this run, not of one before it.
    calibrator.write_text(whole)
    assert calibcli("measure", scores, "--calibrator", calibrator).code == 4
