"""What rows are compared with: scores, saved statistics, or a calibrator that carries its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from calibcli.core.numeric.raw_scale import stored_scale
from calibcli.core.results.base import plain
from calibcli.core.results.comparisons import Sample
from calibcli.core.results.figures import OVERALL
from calibcli.core.results.parts.stored import StoredCalibrator
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.artifacts import kind_of, read_as
from calibcli.io.failures import show
from calibcli.io.formats.sources import expand
from calibcli.io.rows.columns import NoColumnError
from calibcli.tasks.families import digest_of, population_of
from calibcli.workflows.input.gather import gather, is_artifact
from calibcli.workflows.input.gathered import Gathered, Slice
from calibcli.workflows.input.remembered import with_scale
from calibcli.workflows.input.saved import calibrated_cells

if TYPE_CHECKING:
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.conventions import Conventions

_ROW_WISE = ("grouped", "pool")
"""Calibrators that need more of a row than its score."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The sample that drift is measured from.

    Attributes:
        path: as it was given; `kind` is "scores", "stats" or "calibrator".
        population: its pairs, and `calibrated` the same after --calibrator, where that can be.
        labelled: whether it has labels.
        warnings: what is to be said of it.
        digest: of the rows; None of a calibrator that does not know it.
        groups: the slices of the group columns, where it has these.
    """

    path: str
    kind: Literal["scores", "stats", "calibrator"]
    population: Population
    calibrated: Population | None
    labelled: bool
    warnings: tuple[Warning, ...] = ()
    digest: str | None = None
    groups: tuple[Slice, ...] = ()

    @property
    def sample(self) -> Sample:
        """What a result says of it."""
        return Sample(
            self.path, self.kind, self.population.pairs.n, self.labelled, digest=self.digest
        )


def scaled_as(spec: InputSpec, reference: str) -> InputSpec:
    """Return input options that read raw scores as the calibrator does that they are held against.

    Raises:
        InputError: a file that cannot be read.
        UsageError: raw scores held against a calibrator of others, or the reverse.
    """
    sources = expand((reference,), spec.input_format)
    if len(sources) != 1 or not is_artifact(sources[0]) or kind_of(reference) != "calibrator":
        return spec
    _, stored = read_as(reference, "calibrator", StoredCalibrator)
    scale = stored_scale(stored.input.raw)
    if scale is not None and not spec.raw:
        raise UsageError(
            f"{show(reference)} was fitted on raw scores, and these are read as probabilities",
            "add --raw --descending" if scale.descending else "add --raw",
        )
    return with_scale(spec, scale, f"{show(reference)} was fitted")


def gather_current(
    spec: InputSpec, conventions: Conventions, **options: Any
) -> tuple[Gathered, InputError | None]:
    """Read the rows that are compared, which need no labels.

    Returns:
        What was gathered; and the error of a --label column that these rows lack, which stands
        unless the reference has that column: labels often come later than scores.
    """
    try:
        return gather(spec, conventions, labels=None, **options), None
    except NoColumnError as error:
        if error.option != "--label" or spec.labels is not None:
            raise
        bare = replace(spec, label=None)
        return gather(bare, conventions, labels=False, **options), error


def load_reference(path: str, asked: Asked, found: Gathered) -> Reference:
    """Read the reference of some gathered rows.

    Args:
        path: scores (read with the same column options), statistics, or a calibrator.
        asked: how the current rows were read; also compared after its calibrator.
        found: what has been gathered of them.

    Raises:
        InputError: no such file, another task or other classes, a calibrator without statistics.
    """
    spec, calibrator = asked.spec, asked.mapping
    sources = expand((path,), spec.input_format)
    kind: Literal["scores", "stats", "calibrator"] = "scores"
    if len(sources) == 1 and is_artifact(sources[0]):
        kind = "calibrator" if kind_of(path) == "calibrator" else "stats"
    digest: str | None
    scale = found.raw_scale
    if scale is not None and kind == "stats":
        raise InputError(
            f"{path} holds statistics of probabilities, and these are raw scores",
            "compare with the scores, or with the calibrator that was fitted on them",
        )
    if kind == "calibrator":
        there, digest = _of_calibrator(path)
    else:
        bare = replace(spec, paths=(path,), labels=None, raw_scale=scale, pixels=found.task)
        options: dict[str, Any] = {"threads": asked.threads, "labels": None, "to_logits": True}
        options["calibrator"] = calibrator if kind == "scores" else None
        there = _with_groups(bare, asked.conventions, options, stats=kind == "stats")
        digest = digest_of(there.overall.population)
    if (there.task, there.classes) != (found.task, found.classes):
        raise InputError(
            f"the reference {path} holds {_scores(there)}, these rows are {_scores(found)}",
            "compare with scores of the same model: the same task, classes and columns",
        )
    if (
        calibrator is not None
        and there.overall.calibrated is None
        and there.single
        and calibrator.method not in _ROW_WISE
    ):
        there = calibrated_cells(there, calibrator, to_logits=True)
    warnings = [warning.about("the reference: ") for warning in there.warnings]
    if found.clustered and there.overall.population.pairs.parts is None:
        text = (
            f"the reference {path} does not keep its clusters: its rows count as independent, and "
            "intervals and tests are too sure; compare with scores, or with statistics saved "
            "with --cluster"
        )
        warnings.append(Warning("reference", text))
    return Reference(
        path,
        kind,
        there.overall.population,
        there.overall.calibrated,
        there.labelled,
        tuple(warnings),
        digest,
        there.groups,
    )


def _with_groups(
    spec: InputSpec, conventions: Conventions, options: dict[str, Any], *, stats: bool
) -> Gathered:
    """Read a reference with its groups; where it lacks their columns, as one sample.

    A table of images is of the images that are compared, so it tells nothing of others.
    """
    if not stats and spec.groups and spec.images is None:
        try:
            return gather(spec, conventions, **options)
        except NoColumnError as error:
            if error.option != "--group":
                raise
            found = gather(replace(spec, groups=()), conventions, **options)
            text = f"{error.message}: drift is of all rows, not of groups"
            return replace(found, warnings=[*found.warnings, Warning("reference", text)])
    return gather(replace(spec, groups=()), conventions, **options)


def _of_calibrator(path: str) -> tuple[Gathered, str | None]:
    payload, stored = read_as(path, "calibrator", StoredCalibrator)
    families = stored.stats
    if not families:
        raise InputError(
            f"{path} carries no statistics of the rows that it was fitted on",
            "fit it again with this version, or compare with the scores: --reference SCORES",
        )
    found = Gathered(
        stored.task,
        stored.classes,
        stored.input.logits,
        Slice(OVERALL, population_of(stored.task, families)),
        (),
        [plain(one) for one in stored.inputs],
        payload.get("params", {}),
    )
    return found, stored.data


def _scores(found: Gathered) -> str:
    return f"{found.task} of {len(found.classes)} classes" if found.classes else found.task
