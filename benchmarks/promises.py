"""What is promised of decisions, and what is kept: `python -m benchmarks.promises [draws]`.

Each draw is a file from which `threshold` chooses; its artifact decides a large file that stands
for the population. Rows are decided by `LoadedThresholds.decide`, which `apply` writes, and counted
here; images by `measure --thresholds`. Printed, as Markdown: how often each promise is kept, and
the mean of the figure on the population. A guarantee is of each class or group by itself.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibcli.cli.main import main as run
from calibcli.core.numeric.scales import expit, softmax
from calibcli.workflows.input.loaded.loading import load_thresholds

LEVEL = 0.9


def answer(*arguments):
    """Run a command; return its JSON, or None where the answer is no."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = run([*map(str, arguments), "--format", "json"])
    if code == 1:
        return None
    out.flush()
    err.flush()
    assert code == 0, err.buffer.getvalue().decode()
    return json.loads(out.buffer.getvalue())


# -- files -----------------------------------------------------------------------------------------


def binary(rng, stem, n):
    z = rng.normal(-0.8, 1.6, n)
    score = np.round(expit(1.3 * z), 6)
    np.savez(f"{stem}.npz", score=score, label=(rng.random(n) < expit(z)).astype(int))
    return (f"{stem}.npz",)


def grouped(rng, stem, n):
    group = rng.integers(0, 3, n)
    z = rng.normal(-0.5, 1.6, n)
    label = (rng.random(n) < expit(z + 0.5 * (group - 1))).astype(int)
    np.savez(f"{stem}.npz", score=np.round(expit(z), 6), label=label, site=group)
    return (f"{stem}.npz",)


def classes(rng, stem, n):
    z = rng.normal(0, 1.0, (n, 4)) + np.array([1.0, 0.0, 0.0, -1.0])
    label = (rng.random(n)[:, None] > softmax(1.5 * z).cumsum(axis=1)).sum(axis=1)
    z[np.arange(n), label] += rng.normal(1.0, 1.0, n)
    np.save(f"{stem}.npy", np.round(z, 6))
    np.save(f"{stem}-labels.npy", label)
    return (f"{stem}.npy", "--labels", f"{stem}-labels.npy", "--logits")


def masks(rng, stem, n, side=24):
    y, x = np.mgrid[:side, :side]
    centre = rng.uniform(4, side - 4, (n, 2, 1, 1))
    size = rng.uniform(2, 6, (n, 1, 1))
    away = np.hypot(y - centre[:, 0], x - centre[:, 1])
    truth = away < size
    hardness = rng.normal(0, 0.8, (n, 1, 1))
    score = expit(1.5 * (size - away) + hardness + rng.normal(0, 1.2, truth.shape))
    np.save(f"{stem}.npy", score.astype(np.float32))
    np.save(f"{stem}-labels.npy", truth.astype(np.uint8))
    return (f"{stem}.npy", "--labels", f"{stem}-labels.npy", "--task", "segmentation")


def boxes(rng, stem, n):
    found, truths = ["image_id,class,x1,y1,x2,y2,score"], ["image_id,class,x1,y1,x2,y2"]
    for image in range(n):
        for place in range(1 + rng.poisson(2)):
            x, y = 40 * place, 40 * (image % 3)
            truths.append(f"{image},a,{x},{y},{x + 20},{y + 20}")
            if rng.random() < 0.9:
                score = expit(rng.normal(1.0, 1.5))
                found.append(f"{image},a,{x + 1},{y},{x + 21},{y + 20},{score:.5f}")
        for place in range(rng.poisson(1.5)):
            score = expit(rng.normal(-1.0, 1.5))
            found.append(f"{image},a,{40 * place},300,{40 * place + 20},320,{score:.5f}")
    Path(f"{stem}.csv").write_text("\n".join(found) + "\n")
    Path(f"{stem}-truth.csv").write_text("\n".join(truths) + "\n")
    return (f"{stem}.csv", "--task", "detection", "--ground-truth", f"{stem}-truth.csv")


def counted(scores, truth, names, cuts, groups=None):
    """Return what `measure --thresholds` shows of the decisions about rows, without intervals."""
    decided = load_thresholds(str(cuts)).decide(scores, groups)

    def table(found, true):
        tp, positive, there = (float(np.sum(one)) for one in (found & true, found, true))
        precision = {"value": tp / positive if positive else 1.0}
        return {
            "precision": precision,
            "recall": {"value": tp / there},
            "f1": {"value": 2 * tp / (positive + there)},
        }

    if names:
        parts = [table(decided == k, truth == k) for k in range(len(names))]
        mean = float(np.mean([one["f1"]["value"] for one in parts]))
        return {"decision": {"metrics": {"macro_f1": {"value": mean}}, "classes": parts}}
    whole = {"metrics": table(decided, truth == 1)}
    if groups is not None:
        each = [groups == value for value in np.unique(groups)]
        whole["groups"] = [{"metrics": table(decided[g], truth[g] == 1)} for g in each]
    return {"decision": whole}


