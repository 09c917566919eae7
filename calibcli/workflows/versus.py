"""`measure --versus`: a second model on the same rows, and which has the better probabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from calibcli.core.paired import Difference, bounds
from calibcli.errors import InputError, UsageError
from calibcli.io.dataset import open_dataset
from calibcli.tasks.collect import count
from calibcli.tasks.versus import Model, names_of, paired_sums, sides
from calibcli.workflows.gather import layout_of
from calibcli.workflows.slices import metrics_of

if TYPE_CHECKING:
    from calibcli.io.dataset import Dataset, InputSpec
    from calibcli.tasks.collect import Layout, Population
    from calibcli.tasks.versus import Side
    from calibcli.workflows.conventions import Conventions
    from calibcli.workflows.gather import Gathered

Result = dict[str, Any]
_SAME = ("n", "prevalence", "brier_uncertainty")
_NO_INTERVAL = "no paired interval: not a smooth function of the rows"


def versus(
    found: Gathered,
    spec: InputSpec,
    conventions: Conventions,
    other: str,
    *,
    threads: int | None = None,
) -> Result:
    """Return the paired differences of every metric, second model less first.

    Args:
        found: what the first model's pass gathered.
        spec: the first model's input options.
        conventions: how to bin and how sure to be.
        other: a score column of the same files (for several classes a glob or K columns), or a
            file of scores of the same rows in the same order.
        threads: how many threads read.

    Raises:
        InputError: no such column or file, or other rows.
        UsageError: saved statistics, which know nothing of single rows.
    """
    if found.dataset is None:
        raise UsageError(
            "--versus compares row by row, and saved statistics have no rows",
            "give the score files instead",
        )
    first = found.dataset
    second, name, source = _second(first, spec, other)
    if (second.task, len(second.classes)) != (found.task, len(found.classes)):
        raise InputError(
            f"{name} holds {second.task} scores of {len(second.classes) or 'no'} classes, not "
            f"{found.task} ones of {len(found.classes) or 'no'} as the first model",
            "compare models of the same task and classes",
        )
    layout = replace(
        layout_of(first, replace(spec, groups=()), conventions), clustered=False, intervals=False
    )
    parts = sides(first, second, layout, (first.paths[0], name))
    after = _counted(parts, layout, threads, second=True)
    before = found.overall.population
    if spec.drop_invalid:  # the rows that both models have
        before = _counted(parts, layout, threads, second=False)
    metrics = _differences(parts, before, after, layout, spec, conventions, threads)
    return {
        "score": name,
        "source": source,
        "metrics": metrics,
        "verdict": verdict(metrics, name),
    }


def _second(first: Dataset, spec: InputSpec, other: str) -> tuple[Dataset, str, str]:
    """Open the second model's scores: a column of the same files, else a file."""
    if getattr(first, "unit", "row") == "pixel":
        return open_dataset(replace(spec, paths=(other,))), other, "file"
    bare = replace(
        spec,
        label=None,
        labels=None,
        positive=None,
        weight=None,
        count=None,
        cluster=None,
        groups=(),
    )
    bare = replace(bare, task=first.task, classes=first.classes or None)
    sources = list({id(p.reader): p.reader.source for p in first.partitions}.values())
    names = tuple(part.strip() for part in other.split(","))
    column = (
        replace(bare, score=None, scores=names) if first.classes else replace(bare, score=other)
    )
    try:
        return open_dataset(column, need_labels=False, sources=sources), other, "column"
    except InputError as error:
        if not (Path(other).exists() or "://" in other):
            if first.score_names:
                raise
            raise InputError(f"no such file: {other}", error.hint) from None
    file = replace(
        bare, paths=(other,), input_format=None, label=spec.label, positive=spec.positive
    )
    try:
        return open_dataset(file, need_labels=None), other, "file"
    except InputError:
        if spec.score is None and spec.scores is None:
            raise
    file = replace(file, score=None, scores=None)
    return open_dataset(file, need_labels=None), other, "file"


def _counted(parts: list[Side], layout: Layout, threads: int | None, *, second: bool) -> Population:
    readable = SimpleNamespace(partitions=[replace(part, second=second) for part in parts])
    return count(cast("Dataset", readable), layout, threads=threads).overall.population()


def _differences(
    parts: list[Side],
    before: Population,
    after: Population,
    layout: Layout,
    spec: InputSpec,
    conventions: Conventions,
    threads: int | None,
) -> Result:
    first, second = (metrics_of(one, conventions, None) for one in (before, after))
    errors: dict[str, float] = {}
    quantile = 0.0
    level, clustered = conventions.confidence, spec.cluster is not None
    if level is not None:
        models = Model(before, conventions.headline), Model(after, conventions.headline)
        sums = paired_sums(parts, models, layout, threads)
        values = sums.errors(clustered=clustered).tolist()
        errors = dict(zip(names_of(layout.task), values, strict=True))
        quantile = sums.quantile(level, clustered=clustered)
    found: Result = {}
    for name in first:
        if name in _SAME:
            continue
        one = Difference(first[name][0], second[name][0], reason=first[name][3] or second[name][3])
        if one.value is not None and level is not None:
            ends = bounds(one.value, errors.get(name, float("nan")), quantile)
            one = (
                replace(one, reason=_NO_INTERVAL)
                if ends is None
                else replace(one, low=ends[0], high=ends[1])
            )
        found[name] = one.to_dict()
    return found


def verdict(metrics: Result, name: str) -> str:
    """Return which model has the better probabilities, by the two proper scores."""
    sides = {score: _better(metrics[score]) for score in ("nll", "brier")}
    words = {"nll": "log loss", "brier": "Brier score"}
    who = {-1: f"the second model ({name})", 1: "the first model"}
    sure = {score: side for score, side in sides.items() if side}
    if len(set(sure.values())) > 1:
        told = ", ".join(f"{words[s]} prefers {who[side]}" for s, side in sure.items())
        return f"the proper scores disagree: {told}"
    if not sure:
        if metrics["nll"]["low"] is None:
            return "without intervals nobody can say which has the better probabilities"
        return "these rows do not tell which has the better probabilities"
    side = next(iter(sure.values()))
    by = " and ".join(words[score] for score in sure)
    rest = [words[score] for score in sides if score not in sure]
    more = f"; the {rest[0]} does not tell them apart" if rest else ""
    return f"{who[side]} has the better probabilities, by {by}{more}"


def _better(item: Result) -> int:
    """Return -1 where the second is lower beyond the interval, 1 where the first is, else 0."""
    if item["low"] is None or item["low"] <= 0.0 <= item["high"]:
        return 0
    return -1 if item["high"] < 0.0 else 1
