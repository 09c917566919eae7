"""What commands print is what the types hold: the same keys in the same order, nothing beside."""

from __future__ import annotations

import pytest
from msgspec import ValidationError

from calibcli.core.results.base import UNSET
from calibcli.core.results.comparisons import Compared
from calibcli.core.results.reading import typed


def test_drift_and_periods(good, sample_data):
    rows = sample_data / "breast_cancer_test.csv"
    before = sample_data / "breast_cancer_calibration.csv"
    options = ("--group", "size", "--reference", before, "--by", "network", "--format", "json")
    result = typed(good("measure", rows, *options).json)
    assert isinstance(result.drift.metrics["psi"], Compared)
    assert result.drift.metrics["psi"].current is UNSET
    assert [one.value for one in result.series.periods] == list("01234567")
    assert {one.where.value for one in result.groups} == {"small", "medium", "large"}


@pytest.mark.parametrize(
    "options",
    [
        ("--cost", "fp=1,fn=4,refer=0.3"),
        ("--subject-to", "recall>=0.8", "--guarantee", "0.9"),
        ("--per-group", "size", "--equal", "recall"),
        ("--group", "size", "--subject-to", "recall>=0.9"),
    ],
)
def test_choices(good, sample_data, tmp_path, options):
    rows = sample_data / "breast_cancer_calibration.csv"
    out = tmp_path / "t.json"
    result = typed(good("threshold", rows, *options, "-o", out, "--format", "json", "-q").json)
    assert result.thresholds[0].value.value > 0


def test_a_document_of_another_form_is_told():
    with pytest.raises(ValidationError, match="overall"):
        typed({"schema": "calibcli/measure", "inputs": [], "params": {}, "task": "binary"})
