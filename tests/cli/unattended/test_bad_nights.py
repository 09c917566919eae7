"""Broken dumps of masks, structures, boxes and weighted classes: none replaces what is in use."""

from __future__ import annotations

import json
import os
import resource
import signal

import numpy as np
import pytest

from calibcli.cli.main import main
from calibcli.core.comparison.beyond_chance import Ranks
from calibcli.core.statistics.stats import ScoreStats
from calibcli.io.output.pair import recover_pair
from calibcli.io.output.succession import recover
from tests.bad_nights import BAD, KINDS, Truth, night
from tests.nights import ended, kill_at, run_apart

METHOD = {"weighted": "temperature", "structures": "temperature"}
RANDOM = Truth(random=True)


@pytest.mark.parametrize("command", ["fit", "threshold"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_first_run_on_labels_at_random_is_kept_out(kind, command, calibcli, tmp_path, valid):
    if (kind, command) == ("boxes", "threshold"):
        pytest.skip("cut-offs of boxes are not promoted")
    path = tmp_path / "first.json"
    for fault in ("", "constant"):
        words = night(kind, tmp_path / "dump", 3, Truth() if fault else RANDOM, fault)
        method = ("--method", METHOD.get(kind, "platt")) if command == "fit" else ()
        ran = calibcli(command, *words, *method, "--promote-over", path, "--format", "json")
        told = valid(ran.out)
        assert (ran.code, told["code"]) == (1, "shift"), told["reason"]
        assert "do not rank the labels" in told["reason"]
        assert not path.exists()


def test_rare_classes_that_have_changed_places_are_seen(calibcli, good, write, tmp_path, valid):
    rng = np.random.default_rng(4)
    z = rng.normal(np.array([4.0, 0.0, 0.0]), 1.3, (4000, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    label = np.minimum((rng.random((4000, 1)) > p.cumsum(axis=1)).sum(axis=1), 2)
    swapped = p[:, [0, 2, 1]]

    def dump(name, scores, rows):
        columns = {f"p_{k}": scores[rows, k] for k in range(3)}
        return write(name, {**columns, "label": label[rows]})

    first, half = slice(0, 2000), slice(2000, 4000)
    live = tmp_path / "live.json"
    read = ("--scores", "p_*", "--method", "temperature")
    good("fit", dump("first.csv", p, first), *read, "-o", live)
    before = live.read_bytes()
    ran = calibcli(
        "fit", dump("bad.csv", swapped, half), *read, "--promote-over", live, "--format", "json"
    )
    told = valid(ran.out)
    of = {one["name"]: one["passed"] for one in told["checks"]}
    assert (told["code"], live.read_bytes()) == ("shift", before)
    assert of["accuracy"]
    assert not of["class_auc"]


def test_images_of_equal_scores_have_moved(calibcli, good, tmp_path, valid):
    live = tmp_path / "cuts.json"
    good("threshold", *night("masks", tmp_path / "first", 0, Truth()), "-o", live)
    words = night("masks", tmp_path / "bad", 1, Truth(), "constant")
    ran = calibcli("threshold", *words, "--promote-over", live, "--dry-run", "--format", "json")
    checks = {one["name"]: one for one in valid(ran.out)["checks"]}
    assert not checks["psi"]["passed"]
    assert checks["psi"]["value"] > 1.0


# -- the check that scores rank --------------------------------------------------------------------


def problems(score, label):
    """Return each class against the rest."""
    pairs = [(score[:, k], label == k) for k in range(score.shape[1])]
    return [ScoreStats.from_arrays(s, y.astype(int)) for s, y in pairs]


def test_the_figure_of_classes_is_the_macro_average():
    rng = np.random.default_rng(5)
    score = rng.dirichlet(np.ones(4), 600)
    label = (rng.random((600, 1)) > score.cumsum(axis=1)).sum(axis=1)
    ranks = Ranks.of(problems(score, label), exclusive=True)
    pairs = [(score[label == k, k, None], score[label != k, k]) for k in range(4)]
    expected = np.mean([(a > b).mean() + (a == b).mean() / 2 for a, b in pairs])
    assert ranks.value == pytest.approx(expected, abs=1e-12)
    assert (ranks.beyond, ranks.backwards) == (True, ())


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 5])
def test_one_dump_of_a_thousand_at_random_is_taken(classes):
    rng = np.random.default_rng(6)
    draws, taken = 3000, 0
    for _ in range(draws):
        score = rng.dirichlet(np.ones(classes), 300)
        ranks = Ranks.of(problems(score, rng.integers(0, classes, 300)), exclusive=True)
        taken += ranks.beyond
    # Promised is 0.001; what is above it by three standard errors of the draws is too many.
    assert taken / draws <= 0.001 + 3 * (0.001 / draws) ** 0.5


# -- nights on end ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nights_of_every_kind(kind, tmp_path, good):
    usual = "12" if kind == "structures" else "24"  # each takes several seconds
    rng, nights = np.random.default_rng(7), int(os.environ.get("NIGHTS", usual))
    folder, dumps = (tmp_path / name for name in ("served", "dumps"))
    folder.mkdir()
    live, cuts = folder / "cal.json", folder / "cuts.json"
    files = (live,) if kind == "boxes" else (live, cuts)
    method = ("--method", METHOD.get(kind, "platt"))
    good("fit", *night(kind, dumps / "first", 0, Truth(1.0)), *method, "-o", live)
    beside = ()
    if kind != "boxes":
        second = night(kind, dumps / "second", 1, Truth(1.0))
        good("threshold", *second, "--calibrator", live, "-o", cuts)
        beside = ("--thresholds", cuts)
    bad = [one for one in BAD if (kind, one) != ("masks", "order")] + ["random"]
    promoted = killed = 0
    for number in range(nights):
        # Every third night is a good one, and the truth has moved since the first.
        fault = str(rng.choice([*bad, "full disk"])) if number % 3 else ""
        fault = "killed" if number % 6 == 1 else fault
        truth = RANDOM if fault == "random" else Truth(1.0 - 0.3 * (number + 8) / (nights + 8), 0.2)
        words = night(kind, dumps / "tonight", 10 + number, truth, fault)
        before = [one.read_bytes() for one in files]
        step, room = int(rng.integers(0, rng.choice([4, 40]))), int(rng.choice([0, 2000]))

        def job(words=words, fault=fault, step=step, room=room):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            if fault == "killed":
                kill_at(folder, step)
            if fault == "full disk":
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            given = ("fit", *words, *method, "--promote-over", live, *beside)
            os._exit(main([str(one) for one in given]))

        code = ended(run_apart(job))
        assert code in (0, 1, 3, -signal.SIGKILL), (number, fault, code)
        killed += code == -signal.SIGKILL
        recover(str(live)) if kind == "boxes" else recover_pair(tuple(map(str, files)))
        now = [one.read_bytes() for one in files]
        changed = [a != b for a, b in zip(before, now, strict=True)]
        assert len(set(changed)) == 1, (number, fault)
        assert not (changed[0] and fault in (*bad, "full disk")), (number, fault)
        if kind != "boxes":
            assert json.loads(now[1])["calibrator"] == json.loads(now[0])["digest"]
        promoted += changed[0]
        names = {one.name for one in folder.iterdir() if one.suffix != ".lock"}
        assert names <= {f"{one.name}{end}" for one in files for end in ("", ".previous")}
    assert promoted >= 1
    assert killed >= 1
