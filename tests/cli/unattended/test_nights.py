"""A thousand nights of `fit --promote-over CAL --thresholds THR`, of which many go wrong."""

from __future__ import annotations

import json
import os
import resource
import signal

import numpy as np
import pytest

from calibcli.core.calibrators import calibrate, calibrator_from_dict
from calibcli.core.comparison.promotion import Rule
from calibcli.core.numeric.scales import expit
from calibcli.errors import CalibcliError
from calibcli.io.output.pair import recover_pair, roll_back_pair
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.fit.fit import fit
from calibcli.workflows.fit.fitted import FitOptions
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.promote.outcome import Attempt
from calibcli.workflows.promote.pair import promote_pair, rolled_back_pair
from calibcli.workflows.threshold.threshold import Wish, threshold
from tests.nights import ended, kill_at, run_apart

NIGHTS, ROWS = int(os.environ.get("NIGHTS", "1000")), 2000
FP, FN = 1.0, 4.0
Z = np.linspace(-7.2, 5.2, 400)
DENSITY = np.exp(-0.5 * ((Z + 1.0) / 1.55) ** 2)
DENSITY /= DENSITY.sum()
OPTIONS = FitOptions(method="platt")
FAULTS = ("killed", "killed", "full disk", "half", "turned", "shifted", "shuffled", "two jobs")
FAULTS += ("one of two killed", "rolled back meanwhile")
BAD = ("half", "turned", "shifted", "shuffled")


def truth(night):
    """Slope and level drift slowly, up and down again."""
    way = np.sin(2 * np.pi * night / NIGHTS)
    return 0.75 - 0.2 * way, 0.2 + 0.7 * way


def dump(path, rng, night, fault=None):
    z = rng.normal(-1.0, 1.55, ROWS)
    slope, level = truth(night)
    label = (rng.random(ROWS) < expit(slope * z + level)).astype(int)
    if fault == "shifted":
        z = z + 2.0
    if fault == "turned":
        label = 1 - label
    if fault == "shuffled":
        rng.shuffle(label)
    rows = [f"{p:.4f},{y}\n" for p, y in zip(expit(z), label, strict=True)]
    text = "score,label\n" + "".join(rows)
    path.write_text(text[: len(text) // 2 - 3] if fault == "half" else text)


def expected_cost(pair, night):
    """Return the cost a row of what a calibrator and its cut-offs decide."""
    cal, cuts = (json.loads(path.read_text()) for path in pair)
    p = calibrate(calibrator_from_dict(cal["calibrator"]), Z, logits=True)
    positive = p >= cuts["thresholds"][0]["threshold"]
    true = expit(truth(night)[0] * Z + truth(night)[1])
    return float(DENSITY @ np.where(positive, FP * (1 - true), FN * true))


def chosen(night, pair, fresh=None):
    fit(InputSpec((str(night),)), Conventions(), OPTIONS, output=str(pair[0]))
    wish = Wish.parse(cost=f"fp={FP},fn={FN}")
    quick = Conventions(confidence=None)
    rows = InputSpec((str(fresh or night),))
    threshold(rows, quick, wish, calibrator=str(pair[0]), output=str(pair[1]))


@pytest.mark.slow
def test_a_thousand_nights(tmp_path):
    rng = np.random.default_rng(0)
    folder, dumps = tmp_path / "served", tmp_path / "dumps"
    folder.mkdir()
    dumps.mkdir()
    pair = folder / "cal.json", folder / "cuts.json"
    always = tmp_path / "cal.json", tmp_path / "cuts.json"
    first, second = dumps / "first.csv", dumps / "second.csv"
    dump(first, rng, 0)
    dump(second, rng, 0)
    chosen(first, pair, second)
    for mine, other in zip(pair, always, strict=True):
        other.write_bytes(mine.read_bytes())
    never = tmp_path / "never.json", tmp_path / "never-cuts.json"
    for mine, other in zip(pair, never, strict=True):
        other.write_bytes(mine.read_bytes())
    # What is named are links, as where a service reads from a folder of its own.
    links = [tmp_path / f"{one.name}.link" for one in pair]
    for link, one in zip(links, pair, strict=True):
        link.symlink_to(one)
    paths = (str(links[0]), str(links[1]))
    attempt = Attempt(paths[0], Rule(), lock_timeout=60.0)
    costs, promoted, killed, codes = {"promote": 0.0, "always": 0.0, "never": 0.0}, 0, 0, set()
    for night in range(1, NIGHTS + 1):
        for name, one in (("promote", pair), ("always", always), ("never", never)):
            costs[name] += expected_cost(one, night)
        fault = str(rng.choice(FAULTS)) if rng.random() < 0.4 else None
        path = dumps / "tonight.csv"
        dump(path, rng, night, fault)
        before = [one.read_bytes() for one in pair]
        # An ordinary night touches the folder a few times, a promotion some eighty.
        step = int(rng.integers(0, rng.choice([10, 90])))
        room = int(rng.choice([0, 2000, 8000, 32000]))

        def job(first=True, path=path, fault=fault, step=step, room=room):
            if fault == "killed" or (fault == "one of two killed" and first):
                kill_at(folder, step)
            if fault == "full disk":
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            if fault == "rolled back meanwhile" and not first:
                rolled_back_pair(*paths, lock_timeout=60.0)
                return
            promote_pair(
                InputSpec((str(path),)), Conventions(), OPTIONS, attempt, paths[1], threads=1
            )

        jobs = [run_apart(job)]
        if fault in ("two jobs", "one of two killed", "rolled back meanwhile"):
            jobs.append(run_apart(lambda job=job: job(first=False)))
        found = {ended(number) for number in jobs}
        codes |= found
        assert 4 not in found, (night, fault)
        killed += -signal.SIGKILL in found
        recover_pair(paths)  # what the next run begins with
        now = [one.read_bytes() for one in pair]
        changed = [a != b for a, b in zip(before, now, strict=True)]
        assert changed[0] is changed[1], (night, fault)
        cal, cuts = (json.loads(text) for text in now)
        assert cuts["calibrator"] == cal["digest"], (night, fault)
        assert not (changed[0] and fault in BAD), (night, fault)
        assert not (changed[0] and fault == "full disk" and room <= 2000), (night, fault)
        assert all(link.is_symlink() for link in links)
        promoted += changed[0]
        if changed[0] and promoted % 5 == 0:
            roll_back_pair(paths)
            assert [one.read_bytes() for one in pair] in (before, now)
            roll_back_pair(paths)
            assert [one.read_bytes() for one in pair] == now
        # A killed run leaves its lock file, which the kernel has unlocked.
        names = {one.name for one in folder.iterdir() if one.suffix != ".lock"}
        assert names <= {f"{one.name}{end}" for one in pair for end in ("", ".previous")}
        try:
            chosen(path, always)
        except CalibcliError:
            continue
    assert killed > NIGHTS / 20
    assert promoted > NIGHTS / 100
    assert {0, 3} <= codes
    assert costs["promote"] < min(costs["always"], costs["never"]), costs
