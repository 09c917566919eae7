from __future__ import annotations

import pytest

from calibcli.errors import InputError
from calibcli.io.artifacts.matrices import read_matrix


@pytest.fixture
def read(tmp_path):
    def run(text, classes=("a", "b")):
        path = tmp_path / "costs"
        path.write_text(text, encoding="utf-8")
        return read_matrix(str(path), classes)

    return run


def test_names_are_found_where_there_are_names(read):
    assert read("0,1\n2,0\n") == read("[[0, 1], [2, 0]]")
    named = read(",a,b\na,0,1\nb,2,0\n")
    assert (named.values, named.rows, named.columns) == ([[0, 1], [2, 0]], ["a", "b"], ["a", "b"])
    assert read("a,b\n0,1\n2,0\n").rows is None
    refer = read("a,b,refer\n0,1,.5\n2,0,.5\n")
    assert (refer.rows, refer.columns) == (None, ["a", "b", "refer"])
    assert read("a,0,1\nb,2,0\n").rows == ["a", "b"]
    assert read('{"rows": ["b", "a"], "values": [[0, 2], [1, 0]]}').rows == ["b", "a"]


def test_classes_that_are_numbers_are_names_in_a_heading(read):
    found = read("true,1,0\n1,0,7\n0,3,0\n", ("0", "1"))
    assert (found.values, found.rows, found.columns) == ([[0, 7], [3, 0]], ["1", "0"], ["1", "0"])


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "{", "0,x\n1,0\n", "0,1\n1\n", "[[0, null], [1, 0]]", "a,a\n0,1\n1,0\n"]
)
def test_what_is_no_matrix_is_refused(read, text):
    with pytest.raises(InputError, match="costs"):
        read(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        read_matrix(str(tmp_path / "nowhere.csv"), ("a", "b"))
