"""The published schemas of results are what the types say."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from calibcli.core.results.base import plain
from calibcli.core.results.promotion import PromotionResult
from calibcli.core.results.schemas import TITLES, schema_of, schema_text
from calibcli.io.artifacts.publish import FOLDER


@pytest.mark.parametrize("name", TITLES)
def test_the_published_schema_is_that_of_the_type(name):
    written = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert written == schema_text(name), "python -m calibcli.io.artifacts.publish"


def test_what_is_always_written_is_required_and_what_may_be_left_out_is_not():
    found = schema_of("promotion")
    validator = Draft202012Validator(found)
    blank = PromotionResult(
        task=None, path="c.json", decision="kept", code="not-better", reason="", dry_run=False,
        champion=None, challenger=None, comparison=None, previous=None,
    )  # fmt: skip
    document = json.loads(json.dumps(plain(blank)))
    assert list(document) == found["required"]
    assert validator.is_valid(document)
    for key in document:
        assert not validator.is_valid({k: v for k, v in document.items() if k != key})
    assert not validator.is_valid({**document, "version": 2})
    assert validator.is_valid({**document, "later": 1})


def test_fields_are_described_by_the_docstrings_of_their_types():
    found = schema_of("measure")
    assert found["properties"]["params"]["description"].startswith("every convention")
    figure = found["$defs"]["Figure"]
    assert figure["required"] == ["value", "low", "high"]
    assert figure["properties"]["value"]["type"] == ["number", "null"]
    assert figure["properties"]["low"]["description"].startswith("lower end of the interval")
