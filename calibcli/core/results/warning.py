"""Warnings: a code that programs act on, and a text that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from calibcli.core.results.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

Code = Literal[
    "in-sample", "void", "few-rows", "few-clusters", "few-images", "few-calibration-rows",
    "no-labels", "one-label", "absent-class", "no-objects", "dropped", "ignored", "unseen-group",
    "unseen-class", "constant-scores", "undefined", "certain-errors", "hidden-structure", "coarse",
    "no-intervals", "uncalibrated", "other-scores", "other-matching", "cut-by-limit", "each-apart",
    "breaks", "closed-form", "champion-rows", "periods", "reference", "prior", "unreachable",
    "worse-than-plain", "not-shown", "fit", "free-form", "less-accurate", "unmatched", "one-hot",
    "edited", "box-form", "repeated-boxes", "other-conventions", "turned",
]  # fmt: skip

CODES: dict[Code, str] = {
    "in-sample": "the calibrator was fitted on some of these rows: figures after it flatter",
    "void": "a guarantee or a coverage does not hold, because the calibrator has seen these rows",
    "few-rows": "too few rows to tell calibration from chance",
    "few-clusters": "too few clusters for more than rough intervals",
    "few-images": "too few images for more than rough intervals",
    "few-calibration-rows": "too few rows for a quantile: every class is in some sets",
    "no-labels": "only what scores alone can tell is shown",
    "one-label": "a class, a label or all rows have one label only, so something is left out",
    "absent-class": "a class does not occur among the labels",
    "no-objects": "a class or all images have no ground-truth boxes",
    "dropped": "rows, boxes or records without a usable score, label or coordinate are left out",
    "ignored": "rows or pixels with the label to ignore are left out",
    "unseen-group": "rows of groups that a calibrator or a cut-off was not made for",
    "unseen-class": "boxes or rows of classes that a calibrator or a cut-off was not made for",
    "constant-scores": "all scores are equal",
    "undefined": "a headline figure is not defined",
    "certain-errors": "rows are certain and wrong: their log loss is infinite, and is clipped",
    "hidden-structure": "the average over pixels hides structures that are worse",
    "coarse": "counts or cut-offs are those of a grid of scores",
    "no-intervals": "intervals are left out, because there are too many slices",
    "uncalibrated": "cut-offs were chosen on calibrated probabilities, and these are not",
    "other-scores": "cut-offs were chosen on uncalibrated scores, and there is a calibrator",
    "other-matching": "a calibrator or cut-offs were made with another matching or suppression",
    "cut-by-limit": "boxes beyond the number that counts in an image are left out",
    "each-apart": "the guarantee holds for each cut-off separately, not for all of them at once",
    "breaks": "a cut-off breaks a constraint in a group",
    "closed-form": "the closed-form cut-off and the empirical one differ in cost",
    "unreachable": "a target cannot be met in some slices, whose cut-off is above every score",
    "worse-than-plain": "the most probable class does better than the cut-offs that were chosen",
    "not-shown": "cross-fitted figures do not show that a bound holds on new rows",
    "champion-rows": "the champion was fitted on some of these rows, which favours it",
    "periods": "rows without a period, or periods whose order is not known",
    "reference": "the reference lacks something that the comparison needs",
    "prior": "what an estimate of the prevalence rests on",
    "fit": "something about a fit: bounds, constant maps, slices that were kept",
    "free-form": "a free-form method was fitted on few rows",
    "less-accurate": "a calibrator makes the most probable class right less often",
    "unmatched": "rows whose key only one of two files has are left out",
    "one-hot": "each row of labels has a single 1, so it is read as one class of several",
    "repeated-boxes": "objects or detections are there twice, or objects share an id",
    "box-form": "boxes look like x1, y1, x2, y2 or like shares of their image, not x, y, w, h",
    "edited": "a calibrator, thresholds or statistics have no digest: they were changed by hand",
    "other-conventions": "two saved results were made with different conventions",
    "turned": "raw scores rank the labels the wrong way round",
}
"""What each code means; the documentation prints this table."""


class Warning(Record, frozen=True):
    """What a careful colleague would say beside the numbers.

    Whether a guarantee holds, or whether figures are in-sample, follows from codes and never from
    the words, which may hold any name.
    """

    code: Code
    text: str

    def about(self, of: str) -> Warning:
        """Return the same warning about something, such as `class 'cat': `."""
        return Warning(self.code, f"{of}{self.text}")


def warned(warnings: Iterable[Warning]) -> dict[str, list[Any]]:
    """Return warnings as the keys of a result: texts, and their codes beside them."""
    found = list(warnings)
    return {
        "warnings": [one.text for one in found],
        "warning_codes": [one.code for one in found],
    }


def told(warnings: Iterable[Warning]) -> dict[str, Any]:
    """Return warnings as the fields of a typed result."""
    return {key: tuple(values) for key, values in warned(warnings).items()}


def any_of(warnings: Iterable[Warning], code: Code) -> bool:
    """Return whether one of the warnings has this code."""
    return any(one.code == code for one in warnings)
