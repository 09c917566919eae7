"""What may be meant on a file: options that its columns, values and their names suggest."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from calibcli.errors import CalibcliError
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.formats.readers import open_reader
from calibcli.io.formats.sources import expand
from calibcli.io.rows.evidence import Evidence
from calibcli.io.rows.keys import as_text, keys, natural
from calibcli.io.rows.labels.coders import as_number
from calibcli.io.task import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from calibcli.io.rows.columns import Column
    from calibcli.io.rows.recipe import InputSpec

    Options = tuple[tuple[str, str | None], ...]

_MOST_VALUES = 100
DROPPING: Options = (("--drop-invalid", None),)
PERCENT: Final = ("--scale", "100")
_SCALES = ("100", "255")
_PREDICTED: Final = {"pred", "predict", "predicted", "prediction", "scored", "guess", "answer"}
"""Words in the names of columns that hold what a model says."""


def candidates(spec: InputSpec, topic: str, need_labels: bool) -> Iterator[Options]:
    """Yield options that may be meant, by what the first rows hold."""
    try:
        file = Evidence(open_reader(expand(spec.paths, spec.input_format)[0]))
        labels = file
        if spec.labels is not None:
            labels = Evidence(open_reader(expand((spec.labels,))[0]))
        if topic == "kind":
            yield from _kinds(spec)
        elif topic == "key":
            both = [name for name in file.reader.columns if name in labels.reader.columns]
            yield from ((("--key", name),) for name in both if file.tells_apart(name))
        elif topic == "values":
            yield from _values(spec, labels)
        else:
            yield from _columns(spec, file, labels, topic, need_labels)
    except CalibcliError:
        return


def _kinds(spec: InputSpec) -> Iterator[Options]:
    if not spec.renormalise:
        yield (("--renormalise", None),)
    yield from ((("--scale", scale),) for scale in _SCALES)
    if spec.scale is None:
        yield (("--logits", None),)
    if spec.task != LABELS:
        yield (("--task", LABELS),)
    yield (("--raw", None),)
    yield ("--raw", None), ("--descending", None)


# -- labels ----------------------------------------------------------------------------------------


def _values(spec: InputSpec, file: Evidence) -> Iterator[Options]:
    """Yield what the labels of a column may mean."""
    name = spec.label or next(iter(_label_columns(file, usual_only=True)), None)
    if name is None:
        return
    values = _distinct(file, name)
    if len(values) >= 2:
        says = _predictions(file, name)
        of_two = [one for one in says if _is_prediction(one)]
        yield from ((("--predicted", one),) for one in (says if len(values) > 2 else of_two))
    words = [value for value in values if any(mark.isalnum() for mark in value)]
    marks = [value for value in values if value not in words]
    without: Options = (("--ignore-label", marks[0]),) if len(marks) == 1 else ()
    numbers = [as_number(value) for value in words]
    if len(numbers) == len(words) and any(one is not None and one % 1 for one in numbers):
        return  # shares of votes: no single one of them is the positive label
    if len(words) == 2:
        for value in words:
            yield (("--positive", value), *without)
    elif without:
        yield without
    if len(words) > 2:
        yield (("--classes", ",".join(sorted(words, key=natural))), *without)
        for value in words:
            if re.search(r"(?i)unknown|uncertain|none|ignore|void|unlabel", value):
                left = [one for one in words if one != value]
                if len(left) == 2:
                    yield from ((("--positive", one), ("--ignore-label", value)) for one in left)


def _leaves(columns: Mapping[str, Column], within: str = "") -> dict[str, Column]:
    """Return columns and the fields of structs, by their dotted names."""
    found: dict[str, Column] = {}
    for name, column in columns.items():
        if column.children:
            found |= _leaves(column.children, f"{within}{name}.")
        else:
            found[f"{within}{name}"] = column
    return found


def _label_columns(file: Evidence, *, usual_only: bool = False) -> list[str]:
    from calibcli.io.rows.names import LABELS, usual

    columns = file.reader.columns
    known = usual(columns, LABELS)
    if usual_only or known:
        return known
    found = []
    for name, column in _leaves(columns).items():
        if column.width is None and column.kind != "other":
            values = _distinct(file, name)
            if 2 <= len(values) <= _MOST_VALUES:
                found.append(name)
    return [name for name in found if not _is_prediction(name)] or found


def _is_prediction(name: str) -> bool:
    """Whether a column is called as what a model has predicted, which is no label."""
    from calibcli.io.rows.names import PREDICTED, plain

    words = set(plain(name).split("_"))
    return any(plain(name) in tier for tier in PREDICTED) or not words.isdisjoint(_PREDICTED)


def _are_confidences(file: Evidence, columns: set[str], classes: Sequence[str]) -> bool:
    """Whether a column may hold the largest probability of so many classes."""
    name = next(iter(columns), "")
    if len(columns) != 1 or len(classes) < 2 or name not in _leaves(file.reader.columns):
        return False
    values = _numbers(file, name)
    return values is not None and bool(np.nanmin(values) >= 1 / len(classes) - 0.001)


def _predictions(file: Evidence, label: str) -> list[str]:
    """Return columns that hold the classes of a label column and are no labels: predictions."""
    values = set(_distinct(file, label))
    found = [
        name
        for name, column in _leaves(file.reader.columns).items()
        if name != label and column.width is None and column.kind != "other"
        and len(own := set(_distinct(file, name))) >= 2 and own <= values
    ]  # fmt: skip
    return [name for name in found if _is_prediction(name)] or found[:1]


def _distinct(file: Evidence, name: str) -> list[str]:
    """Return the distinct values of a column's first rows as texts, missing ones left out."""
    frame = file.keys((name,))
    if frame is None:
        return []
    try:
        found = keys(frame.columns[name])
    except BadValueError:  # a list or a struct
        return []
    used = sorted({int(code) for code in np.unique(found.codes) if code >= 0})
    return [as_text(found.values[code]) for code in used if found.values[code] not in (None, "")]


