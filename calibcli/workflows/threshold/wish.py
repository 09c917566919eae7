"""What a cut-off is to achieve: the options of `threshold`, understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.costs import Costs, parse_costs
from calibcli.core.decisions.objectives import (
    ROWS,
    default_objective,
    parse_constraint,
    parse_objective,
)
from calibcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Constraint, Objective
    from calibcli.core.decisions.parity import Equal
    from calibcli.core.numeric.raw_scale import RawScale


@dataclass(frozen=True, slots=True)
class Wish:
    """What the cut-off is to achieve.

    Attributes:
        objective: what is made as large, or costs as small, as can be.
        constraints: what must hold.
        costs: of the four outcomes, and of referring.
        prior: prevalence where it will be used: one, or one a class.
        guarantee: the confidence with which the constraints are to hold on new rows.
        per_group: the column of which each value gets a cut-off of its own.
        equal: the figure that is to be the same in each of those groups.
        never: whether a slice that cannot meet the constraints gets a cut-off above every score.
        scale: of raw scores, which say what is met in their own unit.
    """

    objective: Objective
    constraints: tuple[Constraint, ...] = ()
    costs: Costs | None = None
    prior: tuple[float, ...] | None = None
    guarantee: float | None = None
    per_group: str | None = None
    equal: Equal | None = None
    never: bool = False
    scale: RawScale | None = None

    @property
    def within(self) -> str | None:
        """The column in each of whose groups a bound is to hold; None where there is none."""
        return next((one.within for one in self.constraints if one.within is not None), None)

    @property
    def by_rows(self) -> str:
        """The figure of the label set of a row that is sought or bounded; "" for none."""
        names = (self.objective.name, *(one.name for one in self.constraints))
        return next((name for name in names if name in ROWS), "")

    @property
    def target(self) -> str:
        """The constraints in words."""
        return " and ".join(map(str, self.constraints))

    @classmethod
    def parse(
        cls,
        maximize: str | None = None,
        subject_to: tuple[str, ...] = (),
        cost: str | None = None,
        prior: tuple[float, ...] | None = None,
        *,
        guarantee: float | None = None,
        per_group: str | None = None,
        equal: Equal | None = None,
        images: bool = False,
        boxes: bool = False,
        never: bool = False,
    ) -> Wish:
        """Understand the options.

        Raises:
            UsageError: options that cannot be understood or contradict each other.
        """
        constraints = tuple(parse_constraint(text, boxes=boxes) for text in subject_to)
        costs = None if cost is None else parse_costs(cost)
        if maximize is not None and costs is not None:
            raise UsageError("--maximize and --cost are two objectives", "give one of them")
        check_prior(prior)
        if never and not constraints:
            raise UsageError(
                "--unreachable is about a target, and there is none",
                "add --subject-to 'precision>=0.95'",
            )
        if guarantee is not None:
            _check_guarantee(guarantee, constraints, equal)
        if equal is not None:
            _check_equal(equal, constraints, per_group, costs, prior)
        if costs is not None:
            objective = costs.objective()
        elif maximize is not None:
            objective = parse_objective(maximize, images=images)
        elif constraints:
            objective = default_objective(constraints)
        else:
            objective = parse_objective("f1")
        wish = cls(objective, constraints, costs, prior, guarantee, per_group, equal, never)
        if wish.within is not None:
            _check_within(wish)
        if wish.by_rows:
            _check_by_rows(wish)
        return wish

    def prior_of(self, place: int, classes: tuple[str, ...]) -> float | None:
        """Return the prevalence for one slice: the binary score, or class number `place`.

        Raises:
            UsageError: as many prevalences as there are no classes.
        """
        if self.prior is None:
            return None
        wanted = max(len(classes), 1)
        if len(self.prior) != wanted:
            raise UsageError(
                f"--prior has {len(self.prior)} values, where {wanted} are needed",
                "one prevalence a class, in class order: --prior 0.2,0.3,0.5"
                if wanted > 1
                else "one prevalence: --prior 0.02",
            )
        return self.prior[place]


def refuse_beside_common(wish: Wish, *, single: bool) -> None:
    """Refuse what makes no sense of one cut-off for all classes.

    Raises:
        UsageError: a single score, or an option that is about each class by itself.
    """
    name = wish.by_rows or wish.objective.name
    if single:
        raise UsageError(
            f"{name} is of several classes or labels", "--maximize f1 is the same of one score"
        )
    given = {
        "--subject-to": () if wish.by_rows else wish.constraints,
        "--prior": wish.prior,
        "--per-group": wish.per_group,
    }
    for option, value in given.items():
        if value:
            raise UsageError(
                f"{name} gives all classes one cut-off, and {option} each its own",
                f"leave out {option}, or --maximize f1",
            )


def _check_within(wish: Wish) -> None:
    """Refuse what makes no sense of a bound of every group."""
    named = next(str(one) for one in wish.constraints if one.within is not None)
    if wish.guarantee is None:
        raise UsageError(
            f"'{named}' is a promise, and nothing is promised",
            "add --guarantee 0.95; --group shows what a cut-off does in each group",
        )
    if len({one.within for one in wish.constraints if one.within is not None}) > 1:
        raise UsageError("bounds of every group are of one column", "give one column")
    if wish.per_group is not None:
        raise UsageError(
            f"'{named}' is of one cut-off for every group, and --per-group gives each its own",
            "leave out one of them",
        )
    if wish.by_rows:
        raise UsageError(f"{wish.by_rows} is of all rows", "leave out worst(…)")


def _check_by_rows(wish: Wish) -> None:
    """Refuse what makes no sense of one cut-off that is judged by the label set of a row."""
    name = wish.by_rows
    if wish.costs is not None:
        raise UsageError(f"{name} and --cost are two goals", "give one of them")
    if wish.objective.name not in ROWS:
        raise UsageError(
            f"{name} gives all labels one cut-off, and {wish.objective.name} is of each label",
            f"--maximize {' or '.join(sorted(ROWS))}",
        )
    others = [str(one) for one in wish.constraints if one.name not in ROWS]
    if others:
        raise UsageError(
            f"{name} gives all labels one cut-off, and '{others[0]}' is of each label",
            "leave one of them out",
        )
    if wish.never:
        raise UsageError("--unreachable is of several cut-offs, and here is one", "leave it out")
    if wish.guarantee is not None and any(one.name == "row-f1" for one in wish.constraints):
        raise UsageError("row-f1 cannot be certified", "certifiable: row-recall>=, row-precision>=")


def class_ratio(
    prior: tuple[float, ...], count: NDArray[np.float64], classes: tuple[str, ...]
) -> NDArray[np.float64]:
    """Return the asked prevalence of each class divided by that of the rows (K,).

    Raises:
        InputError: a class that does not occur.
        UsageError: prevalences that do not fit the classes.
    """
    if len(prior) != len(classes) or abs(sum(prior) - 1) > 1e-6:
        raise UsageError(
            f"--prior needs {len(classes)} prevalences that sum to 1",
            "one a class, in class order: --prior 0.2,0.3,0.5",
        )
    if (count == 0).any():
        missing = classes[int(np.flatnonzero(count == 0)[0])]
        raise InputError(
            f"class {missing!r} does not occur: there is no prevalence to change",
            "give rows of every class, or leave out --prior",
        )
    return np.asarray(np.array(prior) / (count / count.sum()), dtype=np.float64)


def check_prior(prior: tuple[float, ...] | None) -> None:
    """Raise UsageError unless each prevalence lies between 0 and 1."""
    if prior is not None and any(not 0 < one < 1 for one in prior):
        raise UsageError("--prior must lie between 0 and 1", "for example --prior 0.02")


def check_confidence(guarantee: float) -> None:
    """Raise UsageError unless a guarantee's confidence is one."""
    if not 0.5 <= guarantee < 1:
        raise UsageError(
            f"--guarantee is a confidence from 0.5 up to 1, not {guarantee!r}", "--guarantee 0.95"
        )


