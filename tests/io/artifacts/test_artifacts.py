from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from calibcli.errors import InputError
from calibcli.io.artifacts import artifacts
from calibcli.io.artifacts.artifacts import (
    KINDS,
    completed,
    digest_of,
    parse_artifact,
    read_artifact,
    to_text,
    write_artifact,
)
from calibcli.io.artifacts.schema import KEYWORDS, load_schema, violation

METRIC = {"value": 0.1, "low": 0.05, "high": 0.2}
PAYLOADS = {
    "evidence": {
        "calibcli": "0.1.0",
        "bins": "15 equal-width bins, (lo, hi]",
        "promises": [{"promise": "ece<=0.05", "logs": [-3.5], "highest": 0.1, "sides": [0.25]}],
        "nights": ["sha256:00"],
    },
    "calibrator": {
        "calibcli": "0.1.0",
        "task": "binary",
        "classes": [],
        "input": {"scores": ["score"], "logits": False, "positive": None},
        "calibrator": {"method": "platt", "A": 1.2, "B": 0.1 + 0.2},
        "params": {"folds": 5},
        "rows": 3,
        "inputs": [{"path": "a\n<script>.csv", "rows": 3, "digest": "sha256:00"}],
        "before": {"metrics": {"ece": METRIC}},
        "after": {"metrics": {}, "kind": "cross-fitted"},
        "candidates": [{"method": "platt", "score": 0.3}],
        "stats": None,
        "warnings": [],
    },
    "thresholds": {
        "calibcli": "0.1.0",
        "task": "multiclass",
        "classes": ["cat", "=1+1"],
        "rule": "score >= threshold",
        "kind": "empirical",
        "objective": "f1",
        "constraints": ["precision>=0.95"],
        "calibrated": False,
        "calibrator": None,
        "thresholds": [
            {
                "slice": {"kind": "class", "name": "cat"},
                "threshold": 0.1 + 0.2,
                "n": 8,
                "value": {"value": 0.75},
                "confusion": {"threshold": 0.1 + 0.2, "tp": 3, "fp": 1, "fn": 1, "tn": 3},
            }
        ],
        "rows": 8,
        "inputs": [],
        "params": {},
        "warnings": [],
    },
    "stats": {
        "calibcli": "0.1.0",
        "task": "binary",
        "classes": [],
        "logits": False,
        "families": {"overall": {"score": [5e-324, 1 - 2**-53], "pos": [1, 2**62], "neg": [0, 1]}},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip_is_exact(kind, tmp_path):
    path = str(tmp_path / "x.json")
    digest = write_artifact(path, kind, PAYLOADS[kind])
    found = read_artifact(path, kind)
    assert found == completed(kind, PAYLOADS[kind])
    assert list(found)[:3] == ["schema", "version", "calibcli"]
    assert list(found)[-1] == "digest"
    assert found["digest"] == digest
    assert [key for key in found if key in PAYLOADS[kind]] == list(PAYLOADS[kind])
    # Writing what was read gives the same bytes.
    before = (tmp_path / "x.json").read_bytes()
    write_artifact(path, kind, found)
    assert (tmp_path / "x.json").read_bytes() == before
    assert before.endswith(b"}\n")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_comes_back_to_the_last_bit(value):
    found = json.loads(to_text({"x": [value]}))["x"][0]
    assert struct.pack("<d", found) == struct.pack("<d", value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=50)
@given(JSON)
def test_text_is_json_of_the_same_value(value):
    assert json.loads(to_text(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_never_written(value, tmp_path):
    payload = {**PAYLOADS["calibrator"], "params": {"x": [value]}}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_artifact(str(tmp_path / "x.json"), "calibrator", payload)
    assert list(tmp_path.iterdir()) == []


def test_a_payload_that_breaks_its_schema_is_a_bug(tmp_path):
    with pytest.raises(ValueError, match="calibrator artifact: 'task' is missing"):
        write_artifact(str(tmp_path / "x.json"), "calibrator", {"calibcli": "0.1.0"})


def refused(content, kind="calibrator"):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(InputError) as caught:
        parse_artifact(content, "x.json", kind)
    assert caught.value.message.startswith("x.json ")
    assert "\n" not in caught.value.message
    return caught.value


GOOD = completed("calibrator", PAYLOADS["calibrator"])


def test_unknown_version():
    error = refused({**GOOD, "version": 2})
    assert error.message == "x.json has calibrator version 2, this calibcli reads version 1"
    assert (
        error.hint == "upgrade calibcli, or write the file again; it was written by calibcli 0.1.0"
    )
    for version in (None, "1", 1.5, True, 0):
        assert "reads version 1" in refused({**GOOD, "version": version}).message


def test_another_kind_of_file():
    error = refused(completed("thresholds", PAYLOADS["thresholds"]))
    assert error.message == "x.json is a thresholds file, not a calibrator file"
    assert error.hint == "calibcli fit writes it"
    assert "is not a calibrator file of calibcli" in refused({"a": 1}).message
    assert "is not a calibrator file" in refused([1]).message
    assert "is not a calibrator file" in refused({"schema": ["calibcli/calibrator"]}).message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON: it is empty"),
        (b"{'a': 1}", "is not JSON: line 1, column 2"),
        (json.dumps(GOOD).encode()[:-10], "is not JSON: line 1"),
        (b"\xff\xfe{\x00", "not UTF-8"),
        (b'{"a": NaN}', "NaN is no number in JSON"),
        (b'{"a": -Infinity}', "-Infinity is no number in JSON"),
        (b'{"a": [1, 1e999]}', "too large for a double"),
        (b'{"a": 1, "a": 2}', "a key comes twice"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
        (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", "nested too deep"),
        (b"[" * 100_000 + b"]" * 100_000, "it holds a list"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "a number is too long"),
        (b"1e999", "too large"),
        (b"score,label\n0.5,1\n", "is not JSON"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_not_strict_json(content, message):
    assert message in refused(content).message


def test_a_byte_order_mark_is_skipped():
    assert parse_artifact(b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), "x", "calibrator") == GOOD


def test_edited_numbers_are_refused():
    edited = {**GOOD, "calibrator": {**GOOD["calibrator"], "A": 1.25}}
    error = refused(edited)
    assert "its digest does not match" in error.message
    edited.pop("digest")  # the hint: it is used as it is
    assert parse_artifact(json.dumps(edited).encode(), "x", "calibrator") == edited


def test_layout_is_free_and_unknown_keys_are_kept():
    more = completed("calibrator", {**PAYLOADS["calibrator"], "notes": {"by": "hand"}})
    text = json.dumps(dict(reversed(more.items())), indent=7)
    assert parse_artifact(text.encode(), "x", "calibrator")["notes"] == {"by": "hand"}


@pytest.mark.parametrize("key", ["task", "classes", "input", "calibrator", "rows"])
def test_missing_and_ill_typed_entries_are_named(key):
    less = {k: v for k, v in GOOD.items() if k not in (key, "digest")}
    assert f"'{key}' is missing" in refused(less).message
    for value in ({"a": {}}, None, [[1]], "x", -1):
        wrong = {**less, key: value}
        assert key in refused(wrong).message


def test_too_large_a_file(tmp_path, monkeypatch):
    path = str(tmp_path / "x.json")
    write_artifact(path, "stats", PAYLOADS["stats"])
    monkeypatch.setattr(artifacts, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="too long for a stats file"):
        read_artifact(path, "stats")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_artifact(str(tmp_path / "x.json"), "stats")
    with pytest.raises(InputError, match="is a folder"):
        read_artifact(str(tmp_path), "stats")


def test_digest_does_not_depend_on_layout_or_order():
    assert digest_of(GOOD) == digest_of(dict(reversed(GOOD.items()))) == GOOD["digest"]
    assert digest_of({**GOOD, "rows": 4}) != GOOD["digest"]


class TestSchemas:
    RESULTS = ("measure", "fit", "threshold", "promotion", "replay")

    @pytest.mark.parametrize("kind", [*KINDS, *RESULTS])
    def test_the_shipped_files_are_json_schemas(self, kind):
        Draft202012Validator.check_schema(load_schema(kind))

    @pytest.mark.parametrize("kind", [*KINDS, *RESULTS])
    def test_only_keywords_that_are_understood_are_used(self, kind):
        def walk(schema):
            assert set(schema) <= KEYWORDS
            for name in ("properties", "$defs"):
                for inner in schema.get(name, {}).values():
                    walk(inner)
            for name in ("items", "additionalProperties"):
                if isinstance(schema.get(name), dict):
                    walk(schema[name])
            for inner in schema.get("anyOf", ()):
                walk(inner)

        walk(load_schema(kind))

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_is_written_is_valid(self, kind, tmp_path):
        write_artifact(str(tmp_path / "x"), kind, PAYLOADS[kind])
        value = json.loads((tmp_path / "x").read_bytes())
        Draft202012Validator(load_schema(kind)).validate(value)

    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_our_check_agrees_with_jsonschema(self, kind, data):
        value = json.loads(json.dumps(completed(kind, PAYLOADS[kind])))
        node = value
        while isinstance(node, (dict, list)) and node:
            key = data.draw(
                st.sampled_from(list(node) if isinstance(node, dict) else range(len(node)))
            )
            if data.draw(st.booleans()) or not isinstance(node[key], (dict, list)) or not node[key]:
                if isinstance(node, dict) and data.draw(st.booleans()):
                    del node[key]
                else:
                    node[key] = data.draw(JSON)
                break
            node = node[key]
        schema = load_schema(kind)
        # A pattern only describes here: the digest itself is compared.
        bare = json.loads(json.dumps(schema))
        bare["properties"].get("digest", {}).pop("pattern", None)
        expected = Draft202012Validator(bare).is_valid(value)
        found = violation(value, kind)
        if expected is False or found is not None:
            # JSON Schema takes 1.0 for an integer; ours does not.
            assert (found is None) == expected or "integer" in str(found) or "1" in str(found)