# -- columns ---------------------------------------------------------------------------------------


def _columns(
    spec: InputSpec, file: Evidence, labels: Evidence, topic: str, need_labels: bool
) -> Iterator[Options]:
    """Yield score columns with label columns, those first that leave the other as it is."""
    wanted_scores: list[Options] = [()]
    wanted_labels: list[Options] = [()]
    if topic == "scores":
        wanted_scores = [*_several(file, labels), *_singles(file)]
        wanted_scores += [] if wanted_scores else _unbounded(file)
    names = _label_columns(labels)
    if need_labels and (topic == "label" or not _has_label(spec, labels)):
        wanted_labels = [(("--label", name),) for name in names]
    for score in wanted_scores:
        columns = {part for _, value in score for part in (value or "").split(",")}
        for several in _labels_like(score, labels) if topic == "scores" else ():
            yield (*score, ("--label", several))
            yield (*score, ("--label", several), *DROPPING)
        for label in wanted_labels:
            if label and label[0][1] in columns:
                continue
            name = label[0][1] if label else spec.label or next(iter(names), None)
            values = [] if name is None else _distinct(labels, name)
            if name is not None and topic == "scores" and _are_confidences(file, columns, values):
                each = (one for one in _predictions(file, name) if one not in columns)
                yield from ((*score, *label, ("--predicted", one)) for one in each)
            yield (*score, *label)
            if name is None or spec.positive is not None:
                continue
            if len(values) == 2 and set(values) - {"0", "1", "-1", "true", "false"}:
                yield from ((*score, *label, ("--positive", value)) for value in values)


def _has_label(spec: InputSpec, file: Evidence) -> bool:
    return spec.label is not None or bool(_label_columns(file, usual_only=True))


def _singles(file: Evidence) -> list[Options]:
    """Return columns that may be one score: fractions between 0 and 1 that vary."""
    found: list[Options] = []
    for name, column in _leaves(file.reader.columns).items():
        if column.width is not None and column.kind == "number":
            found.append((("--scores", name),))
        elif column.kind in ("number", "any"):
            values = _numbers(file, name)
            if values is not None and _are_probabilities(values):
                found.append((("--score", name),))
    return found


