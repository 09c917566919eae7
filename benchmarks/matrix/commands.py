"""The commands that try each feature on a kind of scores, and what shows that it acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.matrix.data import Files, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Command = list[str]


@dataclass(frozen=True, slots=True)
class Trial:
    """How a feature is tried.

    Attributes:
        command: the last command, which acts or is refused.
        before: commands that make what it reads.
        base: a command whose output must be another; None where to succeed is to act.
        written: a file that must be there afterwards, and differ from that of the base.
    """

    command: Command
    before: list[Command] = field(default_factory=list)
    base: Command | None = None
    written: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Two samples of one kind of scores, and what is made of them.

    Attributes:
        kind: of scores.
        folder: where everything is.
        fitted: the sample that is fitted on; `new` another one.
        scheduler: address of a Dask scheduler.
        done: what commands have printed that others rest on.
        bases: the same of commands that others are held against, and what they wrote.
    """

    kind: str
    folder: Path
    fitted: Files
    new: Files
    scheduler: str = ""
    done: dict[tuple[str, ...], tuple[int, str, str]] = field(default_factory=dict)
    bases: dict[tuple[str, ...], tuple[int, str, str, Any]] = field(default_factory=dict)

    @classmethod
    def make(cls, kind: str, folder: Path, scheduler: str = "") -> World:
        """Write the samples."""
        fitted, new = (write(kind, folder / name, seed) for seed, name in enumerate(("fit", "new")))
        return cls(kind, folder, fitted, new, scheduler)

    def path(self, name: str) -> str:
        """Return where a file is made."""
        return str(self.folder / name)

    def on(self, command: str, files: Files, *more: str) -> Command:
        """Return a command on a sample."""
        return [command, files.scores, *files.beside, "--format", "json", *more]

    def measure(self, *more: str) -> Command:
        """Return `measure` of new scores."""
        return self.on("measure", self.new, *more)

    def fit(self, *more: str, name: str = "fit.json") -> Command:
        """Return `fit`, which writes a calibrator."""
        return self.on("fit", self.fitted, "-o", self.path(name), "--method", self.method, *more)

    @property
    def method(self) -> str:
        """A method that every kind has."""
        return "platt" if self.kind == "raw" else "temperature"

    @property
    def gate(self) -> str:
        """A gate on a figure that every kind has."""
        return "auc<0.99" if self.kind == "raw" else "ece>0.01"

    def threshold(self, *more: str, name: str = "tried.json") -> Command:
        """Return `threshold`, which writes cut-offs."""
        return self.on("threshold", self.fitted, "-o", self.path(name), *more)

    def apply(self, name: str, *more: str) -> Command:
        """Return `apply` to new scores."""
        new = self.new
        found = [
            "apply",
            self.path("fit.json"),
            new.scores,
            *new.of_apply,
            "-o",
            self.path(name),
        ]
        return [*found, *more]

    def report(self, *more: str) -> Command:
        """Return `report` of new scores."""
        return self.on("report", self.new, *more)


def _option(*more: str) -> Callable[[World], Trial]:
    return lambda w: Trial(w.measure(*more), base=w.measure())


def _cut(*more: str, base: tuple[str, ...] = ()) -> Callable[[World], Trial]:
    return lambda w: Trial(w.threshold(*more), base=w.threshold(*base))


def _printed(form: str, *, gated: bool = False) -> Callable[[World], Trial]:
    def trial(w: World) -> Trial:
        gate = ("--fail-if", w.gate) if gated else ()
        return Trial(["measure", w.new.scores, *w.new.beside, "--format", form, *gate])

    return trial


def _reference(kind: str) -> Callable[[World], Trial]:
    def trial(w: World) -> Trial:
        before = {
            "scores": [],
            "stats": [w.on("measure", w.fitted, "--save-stats", w.path("old.json"))],
            "calibrator": [w.fit()],
        }[kind]
        name = {"scores": w.fitted.scores, "stats": w.path("old.json")}.get(
            kind, w.path("fit.json")
        )
        return Trial(w.measure("--reference", name), before, w.measure())

    return trial


def _logits(w: World) -> Trial:
    new = w.new
    command = ["measure", new.logits, *new.beside, "--format", "json", "--logits"]
    return Trial(command)


def _holed(w: World) -> Trial:
    new = w.new
    command = ["measure", new.holed, *new.beside, "--format", "json", "--drop-invalid"]
    return Trial(command, base=w.measure())


