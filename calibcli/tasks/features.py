"""What each feature does for each kind of scores: it acts, or is refused for a reason.

The one table of refusals: commands raise what stands here, docs/matrix.md prints it, and a contract
test tries every cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KINDS: Final = {
    "binary": "binary",
    "multiclass": "multi-class",
    "multilabel": "multi-label",
    "masks": "images, one structure",
    "structures": "images, several",
    "boxes": "boxes",
}
"""The kinds of scores, and how they are headed."""
FURTHER: Final = {"raw": "raw scores", "instances": "boxes, by masks"}
"""Kinds that are read by an option, `--raw` and `--masks`, and headed so."""
_LIKE: Final = {"raw": "binary", "instances": "boxes"}
RAW: Final = (
    "needs probabilities, and raw scores are none",
    "calibcli fit SCORES --raw -o CAL.json, then calibcli apply CAL.json SCORES -o FILE, read FILE",
)
"""Why raw scores are refused, and what makes them probabilities."""
FEATURES: Final = (
    "measure",
    "--logits",
    "--drop-invalid",
    "--group",
    "--cluster",
    "--weight",
    "--count",
    "--calibrator",
    "--thresholds",
    "--versus",
    "--reference SCORES",
    "--reference STATISTICS",
    "--reference CALIBRATOR",
    "--by",
    "--at",
    "--fail-if",
    "--evidence",
    "--save-stats",
    "saved statistics as SCORES",
    "--save-plots",
    "--format prometheus",
    "--format junit",
    "--format github",
    "--engine dask",
    "leak guard",
    "fit",
    "fit --per-class",
    "fit --per-group",
    "fit --folds time:COL",
    "fit --replay",
    "fit --ensemble",
    "fit --promote-over",
    "fit --promote-over --per-group",
    "fit --promote-over --thresholds",
    "fit --promote-over --ensemble",
    "fit --rollback",
    "apply",
    "apply --thresholds",
    "apply --prior",
    "apply --fail-if",
    "apply --interval",
    "apply --emit python",
    "apply --emit sql",
    "threshold",
    "threshold --subject-to",
    "threshold --guarantee",
    "threshold --cost",
    "threshold --per-group",
    "threshold --search",
    "threshold --abstain",
    "threshold --coverage",
    "threshold --candidates",
    "threshold --promote-over",
    "report --cost",
)
"""What commands can do, in the order of the table; an option alone is that of `measure` too."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something makes no sense for some kinds of scores, and what to do instead."""

    reason: str
    hint: str
    kinds: tuple[str, ...]


