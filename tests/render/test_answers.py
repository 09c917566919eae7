"""The first words of a report, from results whose truth is known."""

from __future__ import annotations

import pytest

from calibcli.render.words.answers import answer
from tests.render.whole import measured


def part(gap, half, *, ece=0.1, name=None):
    """Return a slice of three bins of 100 rows, each off by `gap` give or take `half`."""
    bins = [
        {
            "low": k / 3, "high": (k + 1) / 3, "count": 100, "score": 0.2 + 0.3 * k,
            "frequency": 0.2 + 0.3 * k + gap, "gap": gap,
            "frequency_low": 0.2 + 0.3 * k + gap - half,
            "frequency_high": 0.2 + 0.3 * k + gap + half,
        }
        for k in range(3)
    ]  # fmt: skip
    metrics = {"ece": {"value": ece, "low": 0.0, "high": 0.2}, "n": {"value": 300}}
    where = {"kind": "overall"}
    if name:
        where = {"kind": "group", "column": "city", "value": name}
    return {"slice": where, "metrics": metrics, "bins": bins}


def result(overall, groups=(), after=None):
    if after:
        overall = {**overall, "calibrated": after}
    params = {"confidence": 0.95, "tolerance": 0.05}
    return measured({"overall": overall, "groups": list(groups), "params": params})


@pytest.mark.parametrize(
    ("gap", "half", "tone", "word", "begins"),
    [
        (-0.15, 0.05, "bad", "Not honest", "Too high from 0 to 1, ECE 0.1000 ["),
        (0.15, 0.05, "bad", "Not honest", "Too low from 0 to 1, ECE 0.1000 ["),
        (0.01, 0.02, "good", "Honest", "ECE 0.1000 ["),
        (-0.15, 0.6, "warn", "Not shown to be honest", "ECE 0.1000 ["),
    ],
)
def test_the_word_is_what_the_bins_show(gap, half, tone, word, begins):
    found = answer(result(part(gap, half)))
    assert (found.tone, found.word) == (tone, word)
    assert found.sentence.startswith(begins)


def test_the_tone_is_that_of_the_scores_as_they_will_be_used():
    found = answer(result(part(-0.15, 0.05), after=part(0.0, 0.02, ece=0.01)))
    assert (found.tone, found.word) == ("good", "Not honest")
    assert "the scores are too high from 0 to 1; after calibration honest" in found.sentence


def test_a_group_is_named_wrong_only_beyond_chance():
    groups = [part(-0.3, 0.05, ece=0.3, name="Ulm"), part(-0.1, 0.5, ece=0.1, name="Jena")]
    assert answer(result(part(0.0, 0.02), groups)).sentence.endswith("; not honest for Ulm (city).")
    told = answer(result(part(0.0, 0.02), groups[1:])).sentence
    assert told.endswith("; not shown yet for Jena (city), ECE 0.1000 [0.0000, 0.2000].")


def test_the_level_is_shared_among_the_groups():
    # z of a group's run is 0.1 / (0.09 / 1.96) * sqrt(3) = 3.8: beyond chance for one group alone
    # (6 runs, 2.6), not among 2,000 of them (12,000 runs, 4.6).
    alone, many = ([part(-0.1, 0.09, name=f"c{k}") for k in range(n)] for n in (1, 2000))
    assert "not honest for c0" in answer(result(part(0.0, 0.02), alone)).sentence
    assert "not shown yet for c0" in answer(result(part(0.0, 0.02), many)).sentence


def test_regions_side_by_side_are_named_from_end_to_end():
    """Of the runs of one side the worst is found first, and those that it lies next to."""
    overall = part(-0.15, 0.05)
    for k, (gap, half) in enumerate([(-0.15, 0.005), (-0.08, 0.02), (-0.02, 0.5)]):
        one = overall["bins"][k]
        frequency = one["score"] + gap
        one |= {
            "gap": gap, "frequency": frequency,
            "frequency_low": frequency - half, "frequency_high": frequency + half,
        }  # fmt: skip
    assert answer(result(overall)).sentence.startswith("Too high from 0 to 0.6667, ")