def _promoted(w: World, name: str) -> list[Command]:
    """Return a bad fit, and a promotion over it that is better."""
    live = w.path(name)
    if w.kind == "raw":  # no temperature to be bad by: a map of scores in another unit
        bad = [{w.fitted.scores: w.fitted.logits}.get(word, word) for word in w.fit(name=name)]
    else:
        bad = w.fit("--temperatures", "9", name=name)
    return [bad, w.on("fit", w.new, "--promote-over", live, "--method", w.method, *LEAST)]


LEAST = ("--min-rows", "10", "--min-positives", "10", "--max-shift", "psi=9,odds=99,auc=1")
"""What a small sample passes."""


def _promote_groups(w: World) -> Trial:
    bad, command = _promoted(w, "groups.json")
    return Trial([*command, "--per-group", "g"], [bad], written=w.path("groups.json"))


def _promote_pair(w: World) -> Trial:
    bad, command = _promoted(w, "pair.json")
    cuts = w.path("pair.cuts.json")
    before = [bad, w.threshold("--calibrator", w.path("pair.json"), name="pair.cuts.json")]
    return Trial([*command, "--thresholds", cuts], before, written=cuts)


def _promote_pool(w: World) -> Trial:
    pool, live = _ensemble(w).command, w.path("pooled.json")
    at = pool.index("-o")
    return Trial([*pool[:at], *pool[at + 2 :], "--promote-over", live, *LEAST], written=live)


def _promote_cuts(w: World) -> Trial:
    live = w.path("live.cuts.json")
    before = [w.threshold("--maximize", "recall", name="live.cuts.json")]
    command = w.on("threshold", w.new, "--promote-over", live, "--maximize", "accuracy", *LEAST)
    return Trial(command, before)


def _promote(w: World) -> Trial:
    bad, command = _promoted(w, "live.json")
    return Trial(command, [bad], written=w.path("live.json"))


def _rollback(w: World) -> Trial:
    name = "back.json"
    return Trial(["fit", "--rollback", w.path(name)], _promoted(w, name), written=w.path(name))


def _search(w: World) -> Trial:
    search = "nms-iou=0.3,0.7" if w.kind in ("boxes", "instances") else "min-area=0,4"
    return Trial(w.threshold("--search", search), base=w.threshold())


def _applied(*more: str, cut: bool = False) -> Callable[[World], Trial]:
    def trial(w: World) -> Trial:
        out = w.path(f"applied.{w.new.out}")
        before = [w.fit()]
        if cut:
            calibrated = ("--calibrator", w.path("fit.json"))
            before.append(w.threshold(*calibrated, name="after.json"))
        used = ("--thresholds", w.path("after.json")) if cut else more
        name = f"applied.{w.new.out}"
        base = w.apply(name) if used else None
        return Trial(w.apply(name, *used), before, base, out)

    return trial


def _interval(w: World) -> Trial:
    name = f"applied.{w.new.out}"
    own = "venn-abers.json"
    before = [[("venn-abers" if one == w.method else one) for one in w.fit(name=own)]]
    base = [w.path(own) if one == w.path("fit.json") else one for one in w.apply(name)]
    return Trial([*base, "--interval"], before, base, w.path(name))


def _emit(kind: str) -> Callable[[World], Trial]:
    return lambda w: Trial(["apply", w.path("fit.json"), "--emit", kind], [w.fit()])


def _leak(w: World) -> Trial:
    used = ("--calibrator", w.path("fit.json"))
    return Trial(w.on("measure", w.fitted, *used, "--fail-if", "overlap>0"), [w.fit()])


def _plots(w: World) -> Trial:
    folder = w.path("plots")
    return Trial(w.measure("--save-plots", folder), written=folder)


def _ensemble(w: World) -> Trial:
    both = f"{w.fitted.scores},{w.fitted.versus}"
    files = [w.fitted.scores]
    if w.kind in ("binary", "raw"):
        both = "score,second"
    elif w.kind in ("multiclass", "multilabel"):
        both = "p_*,q_*"
    elif w.kind not in ("boxes", "instances"):
        files.append(w.fitted.versus)
    beside = list(w.fitted.beside)
    for name in ("--scores", "--score"):
        if name in beside:
            at = beside.index(name)
            del beside[at : at + 2]
    command = ["fit", *files, *beside, "--ensemble", both, "-o", w.path("pool.json")]
    return Trial([*command, "--format", "json"], written=w.path("pool.json"))


def _stats(w: World) -> Trial:
    kept = w.measure("--save-stats", w.path("new.json"))
    return Trial(["measure", w.path("new.json"), "--format", "json"], [kept])


