"""Each option of each command on each kind of scores: it changes what is said, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.matrix.commands import Trial, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.matrix.commands import Command

NAMED: Final = frozenset({"--score", "--scores", "--label", "--labels", "--task", "--output"})
"""What every trial names, or what only says where a result goes."""
OF_RUNS: Final = frozenset(
    {"--threads", "--engine", "--scheduler", "--quiet", "--verbose", "--debug", "--no-config"}
    | {"--config", "--format", "--plot", "--save-plots", "--save-stats", "--candidates", "--tag"}
    | {"--evidence", "--provenance", "--all"}
    | {"--title", "--seed", "--input-format", "--emit", "--rollback", "--dry-run"}
    | {"--lock-timeout", "--drop-invalid"}
)
"""How a command runs, and what it writes beside: tried by tests of their own."""
AT_EDGES: Final = frozenset({"--closed", "--renormalise", "--max-detections"})
"""What changes nothing unless scores lie on an edge, do not sum to 1, or boxes are many."""
UNCHANGED: Final = frozenset(
    {
        ("threshold", "--unreachable"),  # where every class and group can meet the bounds
        ("threshold", "--per-class"),  # what several classes always get
        ("threshold", "--raw"),  # a cut-off is in the unit of the scores, whatever it is
        ("apply", "--predicted"),  # another column to read
        ("apply", "--positive"),  # of one score, which is that of label 1 whatever it is called
        ("measure", "--layout"),  # where a stack has no axis of structures
        ("report", "--layout"),
        ("fit", "--layout"),
        ("threshold", "--layout"),
        ("apply", "--layout"),
    }
)
"""What may change nothing on these files, for a reason."""
UNCHANGED_OF: Final = frozenset(
    {
        ("multilabel", "fit", "--per-class"),  # what several labels always get
        ("multilabel", "fit", "--select"),  # both scores choose the same method for every label
    }
)
"""What may change nothing on the files of one kind of scores, for a reason."""
VALUES: Final = {
    "--threshold": "0.37",
    "--at": "0.8",
    "--worst": "3",
    "--fail-if": "ece>0.01",
    "--classes": "c,b,a",
    "--positive": "0",
    "--weight": "w",
    "--count": "n",
    "--cluster": "c",
    "--key": "n",
    "--predicted": "g",
    "--votes": "1",
    "--layout": "NHWC",
    "--ignore-label": "1",
    "--scale": "2",
    "--group": "g",
    "--iou": "0.7",
    "--nms-iou": "0.4",
    "--bins": "7",
    "--binning": "mass",
    "--edges": "0,0.3,1",
    "--tolerance": "0.4",
    "--confidence": "0.8",
    "--method": "platt",
    "--folds": "3",
    "--select": "brier",
    "--temperatures": "1,3",
    "--per-group": "g",
    "--maximize": "precision",
    "--subject-to": "recall>=0.9",
    "--guarantee": "0.9",
    "--cost": "fp=1,fn=9",
    "--prior": "0.2",
    "--equal": "recall",
    "--abstain": "accuracy>=0.8",
    "--coverage": "0.9",
    "--sets": "aps",
    "--penalty": "0.1",
    "--free-rank": "0",
    "--unreachable": "never",
    "--search": "min-area=0,4",
    "--connectivity": "4",
    "--background": "a",
    "--min-rows": "5",
    "--min-positives": "5",
    "--max-shift": "psi=9",
    "--steps": "1",
    "--by": "day",
    "--replay": "day",
    "--promise": "ece<=0.1",
}
"""A value of each option that is no switch and names no file."""
_BESIDE: Final = {
    ("measure", "--tolerance"): ("--at", "0.8"),
    ("report", "--tolerance"): ("--at", "0.8"),
    ("threshold", "--guarantee"): ("--subject-to", "recall>=0.3"),
    ("threshold", "--unreachable"): ("--per-class", "--subject-to", "precision>=0.9999"),
    ("threshold", "--equal"): ("--per-group", "g"),
    ("threshold", "--sets"): ("--coverage", "0.9"),
    ("threshold", "--penalty"): ("--coverage", "0.9", "--sets", "raps"),
    ("threshold", "--free-rank"): ("--coverage", "0.9", "--sets", "raps"),
    ("threshold", "--search"): (),
}
"""What an option needs beside it."""


def may_be_silent(kind: str, command: str, option: str) -> bool:
    """Whether an option may change nothing on the files of a kind of scores."""
    return (command, option) in UNCHANGED or (kind, command, option) in UNCHANGED_OF


def trials(world: World) -> Iterator[tuple[str, str, Trial]]:
    """Yield each command, option, and how it is tried."""
    from calibcli.cli.main import commands

    for name in ("measure", "report", "fit", "threshold", "apply"):
        command = commands().commands[name]
        for parameter in command.params:
            option = parameter.opts[0]
            if option[:2] != "--" or option in NAMED | OF_RUNS | AT_EDGES:
                continue
            trial = _trial(world, name, option, switch=bool(getattr(parameter, "is_flag", False)))
            if trial is not None:
                yield name, option, trial


def _trial(w: World, name: str, option: str, *, switch: bool) -> Trial | None:
    beside = _BESIDE.get((name, option), ())
    plain = _plain(w, name, *beside)
    if option in w.new.beside:
        return None
    before: list[Command] = []
    out = w.path(f"option.{w.new.out}") if name == "apply" else None
    if switch:
        fitted = [w.fit()] if name == "apply" else []
        return Trial([*plain, option], fitted, base=plain, written=out)
    value = VALUES.get(option)
    if option == "--ignore-label" and w.kind == "multiclass":
        value = "a"
    if w.kind == "boxes" and option == "--search":
        value = "nms-iou=0.3,0.7"
    if option == "--calibrator":
        before, value = [w.fit()], w.path("fit.json")
    elif option == "--thresholds":
        calibrated = ("--calibrator", w.path("fit.json"))
        made = w.threshold(*(calibrated if name == "apply" else ()), name=f"{name}_cuts.json")
        before, value = [w.fit(), made], w.path(f"{name}_cuts.json")
    elif option == "--versus":
        value = w.new.versus
    elif option == "--reference":
        value = w.fitted.scores
    elif option == "--ensemble":
        value = f"{w.fitted.scores},{w.fitted.versus}"
    elif option == "--promote-over":
        return None
    elif option in ("--ground-truth", "--images"):
        value = w.new.scores
    elif option == "--cost-matrix":
        value = w.path("costs.csv")
        (w.folder / "costs.csv").write_text(",a,b,c\na,0,1,2\nb,1,0,1\nc,2,1,0\n")
    if value is None:
        raise ValueError(f"{name} {option} is not tried")
    if name == "apply":
        before = [w.fit(), *before]
    return Trial([*plain, option, value], before, base=plain, written=out)


def _plain(w: World, name: str, *beside: str) -> Command:
    if name == "measure":
        return w.measure(*beside)
    if name == "report":
        return w.report(*beside)
    if name == "fit":
        return w.on("fit", w.fitted, "-o", w.path("option.json"), *beside)
    if name == "threshold":
        return w.on("threshold", w.fitted, "-o", w.path("option.json"), *beside)
    return w.apply(f"option.{w.new.out}", *beside)