_RESPONSES = "filtered_resps"
"""Where lm-evaluation-harness keeps a pair for each choice: its log-likelihood first."""
_LOGITS = re.compile(r"(?i)logit|rawformulaval|raw_?score|output_margin")
_MARGINS = re.compile(r"(?i)score|decision|margin|distance|svm|anomaly|points")


def _unbounded(file: Evidence) -> list[Options]:
    """Return columns that are called as logits or margins are, and are no probabilities."""
    found: list[Options] = []
    for name, column in _leaves(file.reader.columns).items():
        values = _numbers(file, name) if column.kind in ("number", "any") else None
        if values is None or len(np.unique(values[np.isfinite(values)])) < 3:
            continue
        if _LOGITS.search(name):
            found.append((("--score", name), ("--logits", None)))
        elif _MARGINS.search(name):
            found.append((("--score", name), ("--raw", None)))
            found.append((("--score", name), ("--raw", None), ("--descending", None)))
    return found


def _several(file: Evidence, labels: Evidence) -> Iterator[Options]:
    """Yield columns that may be the scores of classes: named alike, or as the labels are."""
    columns = file.reader.columns
    if _RESPONSES in columns:
        yield ("--scores", f"{_RESPONSES}.*.0"), ("--logits", None)
    plain = [name for name, column in columns.items() if column.kind in ("number", "any")]
    numbers = [name for name in plain if _numbers(file, name) is not None]
    groups: dict[tuple[str, ...], str] = {}
    stems = [(match[0], name) for name in numbers if (match := re.match(r".*[_.\-:/ ]", name))]
    for stem, group in groupby(sorted(stems, key=lambda pair: pair[0]), key=lambda pair: pair[0]):
        names = tuple(name for _, name in group)
        alone = len([name for name in columns if name.startswith(stem)]) == len(names)
        groups[names] = f"{stem}*" if alone else ",".join(names)
    for label in _label_columns(labels):
        values = _distinct(labels, label)
        if set(values) <= set(numbers):
            own = tuple(name for name in numbers if name in values)
            groups.setdefault(own, ",".join(own))
        groups |= dict(_around(values, numbers, list(columns)))
    yield from ((("--scores", text),) for names, text in groups.items() if len(names) >= 2)


def _around(
    values: Sequence[str], numbers: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield columns named by the classes with the same text before and after: `x_cat_scores`."""
    for name in numbers:
        before, found, after = name.partition(values[0]) if values else ("", "", "")
        own = tuple(f"{before}{value}{after}" for value in values)
        if not found or not before + after or len(own) < 2 or not set(own) <= set(numbers):
            continue
        like = [one for one in columns if one.startswith(before) and one.endswith(after)]
        alone = len(like) == len(own) and set("*?[").isdisjoint(before + after)
        yield tuple(sorted(own)), f"{before}*{after}" if alone else ",".join(own)


def _labels_like(score: Options, file: Evidence) -> Iterator[str]:
    """Yield globs of label columns that end as the score columns of a glob do: y_a and p_a."""
    stem = next((value[:-1] for _, value in score if value and value[-1] == "*"), None)
    if stem is None:
        return
    columns = tuple(file.reader.columns)
    ends = {name.removeprefix(stem) for name in columns if name.startswith(stem)}
    others = {name.removesuffix(end) for name in columns for end in ends if name.endswith(end)}
    for other in sorted(others - {stem, ""}):
        if {name.removeprefix(other) for name in columns if name.startswith(other)} == ends:
            yield f"{other}*"


def _numbers(file: Evidence, name: str) -> NDArray[Any] | None:
    from calibcli.io.formats.decode import numbers

    try:
        frame = file.numbers((name,))
        return None if frame is None else numbers(frame.columns[name])
    except (CalibcliError, BadValueError):
        return None


def _are_probabilities(values: NDArray[Any]) -> bool:
    known = values[np.isfinite(values)]
    inside = known.size and known.min() >= 0 and known.max() <= 1
    return bool(inside and len(np.unique(known)) > 2)