def _thresholds(w: World) -> Trial:
    made = w.threshold(name="cuts.json")
    return Trial(w.measure("--thresholds", w.path("cuts.json")), [made], base=w.measure())


def _evidence(w: World) -> Trial:
    kept = w.path("year.json")
    # Raw scores have no ECE to promise; what a cut-off does can be.
    more = ("--promise", "precision>=0.2", "--threshold", "600") if w.kind == "raw" else ()
    return Trial(w.measure("--evidence", kept, *more), written=kept)


TRIALS: Mapping[str, Callable[[World], Trial]] = {
    "measure": lambda w: Trial(w.measure()),
    "--logits": _logits,
    "--drop-invalid": _holed,
    "--group": _option("--group", "g"),
    "--cluster": _option("--cluster", "c"),
    "--weight": _option("--weight", "w"),
    "--count": _option("--count", "n"),
    "--calibrator": lambda w: Trial(
        w.measure("--calibrator", w.path("fit.json")), [w.fit()], w.measure()
    ),
    "--thresholds": _thresholds,
    "--versus": lambda w: Trial(w.measure("--versus", w.new.versus), base=w.measure()),
    "--reference SCORES": _reference("scores"),
    "--reference STATISTICS": _reference("stats"),
    "--reference CALIBRATOR": _reference("calibrator"),
    "--by": _option("--by", "day"),
    "--at": _option("--at", "0.8"),
    "--fail-if": lambda w: Trial(w.measure("--fail-if", w.gate), base=w.measure()),
    "--evidence": _evidence,
    "--save-stats": lambda w: Trial(
        w.measure("--save-stats", w.path("new.json")), written=w.path("new.json")
    ),
    "saved statistics as SCORES": _stats,
    "--save-plots": _plots,
    "--format prometheus": _printed("prometheus"),
    "--format junit": _printed("junit", gated=True),
    "--format github": _printed("github", gated=True),
    "--engine dask": lambda w: Trial(w.measure("--engine", "dask", "--scheduler", w.scheduler)),
    "leak guard": _leak,
    "fit": lambda w: Trial(w.fit(), written=w.path("fit.json")),
    "fit --per-class": lambda w: Trial(
        w.fit("--per-class", name="own.json"), [w.fit()], w.fit(), w.path("own.json")
    ),
    "fit --per-group": lambda w: Trial(
        w.fit("--per-group", "g", name="by_group.json"), base=w.fit()
    ),
    "fit --folds time:COL": lambda w: Trial(
        w.fit("--folds", "time:day", name="by_time.json"), base=w.fit()
    ),
    "fit --replay": lambda w: Trial(
        w.on("fit", w.fitted, "--method", w.method, "--replay", "day"), base=w.fit()
    ),
    "fit --ensemble": _ensemble,
    "fit --promote-over": _promote,
    "fit --promote-over --per-group": _promote_groups,
    "fit --promote-over --thresholds": _promote_pair,
    "fit --promote-over --ensemble": _promote_pool,
    "fit --rollback": _rollback,
    "apply": _applied(),
    "apply --thresholds": _applied(cut=True),
    "apply --prior": _applied("--prior", "em"),
    "apply --fail-if": _applied("--fail-if", "n<0"),
    "apply --interval": _interval,
    "apply --emit python": _emit("python"),
    "apply --emit sql": _emit("sql"),
    "threshold": lambda w: Trial(w.threshold(), written=w.path("tried.json")),
    "threshold --subject-to": _cut("--subject-to", "recall>=0.3", base=("--maximize", "f1")),
    "threshold --guarantee": _cut(
        "--subject-to", "recall>=0.3", "--guarantee", "0.9", base=("--subject-to", "recall>=0.3")
    ),
    "threshold --cost": _cut("--cost", "fp=1,fn=4"),
    "threshold --per-group": _cut("--per-group", "g"),
    "threshold --search": _search,
    "threshold --abstain": lambda w: Trial(w.threshold("--abstain", "accuracy>=0.7")),
    "threshold --coverage": lambda w: Trial(w.threshold("--coverage", "0.9")),
    "threshold --candidates": lambda w: Trial(
        w.threshold("--candidates", w.path("all.csv")), written=w.path("all.csv")
    ),
    "threshold --promote-over": _promote_cuts,
    "report --cost": lambda w: Trial(w.report("--cost", "fp=1,fn=9"), base=w.report()),
}
"""The features, in the order of the table."""
