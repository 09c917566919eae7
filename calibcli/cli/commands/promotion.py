"""The options of `--promote-over` and `--rollback`, and their runs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, fields
from math import inf, isnan
from typing import TYPE_CHECKING, Any, ClassVar

from calibcli.cli import console, options
from calibcli.cli.choices import Format, flag, option
from calibcli.errors import ExitCode, InputError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from calibcli.core.comparison.promotion import Rule
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.workflows.input.conventions import Conventions

_SHIFTS = ("psi", "odds", "auc")


@dataclass(frozen=True)
class PromotionOptions:
    """What a challenger has to pass to replace a file that is in use."""

    command: ClassVar[str] = "threshold"
    needs_output: ClassVar[bool] = False

    promote_over: str | None = option(
        "FILE", "Replace this file if what is new is better beyond its interval."
    )
    rollback: str | None = option("FILE", "Put FILE.previous back; again to undo that.")
    dry_run: bool = flag("Decide and tell, and write nothing.")
    ok_if_kept: bool = flag("Exit 0 where nothing is wrong and nothing is better.")
    fail_if: list[str] | None = option(
        "EXPR", "Exit 1 and write nothing if this holds, such as 'recall.low<0.8'."
    )
    every: bool = flag("Print every figure, candidate, class and group.", long="--all")
    min_rows: int | None = option("N", "Rows that a dump must have. [default: 1000]")
    min_positives: int | None = option(
        "N", "Rows of the rarer label, or of each class. [default: 50; several classes: 10]"
    )
    max_shift: str | None = option(
        "psi=P,odds=F,auc=D",
        "Keep the old one if scores, labels or their ranking moved further. "
        "[default: psi=0.1,odds=2,auc=0.1]",
    )
    lock_timeout: float | None = option(
        "SECONDS", "Wait for another run on FILE. [default: 600]", min=0
    )

    def check(self, output: str | None, project: Iterable[str] = ()) -> None:
        """Refuse options that have no meaning together.

        `project` names those from the project file.

        Raises:
            UsageError: no place for the calibrator or two, options of a promotion without one.
        """
        if self.promote_over is not None:
            if self.every:
                raise UsageError("--all shows all of a result, and a promotion is shown whole")
            if output is not None:
                raise UsageError(
                    "-o and --promote-over are two places for one file", "give one of them"
                )
            return
        given = [name for name in self._given(project) if name not in ("fail_if", "every")]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} goes with --promote-over FILE")
        if output is None and self.needs_output:
            raise UsageError("-o is missing: where the calibrator goes", "-o calibrator.json")

    def _given(self, project: Iterable[str]) -> list[str]:
        names = [one.name for one in fields(self) if getattr(self, one.name) not in (None, False)]
        return [name for name in names if name not in set(project)]

    def check_rollback(
        self, paths: list[str] | None, output: str | None, project: Iterable[str] = ()
    ) -> None:
        """Refuse what has no meaning beside --rollback.

        Raises:
            UsageError: scores to read, options of a fit.
        """
        others = set(self._given(project)) - {"rollback", "lock_timeout", "thresholds"}
        if paths or output is not None or others:
            raise UsageError(
                "--rollback reads no scores and makes nothing new",
                f"calibcli {self.command} --rollback {self.rollback}",
            )

    def rule(self, confidence: float) -> Rule:
        """Return what these options ask of a challenger.

        Raises:
            UsageError: a limit that cannot be one.
        """
        from calibcli.core.comparison.promotion import Rule

        given: dict[str, Any] = {
            "min_rows": self.min_rows,
            "min_positives": self.min_positives,
            **self._more(),
            **_limits(self.max_shift),
        }
        return Rule(confidence=confidence, **{k: v for k, v in given.items() if v is not None})

    def attempt(self, confidence: float) -> Any:
        """Return the Attempt of these options."""
        from calibcli.workflows.promote.outcome import Attempt

        assert self.promote_over is not None
        rule = self.rule(confidence)
        wait = {} if self.lock_timeout is None else {"lock_timeout": self.lock_timeout}
        gates = tuple(self.fail_if or ())
        return Attempt(self.promote_over, rule, gates, self.dry_run, **wait)

    def _more(self) -> dict[str, Any]:
        """Return what else a rule is made of."""
        return {}


@dataclass(frozen=True)
class FitPromotionOptions(PromotionOptions):
    """What a calibrator has to pass to replace another."""

    command: ClassVar[str] = "fit"
    needs_output: ClassVar[bool] = True

    steps: str | None = option(
        "S,S…", "Parts of the way to the new fit that are tried. [default: 1,0.5,0.25]"
    )

    thresholds: str | None = option(
        "FILE", "Cut-offs after the calibrator: both are replaced, or neither."
    )

    def _more(self) -> dict[str, Any]:
        return {"steps": None if self.steps is None else options.numbers(self.steps, "--steps")}


def _limits(text: str | None) -> dict[str, float]:
    """Return the limits of 'psi=0.1,odds=2'; `inf` switches one off."""
    found: dict[str, float] = {}
    for part in options.texts(text) or ():
        name, _, value = part.partition("=")
        if name.strip() not in _SHIFTS:
            hint = did_you_mean(name.strip(), _SHIFTS) or "--max-shift psi=0.1,odds=2"
            raise UsageError(f"--max-shift knows no {name.strip()!r}", hint)
        try:
            limit = float(value)
        except ValueError:
            limit = float("nan")
        if isnan(limit) or limit == -inf:
            raise UsageError(f"--max-shift {part!r} has no limit", "--max-shift psi=0.1,odds=2")
        found[name.strip()] = limit
    return found


@contextmanager
def refusals(path: str | None, form: options.FormatOptions) -> Iterator[None]:
    """Print the line of a log also where input cannot be used; `path` is the file in use, if any.

    Raises:
        InputError: as it came.
    """
    from calibcli.core.results.base import plain
    from calibcli.workflows.promote.outcome import refused

    try:
        yield
    except InputError as error:
        if path is not None:
            _log(plain(refused(path, error)), form)
        raise


def promote(
    run_it: Callable[[Any, Any], PromotionResult],
    given: PromotionOptions,
    conventions: Conventions,
    form: options.FormatOptions,
    run: options.RunOptions,
    tags: dict[str, str],
) -> int:
    """Run a promotion, an attempt and a progress bar to its result; return the exit code."""
    from calibcli.core.results.base import plain

    assert given.promote_over is not None
    if conventions.confidence is None:
        raise UsageError("--promote-over decides by an interval", "leave out --no-ci")
    attempt = given.attempt(conventions.confidence)
    with (
        refusals(given.promote_over, form),
        console.Progress(quiet=run.quiet, verbose=run.verbose) as progress,
    ):
        result = plain(run_it(attempt, progress.callback))
    run.complete(result)
    if tags:
        result["params"]["tags"] = tags
    progress.tell(result)
    _show(result, form, run)
    if result["decision"] != "kept" or (given.ok_if_kept and result["code"] == "not-better"):
        return int(ExitCode.OK)
    return int(ExitCode.NO)


def put_back(given: PromotionOptions, form: options.FormatOptions, run: options.RunOptions) -> int:
    """Run `--rollback`; return the exit code."""
    from importlib import import_module

    from calibcli.core.results.base import plain

    assert given.rollback is not None
    module = "promote" if given.command == "fit" else "cuts"
    wait = {} if given.lock_timeout is None else {"lock_timeout": given.lock_timeout}
    thresholds = getattr(given, "thresholds", None)
    with refusals(given.rollback, form):
        if thresholds is not None:
            from calibcli.workflows.promote.pair import rolled_back_pair

            result = plain(rolled_back_pair(given.rollback, thresholds, **wait))
        else:
            rolled_back = import_module(f"calibcli.workflows.promote.{module}").rolled_back
            result = plain(rolled_back(given.rollback, **wait))
    _show(result, form, run)
    return int(ExitCode.OK)


def _show(result: dict[str, Any], form: options.FormatOptions, run: options.RunOptions) -> None:
    console.warn(result, form.format, quiet=run.quiet)
    if form.format is Format.JSON:
        _log(result, form)
    else:
        console.summarise(form.format, "promotion", result)
        console.emit(console.render(form.format.value, "promotion", result))


def _log(result: dict[str, Any], form: options.FormatOptions) -> None:
    """Print the line of a log, where JSON is wanted."""
    if form.format is Format.JSON:
        from calibcli.render.formats.jsonout import render_line

        console.emit(render_line(result))
