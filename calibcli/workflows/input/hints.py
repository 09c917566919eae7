"""Hints that have looked: options that work on this file, found by trying them on its first rows.

Where names and types do not tell what the score or the label is, an error carries a topic. Here
the first rows are looked at for what could be meant, each candidate is opened and read as a
command would, and only those that pass are told, the one that ranks best first. A candidate that
could be read but would give wrong numbers is none: logits under which the scores are far worse
than no scores, a positive label that the scores rank last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import expit, softmax
from calibcli.errors import CalibcliError
from calibcli.tasks.table import open_dataset
from calibcli.tasks.validity import missing_rows
from calibcli.workflows.input.candidates import DROPPING, PERCENT, candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.io.rows.recipe import InputSpec
    from calibcli.workflows.input.candidates import Options

TRIED_ROWS = 20_000
_MOST_TRIALS = 60
_SHOWN = 3
_NO_BETTER = 2.0
"""How many times the log loss of no scores at all a kind of score may have, to be believed."""


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
    if topic == "kind" and _log_probabilities(spec, need_labels=need_labels):
        return []
    wanted = [*islice(candidates(spec, topic, need_labels), _MOST_TRIALS)]
    trials = _trials(spec, wanted, need_labels=need_labels)
    if not trials and topic != "kind" and spec.scale is None and not spec.logits:
        percent = [(*options, PERCENT) for options in wanted]
        trials = _trials(spec, percent, need_labels=need_labels)
    if topic == "kind":
        return [one.options for one in trials if one.loss <= _NO_BETTER][:1]
    # All classes tell more than the confidence of the prediction, and that is no one class's score.
    named = {name for one in trials for name, _ in one.options}
    surest = next((name for name in ("--scores", "--predicted") if name in named), None)
    if surest == "--scores":
        trials = [one for one in trials if not _has(one.options, "--predicted")]
    elif surest is not None:
        trials = [one for one in trials if _has(one.options, surest)]
    # Of the labels that could be the positive one, and of the scores of two classes, those that
    # rank the right way round.
    trials = [one for one in trials if one.ranking >= 0.5] or trials
    trials.sort(key=lambda one: (not _all_labels(one.options), -one.strength))
    # What ranks much worse than the best is not what is meant.
    return [one.options for one in trials[:_SHOWN] if 2 * one.strength >= trials[0].strength]


def _trials(spec: InputSpec, wanted: Sequence[Options], *, need_labels: bool) -> list[Trial]:
    trials: list[Trial] = []
    for options in wanted:
        if options[-1:] == DROPPING and any(one.options == options[:-1] for one in trials):
            continue  # nothing has to be left out
        tried = _tried(spec, options, need_labels=need_labels)
        if tried is not None:
            trials.append(tried)
    return trials


def _has(options: Options, name: str) -> bool:
    return any(one == name for one, _ in options)


def _all_labels(options: Options) -> bool:
    """Whether options read every label of a row, of which a single one may rank better."""
    return any(name == "--label" and (value or "").endswith("*") for name, value in options)


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


def _log_probabilities(spec: InputSpec, *, need_labels: bool) -> bool:
    """Whether scores are rather logarithms of probabilities than logits: none is above 0.

    Of several classes both are read alike: softmax gives the probabilities back.
    """
    read = _read(replace(spec, logits=True, scale=None), need_labels=need_labels)
    if read is None or read[2] or read[0].max(initial=-np.inf) > 0:
        return False
    p, labels, _ = read
    if labels is None:
        return True  # nothing tells which
    return _judged(np.exp(p), labels)[1] < _judged(expit(p), labels)[1]


def _tried(spec: InputSpec, options: Options, *, need_labels: bool) -> Trial | None:
    """Read the first rows with these options; None where that fails."""
    wanted = with_options(spec, options)
    read = _read(wanted, need_labels=need_labels)
    if read is None:
        return None
    p, labels, exclusive = read
    if wanted.logits and not spec.logits and p.min(initial=0) >= 0 and p.max(initial=0) <= 1:
        return None  # as logits, probabilities say nearly nothing, and never much that is wrong
    if PERCENT in options and p.max(initial=0) * float(PERCENT[1]) <= 1:
        return None  # probabilities already
    if labels is None and wanted.raw:
        return None
    if labels is None:  # rows to apply a calibrator to: of logits some are negative
        return Trial(options, 0.5, 1.0 if not wanted.logits or p.min() < 0 else np.inf)
    if wanted.logits:
        p = softmax(p) if exclusive else expit(p)
    ranking, loss = _judged(p, labels)
    if wanted.raw:  # which way up they rank is all that can be told
        loss = 0.0 if ranking > 0.5 else np.inf
    return Trial(options, ranking, loss)


def _read(
    wanted: InputSpec, *, need_labels: bool
) -> tuple[NDArray[np.float64], NDArray[Any] | None, bool] | None:
    """Return scores and labels of the first rows, and whether classes exclude each other.

    None where they cannot be read.
    """
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
    return p, np.concatenate(labels) if labels else None, dataset.exclusive


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