def _check_guarantee(
    guarantee: float, constraints: tuple[Constraint, ...], equal: Equal | None
) -> None:
    check_confidence(guarantee)
    if not constraints:
        raise UsageError("--guarantee has nothing to promise", "add --subject-to 'precision>=0.95'")
    if equal is not None:
        raise UsageError(
            "--equal and --guarantee cannot be combined",
            "--per-group with --guarantee certifies a cut-off in each group",
        )


def _check_equal(
    equal: Equal,
    constraints: tuple[Constraint, ...],
    per_group: str | None,
    costs: Costs | None,
    prior: tuple[float, ...] | None,
) -> None:
    if per_group is None:
        raise UsageError(f"--equal {equal} needs groups", f"--per-group COL --equal {equal}")
    if costs is not None and costs.refer is not None:
        raise UsageError("--equal has no referral", "leave out refer=")
    if prior is not None:
        raise UsageError("--equal and --prior cannot be combined", "leave out --prior")
    op = ">=" if equal == "recall" else "<="
    fits = [c for c in constraints if c.name == equal and c.op == op]
    if len(constraints) > 1 or len(fits) != len(constraints):
        raise UsageError(
            f"--equal {equal} takes one constraint, its level",
            f"--equal {equal} --subject-to '{equal}{op}{0.9 if equal == 'recall' else 0.1}'",
        )
