from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.io.rows.labels.coders import (
    MISSING,
    UNKNOWN,
    BinaryCoder,
    ClassCoder,
    Seen,
    same_value,
)


def binary(values, positive=None):
    return BinaryCoder(positive).encode(values, Seen()).tolist()


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 0, 1], dtype=np.uint8),
        np.array([1, 0, 1], dtype=np.int64),
        np.array([1.0, 0.0, 1.0], dtype=np.float32),
        np.array([True, False, True]),
        np.array([1, -1, 1]),
        np.array([1.0, -1.0, 1.0]),
        np.array(["1", "0", "1"]),
        np.array(["1.0", "0.0", "1"]),
        np.array(["True", "False", "true"]),
        np.array([b"1", b"-1", b"+1"]),
        pa.array([1, 0, 1]),
        pa.array([1, -1, 1], pa.int8()),
        pa.array([True, False, True]),
        pa.array([1.0, 0.0, 1.0]),
        pa.array(["1", "-1", "1"]),
        pa.array(["1", "0", "1"]).dictionary_encode(),
        pa.array([0, 1, 0, 1, 0], pa.int64()).slice(1, 3),
        pa.array([False, True, False, True, False]).slice(1, 3),
    ],
    ids=str,
)
def test_labels_understood_without_being_told(values):
    assert binary(values) == [1, 0, 1]


def test_missing_and_unknown_are_told_apart():
    assert binary(pa.array(["1", "", None, "NaN", "x", "2", "yes"])) == [1, -1, -1, -1, -2, -2, -2]
    assert binary(pa.array([1, None, 3])) == [1, MISSING, UNKNOWN]
    assert binary(np.array([1.0, np.nan, 0.5])) == [1, MISSING, UNKNOWN]


@pytest.mark.parametrize(
    ("value", "wanted", "same"),
    [
        ("cat", "cat", True),
        ("Cat", "cat", False),
        (1, "1", True),
        (1.0, "1", True),
        ("1.0", "1", True),
        ("01", "1", False),
        ("00123", "123", False),
        (123, "00123", False),
        (2**53 + 1, "9007199254740992", False),
        (2**53 + 1, "9007199254740993", True),
        ("9007199254740993", "9007199254740992", False),
        ("9007199254740993.0", "9007199254740993", False),
        (True, "true", True),
        (True, "True", True),
        (True, "1", True),
        (False, "0", True),
        ("true", "1", False),
        (2, "1", False),
        (None, "None", False),
        (" 1", "1", False),
    ],
)
def test_the_value_that_an_option_names(value, wanted, same):
    assert same_value(value, wanted) is same


def test_with_a_positive_label_all_others_are_zero():
    assert binary(pa.array(["a", "b", "c", None]), "b") == [0, 1, 0, MISSING]
    assert binary(np.array([0, 1, 2]), "0") == [1, 0, 0]
    assert binary(pa.array(["", "NA", "x"]), "NA") == [MISSING, 1, 0]


def multiclass(values, *classes):
    return ClassCoder(classes).encode(values, Seen()).tolist()


def test_names_match_first_then_codes():
    assert multiclass(pa.array(["dog", "cat"]), "cat", "dog") == [1, 0]
    assert multiclass(np.array([1, 0]), "cat", "dog") == [1, 0]
    assert multiclass(pa.array(["1", "0", "1.0", "dog"]), "cat", "dog") == [1, 0, 1, 1]
    assert multiclass(pa.array([1.0, 0.0, None]), "cat", "dog") == [1, 0, MISSING]


def test_where_a_name_is_an_integer_labels_are_names_only():
    assert multiclass(np.array([1, 2, 3]), "1", "2", "3") == [0, 1, 2]
    assert multiclass(np.array([0, 1]), "1", "2", "3") == [UNKNOWN, 0]
    assert multiclass(pa.array(["0", "a"]), "1", "a") == [UNKNOWN, 1]


def test_whole_numbers_are_compared_whole_and_codes_by_their_text():
    large = ("9007199254740992", "9007199254740993")
    assert multiclass(np.array([2**53 + 1, 2**53]), *large) == [1, 0]
    assert multiclass(pa.array(["9007199254740993"]), *large) == [1]
    assert multiclass(pa.array(["00123", "123"]), "123", "x") == [UNKNOWN, 0]
    assert multiclass(pa.array(["00123", "123"]), "123", "00123") == [1, 0]


def test_codes_beyond_k_are_unknown():
    assert multiclass(np.array([0, 2, -1, 3]), "0", "1", "2") == [0, 2, UNKNOWN, UNKNOWN]
    assert multiclass(np.array([0, 2, -1]), "a", "b") == [0, UNKNOWN, UNKNOWN]
    assert multiclass(np.array([0.5, 1.0]), "a", "b") == [UNKNOWN, 1]


def test_a_class_may_be_called_like_a_missing_value():
    assert multiclass(pa.array(["none", "NA", ""]), "none", "NA") == [0, 1, MISSING]


def test_booleans_as_classes():
    assert multiclass(pa.array([True, False]), "false", "true") == [1, 0]
    assert multiclass(pa.array([True, False]), "a", "b") == [UNKNOWN, UNKNOWN]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.permutations("abcde"))
def test_text_integers_and_arrow_agree(codes, names):
    classes = tuple(names)
    by_name = pa.array([classes[c] for c in codes])
    assert multiclass(by_name, *classes) == codes
    assert multiclass(by_name.dictionary_encode(), *classes) == codes
    assert multiclass(np.array(codes), *classes) == codes
    assert multiclass(pa.array(list(map(str, codes))), *classes) == codes


def test_values_in_a_dictionary_that_no_row_has_are_no_labels():
    raw = pa.DictionaryArray.from_arrays(
        pa.array([0, 0], pa.int32()), pa.array(["1", "junk", "-1", "0"])
    )
    seen = Seen()
    assert BinaryCoder().encode(raw, seen).tolist() == [1, 1]
    assert not seen.unknown
    assert not seen.negatives
