from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.io.rows import hashing
from calibcli.io.rows.hashing import file_digest, ids

INT64 = st.integers(-(2**63), 2**63 - 1)


def hashes(raw):
    found, missing = ids(raw)
    assert found.dtype == np.uint64
    assert not missing.any()
    return found.tolist()


@given(st.lists(INT64, min_size=1, max_size=20))
def test_an_integer_and_its_text_hash_equally(values):
    text = pa.array([str(v) for v in values])
    expected = hashes(pa.array(values, pa.int64()))
    assert hashes(np.array(values, dtype=np.int64)) == expected
    assert hashes(text) == expected
    assert hashes(text.cast(pa.large_string())) == expected
    assert hashes(text.dictionary_encode()) == expected
    assert hashes(np.array([str(v) for v in values])) == expected


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=20))
def test_a_text_hashes_equally_alone_and_among_others(texts):
    together = hashes(pa.array(texts))
    assert together == [hashes(pa.array([text]))[0] for text in texts]
    assert together == hashes(pa.array(["x", *texts, "y"]).slice(1, len(texts)))
    assert (len(set(together))) == len(set(texts))


def test_texts_that_are_no_plain_integers_are_ids_of_their_own():
    texts = ["7", "007", "+7", "7.0", "-7", "-0", "0", "", " 7", "7 ", "\u0667", "1e3", "1000",
             "9223372036854775807", "9223372036854775808", "-9223372036854775808",
             "-9223372036854775809", "18446744073709551615", "99999999999999999999999"]  # fmt: skip
    found, _ = ids(pa.array(texts))
    assert len(set(found.tolist())) == len(texts)


def test_small_and_unsigned_types_hash_as_the_number():
    expected = hashes(pa.array([0, 5, 200]))
    for dtype in ("uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float64"):
        assert hashes(pa.array(np.array([0, 5, 200], dtype=dtype))) == expected
    big = pa.array(np.array([2**64 - 1], dtype=np.uint64))
    assert hashes(big) == hashes(pa.array([str(2**64 - 1)]))


def test_missing_ids_are_told():
    for raw in (
        pa.array(["a", None, ""]),
        pa.array(["a", None, ""]).dictionary_encode(),
        pa.array([1.0, None, np.nan]),
    ):
        assert ids(raw)[1].tolist() == [False, True, True]
    assert ids(pa.array([1, None, 3]))[1].tolist() == [False, True, False]


@pytest.mark.slow
def test_no_collision_among_many_ids():
    n = 300_000
    texts = pa.array([f"patient-{i:07d}/visit{i % 10}" for i in range(n)])
    assert np.unique(ids(texts)[0]).size == n
    assert np.unique(ids(pa.array(np.arange(n)))[0]).size == n


def test_hashes_are_spread_evenly():
    # 64 buckets by the top bits: chi-square with 63 degrees of freedom, 99.99% quantile 119.
    for raw in (pa.array(np.arange(64_000)), pa.array([f"s{i}" for i in range(64_000)])):
        found = ids(raw)[0]
        for bits in (found >> np.uint64(58), found % np.uint64(64)):
            counts = np.bincount(bits.astype(int), minlength=64)
            assert ((counts - 1_000) ** 2 / 1_000).sum() < 119


def test_hashes_are_the_same_in_every_process():
    code = (
        "import pyarrow as pa; from calibcli.io.rows.hashing import ids; "
        "print(*ids(pa.array(['a', '7', 'é', 'patient 12']))[0])"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    # SplitMix64 of 7, by the reference implementation of its authors in C.
    assert ids(np.array([0]))[0][0] == 0xE220A8397B1DCDAF


class TestFileDigest:
    def test_the_name_does_not_matter(self, tmp_path):
        (tmp_path / "a").write_bytes(b"abc")
        (tmp_path / "b").write_bytes(b"abc")
        expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert file_digest(str(tmp_path / "a")) == file_digest(str(tmp_path / "b")) == expected

    def test_large_files_are_sampled(self, tmp_path, monkeypatch):
        monkeypatch.setattr(hashing, "FULL_DIGEST", 1_000)
        monkeypatch.setattr(hashing, "_BLOCK", 10)
        content = bytearray(range(256)) * 10
        path = tmp_path / "x"

        def digest():
            path.write_bytes(content)
            return file_digest(str(path))

        first = digest()
        assert first.startswith("sha256-sampled:")
        for at in (0, 1_278, len(content) - 1):
            content[at] ^= 1
            assert digest() != first
            content[at] ^= 1
        assert digest() == first
        content.append(0)
        assert digest() != first

    @pytest.mark.parametrize("size", [0, 1, 2**20 + 1])
    def test_every_byte_of_a_small_file_counts(self, size, tmp_path):
        (tmp_path / "x").write_bytes(b"\0" * size)
        (tmp_path / "y").write_bytes(b"\0" * size + b"\1")
        assert file_digest(str(tmp_path / "x")) != file_digest(str(tmp_path / "y"))
