from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibcli.errors import InputError
from calibcli.io.formats.npy import open_npy
from calibcli.io.formats.source import Source


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    array=hnp.arrays(
        st.sampled_from(["<f2", "<f4", "<f8", ">f4", ">f8", "i1", "<i8", ">i2", "u1", "?"]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
    ),
    fortran=st.booleans(),
)
def test_open_npy_reads_what_numpy_wrote(array, fortran, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.asfortranarray(array) if fortran else array)
    found = open_npy(Source(str(path), "npy"))
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, array)
    in_memory = open_npy(Source("-", "npy", data=path.read_bytes()))
    np.testing.assert_array_equal(in_memory, array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_of_the_header(version, tmp_path):
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(3.0), version=version)
    np.testing.assert_array_equal(open_npy(Source(str(tmp_path / "x.npy"), "npy")), [0, 1, 2])


def test_python_2_header(tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L), }\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "x.npy").write_bytes(content + np.zeros(2, "<f4").tobytes())
    assert open_npy(Source(str(tmp_path / "x.npy"), "npy")).shape == (2, 1)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2", "i4", "?", "g"])
def test_scores_of_any_numeric_type(dtype, tmp_path, read):
    values = np.array([0, 1, 1, 0], dtype=dtype)
    np.save(tmp_path / "x.npy", values)
    rows = read(tmp_path / "x.npy", need_labels=False)
    assert rows.scores.dtype.kind == "f"
    assert rows.scores.dtype.isnative
    np.testing.assert_array_equal(rows.scores, [0, 1, 1, 0])


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_either_order(order, tmp_path, read):
    z = np.asarray(np.random.default_rng(1).normal(size=(500, 7)), order=order)
    np.save(tmp_path / "z.npy", z)
    np.savez_compressed(tmp_path / "z.npz", logits=z)
    for name in ("z.npy", "z.npz"):
        rows = read(tmp_path / name, need_labels=False)
        assert rows.scores.flags.c_contiguous
        np.testing.assert_array_equal(rows.scores, z)


def test_one_column_is_one_score(tmp_path, opened):
    np.save(tmp_path / "p.npy", np.array([[0.25], [0.5]]))
    np.save(tmp_path / "y.npy", np.array([[1], [0]]))
    data = opened(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"))
    (batch,) = data.batches()
    assert (data.task, batch.scores.shape, batch.labels.tolist()) == ("binary", (2,), [1, 0])


def test_partitions_of_about_a_million_rows(tmp_path, opened):
    np.save(tmp_path / "p.npy", np.zeros(2_200_000, dtype=np.float16))
    data = opened(tmp_path / "p.npy", need_labels=False)
    assert [p.rows for p in data.partitions] == [2**20, 2**20, 2_200_000 - 2**21]
    assert next(data.partitions[1].batches()).first_row == 2**20


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_arrays_of_an_npz_are_columns(save, tmp_path, read):
    n = 300_000
    rng = np.random.default_rng(0)
    score, label, camera = rng.random(n), rng.integers(0, 2, n), rng.integers(0, 3, n)
    names = np.array(["front", "rear"])
    save(tmp_path / "x.npz", score=score, y=label, camera=names[camera % 2], names=names)
    rows = read(tmp_path / "x.npz", groups=("camera",), cluster="camera")
    np.testing.assert_array_equal(rows.scores, score)
    np.testing.assert_array_equal(rows.labels, label)
    assert rows.groups[0][:100] == names[camera % 2][:100].tolist()
    with pytest.raises(InputError, match=r"no column 'truth' .*--label"):
        read(tmp_path / "x.npz", label="truth")


def test_npy_needs_no_pyarrow(tmp_path):
    np.save(tmp_path / "p.npy", np.zeros(5))
    np.save(tmp_path / "y.npy", np.zeros(5))
    code = f"""
import sys
from calibcli.io.rows.dataset import InputSpec, open_dataset
data = open_dataset(InputSpec(({str(tmp_path / "p.npy")!r},), labels={str(tmp_path / "y.npy")!r}))
heavy = ("pyarrow", "pandas", "zipfile")
print(sum(map(len, data.batches())), [m for m in heavy if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"5 []\n"
