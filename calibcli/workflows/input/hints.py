"""Hints that have looked: options that work on this file, found by trying them on its first rows.

Where names and types do not tell what the score or the label is, an error carries a topic. Here
the first rows are looked at for what could be meant, each candidate is opened and read as a
command would, and only those that pass are told, the one that ranks best first. A candidate that
could be read but would give wrong numbers is none: logits under which the scores are far worse
than no scores, a positive label that the scores rank last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import expit, softmax
from calibcli.errors import CalibcliError
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.formats.readers import open_reader
from calibcli.io.formats.sources import expand
from calibcli.io.rows.evidence import Evidence
from calibcli.io.rows.keys import as_text, keys, natural
from calibcli.io.rows.labels.coders import as_number
from calibcli.io.task import LABELS
from calibcli.tasks.table import open_dataset
from calibcli.tasks.validity import missing_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.io.rows.recipe import InputSpec

    Options = tuple[tuple[str, str | None], ...]

TRIED_ROWS = 20_000
_MOST_TRIALS = 60
_MOST_VALUES = 100
_SHOWN = 3
_DROPPING: Options = (("--drop-invalid", None),)
_NO_BETTER = 2.0
"""How many times the log loss of no scores at all a kind of score may have, to be believed."""
_SCALES = ("100", "255")


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of reading the first rows with some options.

    Attributes:
        options: The options that were tried, beside those that were given.
        ranking: AUC, or how much better than chance the largest score finds the class (0.5: none).
        loss: Log loss relative to that of the base rates alone.
    """

    options: Options
    ranking: float
    loss: float

    @property
    def strength(self) -> float:
        """How much the scores tell about the labels, in whichever direction."""
        return abs(self.ranking - 0.5)


def found_options(spec: InputSpec, topic: str, *, need_labels: bool = True) -> list[Options]:
    """Return options that work on these files, the likeliest first; [] where none was found."""
    trials: list[Trial] = []
    for number, options in enumerate(_candidates(spec, topic, need_labels)):
        if number == _MOST_TRIALS:
            break
        if options[-1:] == _DROPPING and any(one.options == options[:-1] for one in trials):
            continue  # nothing has to be left out
        tried = _tried(spec, options, need_labels=need_labels)
        if tried is not None:
            trials.append(tried)
    if topic == "kind":
        return [one.options for one in trials if one.loss <= _NO_BETTER][:1]
    if topic == "values":  # of the labels that could be the positive one, that which is ranked high
        trials = [one for one in trials if one.ranking >= 0.5] or trials
    trials.sort(key=lambda one: (not _all_labels(one.options), -one.strength))
    # What ranks much worse than the best is not what is meant.
    return [one.options for one in trials[:_SHOWN] if 2 * one.strength >= trials[0].strength]


def _all_labels(options: Options) -> bool:
    """Whether options read every label of a row, of which a single one may rank better."""
    return any(name == "--label" and (value or "").endswith("*") for name, value in options)


def _candidates(spec: InputSpec, topic: str, need_labels: bool) -> Iterator[Options]:
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


def _label_columns(file: Evidence, *, usual_only: bool = False) -> list[str]:
    from calibcli.io.rows.names import LABELS, usual

    columns = file.reader.columns
    known = usual(columns, LABELS)
    if usual_only or known:
        return known
    found = []
    for name, column in columns.items():
        if column.width is None and column.kind != "other":
            values = _distinct(file, name)
            if 2 <= len(values) <= _MOST_VALUES:
                found.append(name)
    return found


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
    names = _label_columns(labels)
    if need_labels and (topic == "label" or not _has_label(spec, labels)):
        wanted_labels = [(("--label", name),) for name in names]
    for score in wanted_scores:
        columns = {part for _, value in score for part in (value or "").split(",")}
        for several in _labels_like(score, labels) if topic == "scores" else ():
            yield (*score, ("--label", several))
            yield (*score, ("--label", several), *_DROPPING)
        for label in wanted_labels:
            if label and label[0][1] in columns:
                continue
            yield (*score, *label)
            name = label[0][1] if label else spec.label or next(iter(names), None)
            if name is None or spec.positive is not None:
                continue
            values = _distinct(labels, name)
            if len(values) == 2 and set(values) - {"0", "1", "-1", "true", "false"}:
                yield from ((*score, *label, ("--positive", value)) for value in values)


def _has_label(spec: InputSpec, file: Evidence) -> bool:
    return spec.label is not None or bool(_label_columns(file, usual_only=True))


def _singles(file: Evidence) -> list[Options]:
    """Return columns that may be one score: fractions between 0 and 1 that vary."""
    found: list[Options] = []
    for name, column in file.reader.columns.items():
        if column.width is not None and column.kind == "number":
            found.append((("--scores", name),))
        elif column.kind in ("number", "any"):
            values = _numbers(file, name)
            if values is not None and _are_probabilities(values):
                found.append((("--score", name),))
    return found


