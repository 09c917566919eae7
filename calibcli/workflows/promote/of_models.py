"""`fit --ensemble --promote-over`: a pool of several models against the one in use."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from calibcli.core.calibrators.composed.model_pool import ModelPool
from calibcli.core.comparison.promotion import best_step, compared
from calibcli.core.fitting.held_out import HeldOut
from calibcli.core.results.figures import OVERALL
from calibcli.errors import InputError
from calibcli.io.failures import listing, show
from calibcli.tasks.collect import count
from calibcli.tasks.scan import scan
from calibcli.workflows.fit.models import PoolLosses
from calibcli.workflows.input.gather import from_counted, layout_of
from calibcli.workflows.input.gathered import Slice
from calibcli.workflows.promote.challenge import Contest, toward
from calibcli.workflows.promote.shift import shift_checks

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator
    from calibcli.core.comparison.promotion import Check, Rule
    from calibcli.core.fitting.held_out import Score
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.collect import Population
    from calibcli.workflows.fit.fitted import FitOptions, Fitted
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator


def check_pool(path: str, champion: LoadedCalibrator, models: tuple[str, ...]) -> None:
    """Raise InputError unless champion and challenger are of the same models."""
    one = champion.calibrator
    was = one.models if isinstance(one, ModelPool) else ()
    if was == models:
        return
    if not was:
        raise InputError(
            f"{show(path)} is of one model, and a pool of several reads other columns",
            hint="put the pool in place once: calibcli fit SCORES --ensemble … -o FILE",
        )
    raise InputError(
        f"{show(path)} is a pool of {listing(list(was))}", hint=f"add --ensemble {','.join(was)}"
    )


def contest_models(
    found: Gathered,
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    champion: Calibrator,
    fitted: Fitted,
    rule: Rule,
    threads: int | None,
) -> Contest:
    """Compare the pool in use with what lies on the way from it to a fresh one."""
    assert found.dataset is not None
    steps = [s for s in rule.steps if champion.toward(fitted.calibrator, s) is not None] or [1.0]
    ways = [[toward(champion, step, end) for end in fitted.folds] for step in steps]
    layout = layout_of(found.dataset, spec, conventions)
    held = HeldOut(1 + len(steps), clustered=layout.clustered)
    pools = [[cast("ModelPool", one) for one in way] for way in ways]
    old = [cast("ModelPool", champion)] * len(fitted.folds)
    losses = PoolLosses(held, layout, [old, *pools], [], cast("Score", options.select))
    scan(found.dataset, layout, losses, threads=threads)
    tried = compared(held, steps, rule.confidence)
    best = best_step(tried)
    chosen = tuple(ways[steps.index(best.step)])
    counted = count(found.dataset, layout, calibrator=chosen, threads=threads)
    after = from_counted(found.dataset, spec, counted).overall.calibrated
    assert after is not None
    calibrator = toward(champion, best.step, fitted.calibrator)
    outcome = replace(fitted, calibrator=calibrator, after=after, kind="cross-fitted")
    way = partial(toward, champion, best.step)
    return Contest(tried, best, outcome, layout.clustered, way)


def model_checks(
    found: Gathered,
    rows: dict[str, Population],
    champion: LoadedCalibrator,
    rule: Rule,
) -> list[Check]:
    """Hold the scores of each model against those that the pool in use was fitted on.

    An average shows little of one model whose column is stuck or joined to the wrong rows.
    """
    known = champion.stored.model_stats or {}
    checks = []
    for name, population in rows.items():
        if name not in known:
            continue
        own = replace(found, overall=Slice(OVERALL, population))
        for check in shift_checks(own, known[name], rule):
            said = f"{name}: {check.said}"
            checks.append(replace(check, name=f"{check.name}[{name}]", said=said))
    return checks