def judged(world, folder, population, cuts):
    """Return the decisions of some cut-offs about the population."""
    stem = folder / "population"
    if world == "four classes, as decided":
        scores, truth = np.load(f"{stem}.npy"), np.load(f"{stem}-labels.npy")
        return counted(scores, truth, range(4), cuts)
    if stem.with_suffix(".npz").exists():
        rows = np.load(f"{stem}.npz")
        return counted(rows["score"], rows["label"], (), cuts, rows.get("site"))
    return answer("measure", *population, "--thresholds", cuts, "--no-ci")


# -- promises --------------------------------------------------------------------------------------


@dataclass
class Kept:
    """How often a promise was kept: of the draws, or of the slices of each."""

    promised: float
    kept: int = 0
    of: int = 0
    refused: int = 0
    total: float = 0.0

    def add(self, good, value):
        self.kept, self.of, self.total = self.kept + bool(good), self.of + 1, self.total + value

    @property
    def row(self):
        share = self.kept / max(self.of, 1)
        error = (self.promised * (1 - self.promised) / max(self.of, 1)) ** 0.5
        told = f"{share:.3f}" + ("" if share >= self.promised - 2 * error else " *")
        mean = self.total / max(self.of, 1)
        return f"{self.promised} | {told} | {self.of} | {self.refused} | {mean:.3f}"


def constraint_met(name, target, by=None):
    """Return what adds whether a figure of each slice reaches a target on the population."""

    def add(kept, chosen, shown):
        decided = shown["decision"]
        if by == "group":
            parts = [one["metrics"][name] for one in decided["groups"]]
        elif decided.get("classes"):
            parts = [one[name] for one in decided["classes"]]
        else:
            parts = [decided["metrics"][name]]
        for one in parts:
            kept.add(one["value"] >= target, one["value"])

    return add


def interval_holds(name):
    """Return what adds whether the cross-fitted interval holds the figure on the population."""

    def add(kept, chosen, shown):
        decided = shown["decision"]
        crossed = (chosen.get("decision") or {}).get("cross_fitted")
        if crossed is not None:
            one, value = crossed["metrics"][name], decided["metrics"][name]["value"]
        else:
            one = chosen["thresholds"][0]["cross_fitted"]["value"]
            metrics = decided["metrics"] if name in decided["metrics"] else decided["classes"][0]
            value = metrics[name]["value"]
        kept.add(one["low"] <= value <= one["high"], value)

    return add


CERTIFIED = ("--guarantee", LEVEL)
WORLDS = {
    "a score": (
        binary, 800, 40_000,
        {
            "precision>=0.7, guarantee": (
                ("--subject-to", "precision>=0.7", *CERTIFIED),
                LEVEL,
                constraint_met("precision", 0.7),
            ),
            "interval of F1": (("--maximize", "f1"), 0.95, interval_holds("f1")),
        },
    ),
    "four classes, as decided": (
        classes, 1500, 40_000,
        {
            "recall>=0.6 of each, guarantee": (
                ("--subject-to", "recall>=0.6", *CERTIFIED), LEVEL, constraint_met("recall", 0.6)
            ),
            "interval of macro F1": (("--maximize", "f1"), 0.95, interval_holds("macro_f1")),
        },
    ),
    "three groups": (
        grouped, 2400, 60_000,
        {
            "precision>=0.7 in each, guarantee": (
                ("--subject-to", "precision>=0.7", *CERTIFIED, "--per-group", "site"),
                LEVEL,
                constraint_met("precision", 0.7, "group"),
            ),
        },
    ),
    "masks, least area searched": (
        masks, 40, 300,
        {
            "interval of Dice": (
                ("--maximize", "dice", "--search", "min-area=0,5,20"), 0.95, interval_holds("f1")
            ),
        },
    ),
    "boxes, NMS searched": (
        boxes, 80, 1000,
        {
            "recall>=0.6, guarantee": (
                ("--subject-to", "recall>=0.6", *CERTIFIED, "--search", "nms-iou=0.3,0.5"),
                LEVEL,
                constraint_met("recall", 0.6),
            ),
            "interval of F1": (
                ("--maximize", "f1", "--search", "nms-iou=0.3,0.5"), 0.95, interval_holds("f1")
            ),
        },
    ),
}  # fmt: skip
HEADER = (
    "| decisions of | promise | promised | kept | decisions | nothing certified | mean |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def promised(draws, world, folder):
    """Yield the rows of the table of one world."""
    make, rows, many, promises = WORLDS[world]
    rng = np.random.default_rng(0)
    population = make(np.random.default_rng(1), folder / "population", many)
    found = {name: Kept(level) for name, (_, level, _) in promises.items()}
    for _ in range(draws):
        files = make(rng, folder / "draw", rows)
        for name, (options, _, add) in promises.items():
            cuts = folder / "cuts.json"
            chosen = answer("threshold", *files, *options, "-o", cuts)
            if chosen is None:
                found[name].refused += 1
                continue
            add(found[name], chosen, judged(world, folder, population, cuts))
    for name, kept in found.items():
        yield f"| {world} | {name} | {kept.row} |"


def main(draws=200, worlds=()):
    """Print the table."""
    sys.stdout.write(f"{HEADER}\n")
    for world in worlds or WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            for row in promised(draws, world, Path(folder)):
                sys.stdout.write(f"{row}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["200"])[0]), sys.argv[2:])
