"""What is said of slices, whatever was searched in them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.cli.main import main
from calibcli.core.decisions.thresholds import Curve
from calibcli.core.results.figures import Where
from calibcli.core.results.threshold import CutOff
from calibcli.errors import AnswerNoError, InputError
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.threshold.choosing import Chosen, Refused
from calibcli.workflows.threshold.settling import Empty, Found, settled
from calibcli.workflows.threshold.wish import Wish

EMPTY = Empty(("nothing anywhere", "look"), "no-objects", "have nothing")
CURVE = Curve.from_cells(np.array([0.5]), np.array([1]), np.array([1]))
FAR = Refused("it is far", "nothing was written", unreachable=True, best="0.4 at best")


def found(name, *, refused=None, empty=False, asked=None):
    where = Where("class", name)

    def described(draws):
        if asked is not None:
            asked.append(draws)
        return Chosen(CutOff(slice=where, threshold=0.5), CURVE)

    return Found(where, described, refused, empty)


def codes(slices, wish, conventions=None):
    chosen, warnings = settled(slices, conventions or Conventions(), wish, EMPTY)
    assert [one.item.slice for one in chosen] == [one.where for one in slices]
    return [one.code for one in warnings]


def test_more_than_a_hundred_cut_offs_get_no_intervals_and_it_is_said():
    asked = []
    many = [found(str(k), asked=asked) for k in range(101)]
    assert codes(many, Wish.parse()) == ["no-intervals"]
    assert set(asked) == {0}
    assert codes(many, Wish.parse(), Conventions(confidence=None)) == []
    asked.clear()
    assert codes(many[:100], Wish.parse()) == []
    assert min(asked) > 0


def test_slices_without_anything_to_choose_from_are_named():
    assert codes([found("a"), found("b", empty=True)], Wish.parse()) == ["no-objects"]
    with pytest.raises(InputError, match="nothing anywhere"):
        settled([found("a", empty=True)], Conventions(), Wish.parse(), EMPTY)


def test_a_target_that_a_slice_cannot_meet_ends_the_run_unless_it_may_have_no_cut_off():
    slices = [found("a"), found("b", refused=FAR)]
    with pytest.raises(AnswerNoError, match="class 'b': it is far"):
        settled(slices, Conventions(), Wish.parse(None, ("precision>=0.9",)), EMPTY)
    kept = Wish.parse(None, ("precision>=0.9",), never=True)
    assert codes(slices, kept) == ["unreachable"]
    with pytest.raises(AnswerNoError):  # nothing would be left
        settled(slices[1:], Conventions(), kept, EMPTY)


def test_guarantees_of_several_slices_hold_one_by_one():
    wish = Wish.parse(None, ("precision>=0.9",), guarantee=0.95)
    assert codes([found("a"), found("b")], wish) == ["each-apart"]
    assert codes([found("a")], wish) == []


def test_boxes_without_a_certified_cut_off_say_that(capsys, sample_data):
    boxes = [sample_data / f"detection_calibration{name}.json" for name in ("", "_truth")]
    bound = ("--subject-to", "recall>=0.7", "--guarantee", "0.8", "--unreachable", "never")
    run = ("threshold", boxes[0], "--task", "detection", "--ground-truth", boxes[1], "--per-class")
    assert main([*map(str, (*run, *bound, "--no-ci", "--format", "json"))]) == 0
    items = json.loads(capsys.readouterr().out)["thresholds"]
    reasons = [item["reason"] for item in items if "reason" in item]
    assert len(reasons) == 2
    assert all("not met: not certified on 60 images" in reason for reason in reasons)