_ROWS = ("binary", "multiclass", "multilabel")
_IMAGES = ("masks", "structures")
_OF_RAW = (
    "--reference STATISTICS",
    "--at",
    "--save-stats",
    "saved statistics as SCORES",
    "--save-plots",
    "fit --replay",
    "fit --ensemble",
    "fit --promote-over --ensemble",
    "threshold --cost",
    "threshold --abstain",
    "threshold --coverage",
    "report --cost",
)
_OF_BOXES = Refusal(
    "two rules are compared on the rows that both decide, and a box that one suppresses is no row",
    "threshold -o NEW.json, and measure --thresholds NEW.json --fail-if EXPR before it is copied",
    ("boxes",),
)
_OF_POOLS = (
    Refusal(
        "several models of several labels are an ensemble for each label",
        "fit each label by itself: --task binary --label COL",
        ("multilabel",),
    ),
    Refusal(
        "maps of several models are pooled where they are made",
        "average the logits of the models first",
        _IMAGES,
    ),
    Refusal(
        "the boxes of two models are not the same boxes",
        "fuse the boxes first, and fit what comes out",
        ("boxes",),
    ),
)
_OF_KINDS: Final[Mapping[str, tuple[Refusal, ...]]] = {
    "--logits": (
        Refusal("--raw and --logits say different things of scores", "give one", ("raw",)),
    ),
    "--count": (
        Refusal("an image stands for itself", "--weight COL of --images FILE", _IMAGES),
        Refusal("a box stands for itself", "--weight COL of --images FILE", ("boxes",)),
    ),
    "fit --per-class": (
        Refusal(
            "one score a row has one map", "--per-class is for several classes", ("binary", "masks")
        ),
    ),
    "fit --folds time:COL": (
        Refusal(
            "rows of several classes are dealt to folds in buckets, not in blocks of time",
            "fit one class as a score of its own: --score COL --positive CLASS",
            ("multiclass", "multilabel", "structures", "boxes"),
        ),
    ),
    "fit --replay": (
        Refusal(
            "policies are played through on one score a row",
            "replay one class as a score of its own: --score COL --positive CLASS",
            ("multiclass", "multilabel", "structures", "boxes"),
        ),
    ),
    "fit --ensemble": _OF_POOLS,
    "fit --promote-over --ensemble": _OF_POOLS,
    "fit --promote-over --thresholds": (_OF_BOXES,),
    "threshold --promote-over": (_OF_BOXES,),
    "threshold --per-class": (
        Refusal(
            "one score a row has one cut-off",
            "leave it out; --coverage with it covers each class",
            ("binary", "masks"),
        ),
    ),
    "threshold --per-group": (
        Refusal(
            "a cut-off of boxes is chosen with the suppression of rivals, in all images together",
            "measure --thresholds FILE --images FILE --group COL tells what it does in each group; "
            "for others, choose on the images of one group at a time",
            ("boxes",),
        ),
    ),
    "apply --prior": (
        Refusal(
            "labels that do not exclude each other have a prevalence each",
            "apply it to one label at a time",
            ("multilabel",),
        ),
        Refusal(
            "pixels of an image are not drawn at a prevalence of their own",
            "shift the rows of a table of pixels",
            _IMAGES,
        ),
        Refusal(
            "how many boxes are right follows from the detector, not from a prevalence",
            "fit on boxes of where it is used",
            ("boxes",),
        ),
    ),
    "apply --fail-if": (
        Refusal(
            "images are written one by one, before a gate is known",
            "gate the same images first: measure --thresholds FILE --fail-if EXPR",
            _IMAGES,
        ),
    ),
    "apply --interval": (
        Refusal(
            "images are written as arrays of probabilities alone",
            "apply it to a table of pixels",
            _IMAGES,
        ),
        Refusal(
            "boxes are written with one score each",
            "apply it to a table of scores and whether each box is right",
            ("boxes",),
        ),
    ),
    "threshold --search": (
        Refusal(
            "a row has neither regions nor rivals",
            "images are --task segmentation, boxes --task detection",
            _ROWS,
        ),
    ),
    "threshold --abstain": (
        Refusal(
            "a row of several labels is no single decision to refer",
            "each label is a binary problem of its own: --cost fp=1,fn=4,refer=0.5",
            ("multilabel",),
        ),
        Refusal(
            "a box that is not kept is not referred to anybody",
            "--subject-to 'precision>=0.9' keeps what is sure",
            ("boxes",),
        ),
    ),
    "threshold --coverage": (
        Refusal(
            "sets are of classes that exclude each other",
            "each label has a cut-off of its own: leave out --coverage",
            ("multilabel",),
        ),
        Refusal(
            "sets need exchangeable rows, and pixels of one image are not",
            "take one pixel of each image, as a table",
            _IMAGES,
        ),
        Refusal(
            "a box has one class, and an object that was missed no box",
            "--subject-to 'recall>=0.9' bounds what is missed",
            ("boxes",),
        ),
    ),
}
REFUSALS: Final[Mapping[str, tuple[Refusal, ...]]] = {
    feature: (
        *_OF_KINDS.get(feature, ()),
        *([Refusal(*RAW, ("raw",))] if feature in _OF_RAW else []),
    )
    for feature in FEATURES
    if feature in _OF_KINDS or feature in _OF_RAW
} | {feature: found for feature, found in _OF_KINDS.items() if feature not in FEATURES}
"""Why a feature is refused, for which kinds."""


_BINS: Final = "cut-offs are of scores, not of bins", "measure --thresholds FILE takes it"
IDLE: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "threshold": dict.fromkeys(
        ("--bins", "--binning", "--edges", "--closed", "--tolerance"), _BINS
    ),
    "fit": {
        "--tolerance": ("figures before and after are held against nothing", "measure takes it"),
    },
    "apply": {
        "--ignore-label": ("probabilities follow from scores alone", "every row gets one"),
        "--votes": ("probabilities follow from scores alone", "votes are of labels"),
    },
}
"""Options that a command takes from a project file for all commands, and has no use for itself."""


def refuse_idle(command: str, option: str) -> None:
    """Refuse an option that a command would do nothing with.

    Raises:
        UsageError: with the reason.
    """
    found = IDLE.get(command, {}).get(option)
    if found is not None:
        raise UsageError(f"{option} does nothing in {command}: {found[0]}", found[1])


def kind_of(task: str, medium: str = "rows") -> str:
    """Return the kind of scores of a task of rows or pixels in a medium."""
    if medium == "images":
        return "masks" if task == "binary" else "structures"
    return "boxes" if medium == "boxes" else task


def refusal(feature: str, kind: str) -> Refusal | None:
    """Return why a feature is refused for a kind of scores; None where it acts."""
    alike = (kind, _LIKE.get(kind, kind))
    of_kind: Iterator[Refusal] = (
        one for name in alike for one in REFUSALS.get(feature, ()) if name in one.kinds
    )
    return next(of_kind, None)


def refuse(feature: str, kind: str) -> None:
    """Refuse a feature that makes no sense for a kind of scores.

    Raises:
        UsageError: with the reason.
    """
    found = refusal(feature, kind)
    if found is not None:
        option = feature[feature.index("--") :]
        what = f"{kind} scores" if kind in _ROWS else KINDS[kind].partition(",")[0]
        if set(found.kinds) == set(_ROWS):
            what = "rows"
        raise UsageError(f"{option} is not for {what}: {found.reason}", found.hint)