def _several(file: Evidence, labels: Evidence) -> Iterator[Options]:
    """Yield columns that may be the scores of classes: named alike, or as the labels are."""
    columns = file.reader.columns
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
    yield from ((("--scores", text),) for names, text in groups.items() if len(names) >= 2)


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


# -- trials ----------------------------------------------------------------------------------------


def with_options(spec: InputSpec, options: Options) -> InputSpec:
    """Return the input options with some more."""
    changes: dict[str, Any] = {}
    for name, value in options:
        field = name.removeprefix("--").replace("-", "_")
        if field in ("scores", "classes"):
            changes[field] = None if value is None else tuple(value.split(","))
        elif field == "scale":
            changes[field] = float(value or 1)
        else:
            changes[field] = True if value is None else value
    if "score" in changes:
        changes["scores"] = None
    elif "scores" in changes:
        changes["score"] = None
    if "logits" in changes or "raw" in changes:
        changes |= {"scale": None, "logits": True}
    return replace(spec, **changes)


def _tried(spec: InputSpec, options: Options, *, need_labels: bool) -> Trial | None:
    """Read the first rows with these options; None where that fails."""
    wanted = with_options(spec, options)
    scores: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    rows = 0
    try:
        dataset = open_dataset(wanted, need_labels=True if need_labels else None)
        for batch in dataset.batches():
            missing = missing_rows(batch, dataset.task, dataset.score_names, logits=wanted.logits)
            if missing is not None and missing.any() and not wanted.drop_invalid:
                return None
            good = np.ones(len(batch), bool) if missing is None else ~missing
            scores.append(batch.scores[good])
            if batch.labels is not None:
                labels.append(batch.labels[good])
            rows += len(batch)
            if rows >= TRIED_ROWS:
                break
    except CalibcliError:
        return None
    if not rows:
        return None
    p = np.concatenate(scores).astype(np.float64)
    if wanted.logits and not spec.logits and p.min(initial=0) >= 0 and p.max(initial=0) <= 1:
        return None  # as logits, probabilities say nearly nothing, and never much that is wrong
    if not labels and wanted.raw:
        return None
    if not labels:  # rows to apply a calibrator to: of logits some are negative
        return Trial(options, 0.5, 1.0 if not wanted.logits or p.min() < 0 else np.inf)
    if wanted.logits:
        p = softmax(p) if dataset.exclusive else expit(p)
    ranking, loss = _judged(p, np.concatenate(labels))
    if wanted.raw:  # which way up they rank is all that can be told
        loss = 0.0 if ranking > 0.5 else np.inf
    return Trial(options, ranking, loss)


def _judged(p: NDArray[np.float64], labels: NDArray[Any]) -> tuple[float, float]:
    """Return how well probabilities rank, and their log loss beside that of the base rates."""
    if p.ndim == 2 and labels.ndim == 1:
        size, rows = p.shape[1], np.arange(len(p))
        accuracy = float((p.argmax(axis=1) == labels).mean())
        rates = np.bincount(labels, minlength=size) / len(labels)
        losses, base = -np.log(np.maximum(p[rows, labels], 1e-15)), _entropy(rates)
        ranking = 0.5 + 0.5 * (accuracy - 1 / size)
        return ranking, float(losses.mean()) / max(base, 1e-3)
    there = labels.reshape(-1) >= 0
    flat, right = p.reshape(-1)[there], labels.reshape(-1)[there] > 0
    true = np.where(right, flat, 1 - flat)
    rate = right.mean()
    base = _entropy(np.array([rate, 1 - rate]))
    return _auc(flat, right), float(-np.log(np.maximum(true, 1e-15)).mean()) / max(base, 1e-3)


def _entropy(rates: NDArray[np.float64]) -> float:
    known = rates[rates > 0]
    return float(-(known * np.log(known)).sum())


def _auc(score: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    positives = int(right.sum())
    negatives = len(right) - positives
    if not positives or not negatives:
        return 0.5
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    above = rank[place][right].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def command_line(given: Sequence[str], options: Options) -> str:
    """Return what to type: the command that was given, with these options in place of others."""
    import shlex

    replaced = {name for name, _ in options}
    if replaced & {"--score", "--scores"}:
        replaced |= {"--score", "--scores"}
    if replaced & {"--logits", "--raw"}:
        replaced |= {"--scale", "--logits"}
    kept, skipping = [], False
    for word in given:
        if skipping:
            skipping = False
            continue
        name, sign, _ = word.partition("=")
        if name in replaced:
            skipping = not sign and name not in ("--logits", "--renormalise")
            continue
        kept.append(word)
    return f"calibcli {shlex.join([*kept, *words(options)])}"


def words(options: Options) -> list[str]:
    """Return options as the words of a command line."""
    return [word for pair in options for word in pair if word is not None]
