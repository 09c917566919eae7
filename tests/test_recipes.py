"""Runs what docs/recipes.md tells people to paste, as far as it can run without their machines."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parent.parent / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = {
    match[2]: match[3]
    for match in re.finditer(r"^```(\w+)\n# (\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
}
FOUND = Path(sys.executable).parent / "calibcli"


@pytest.fixture(params=[False, True], ids=["over-confident", "honest"])
def honest(request):
    return request.param


@pytest.fixture
def place(tmp_path, honest):
    """A folder with scores.csv of 10,000 rows, which is honest or is not."""
    rng = np.random.default_rng(1)
    score = rng.uniform(size=10_000)
    label = rng.uniform(size=10_000) < (score if honest else score**2)
    lines = [f"{s:.4f},{int(y)}" for s, y in zip(score, label, strict=True)]
    (tmp_path / "scores.csv").write_text("score,label\n" + "\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def sh(place):
    """Run a line as a machine does: sh, a short PATH, nothing of ours in the environment."""

    def run(line, **environment):
        clean = {"PATH": f"{FOUND.parent}:/usr/bin:/bin", "HOME": str(place), "LANG": "C.UTF-8"}
        clean |= {key: value for key, value in os.environ.items() if key == "PYTHONPATH"}
        return subprocess.run(
            ["sh", "-c", line],
            cwd=place,
            env=clean | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_every_block_is_named():
    fences = re.findall(r"^```(yaml|ini|python|toml|sh)$", PAGE, re.MULTILINE)
    assert len(fences) == len(BLOCKS) == 11


def test_github_actions(sh, place, honest):
    steps = yaml.safe_load(BLOCKS[".github/workflows/calibration.yml"])["jobs"]["gate"]["steps"]
    (line,) = [step["run"] for step in steps if step.get("run", "").startswith("calibcli")]
    page = place / "summary.md"
    ran = sh(line, GITHUB_STEP_SUMMARY=str(page))
    assert ran.returncode == (0 if honest else 1)
    assert ran.stderr == ""
    assert ("::error title=calibcli::gate 'ece>0.05' failed" in ran.stdout) != honest
    assert page.read_text().startswith("## Calibration")


def test_gitlab_ci(sh, place, honest):
    job = yaml.safe_load(BLOCKS[".gitlab-ci.yml"])["calibration"]
    (line,), (after,) = job["script"], job["after_script"]
    assert sh(line).returncode == (0 if honest else 1)
    suites = ElementTree.parse(place / job["artifacts"]["reports"]["junit"]).getroot()
    assert suites.get("failures") == ("0" if honest else "1")
    told = sh(after)
    assert told.returncode == 0
    assert "10,000 rows" in told.stdout
    assert all((place / name).is_file() for name in job["artifacts"]["paths"])


def cron_line():
    (line,) = re.findall(r"^\d+ \d+ \* \* \*  (.*)$", PAGE, re.MULTILINE)
    assert "%" not in line, "cron ends a line at a percent sign"
    return line


@pytest.mark.skipif(shutil.which("flock") is None, reason="no flock")
def test_cron(sh, place, honest):
    ran = sh(cron_line().replace("/srv/churn", shlex.quote(str(place))))
    if honest:
        assert (ran.stdout, ran.stderr) == ("", "")  # no mail
    else:
        assert ran.stdout.startswith("calibration: exit 1: Not honest: ")
        assert "FAIL  ece.low>0.05" in ran.stdout
    assert ran.returncode == 0


@pytest.mark.skipif(shutil.which("flock") is None, reason="no flock")
def test_cron_while_the_last_run_is_at_it_and_without_its_file(sh, place):
    line = cron_line().replace("/srv/churn", shlex.quote(str(place)))
    with (place / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = sh(line)
    assert ran.stdout.startswith("calibration: exit 75")
    (place / "scores.csv").unlink()
    assert "exit 3: calibcli: error: scores.csv: no such file" in sh(line).stdout


# -- a night ---------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path, sh):
    """A folder that is served: a calibrator and cut-offs, the script, and today's scores."""

    def rows(name, seed, power, labels=True, n=6000):
        rng = np.random.default_rng(seed)
        score = rng.uniform(size=n)
        label = rng.uniform(size=n) < score**power
        lines = [f"{s:.4f}" + f",{int(y)}" * labels for s, y in zip(score, label, strict=True)]
        head = "score,label" if labels else "score"
        (tmp_path / name).write_text("\n".join([head, *lines]) + "\n")

    rows("first.csv", 1, 1.0)
    rows("second.csv", 2, 1.0)
    rows("today.csv", 3, 1.0, labels=False)
    made = sh(
        "calibcli fit first.csv --method platt -o calibrator.json && calibcli threshold second.csv "
        "--calibrator calibrator.json --subject-to 'precision>=0.8' -o cutoffs.json"
    )
    assert made.returncode == 0, made.stderr
    script = BLOCKS["/srv/churn/night.sh"].replace("/srv/churn", shlex.quote(str(tmp_path)))
    (tmp_path / "night.sh").write_text(script)
    return rows


def pair(folder):
    return [(folder / name).read_bytes() for name in ("calibrator.json", "cutoffs.json")]


BAD_NIGHTS = {
    "few rows": (lambda rows, path: rows(path.name, 5, 1.4, n=300), 1, "few-rows"),
    "cut in a row": (lambda _, path: path.write_text(path.read_text()[:-3]), 3, "input"),
    "labels of other rows": (
        lambda rows, path: path.write_text(
            path.read_text().replace(",1", ",x").replace(",0", ",1").replace(",x", ",0")
        ),
        1,
        "shift",
    ),
    "a gate": (lambda rows, path: rows(path.name, 5, 1.0), 1, "gate"),
}


@pytest.mark.parametrize("honest", [True], indirect=True)
@pytest.mark.parametrize("night", ["ordinary", "better", *BAD_NIGHTS])
def test_a_night(night, sh, place, served, honest):
    served("labelled.csv", 5, 1.3 if night == "better" else 1.0)
    script = place / "night.sh"
    damage, code, word = BAD_NIGHTS.get(night, (None, 0, ""))
    if damage is not None:
        damage(served, place / "labelled.csv")
    if night == "a gate":
        script.write_text(script.read_text().replace("ece.low>0.05", "ece.low>=0"))
    before = pair(place)
    ran = sh("sh night.sh labelled.csv today.csv")
    assert ran.returncode == code, ran.stdout + ran.stderr
    told = f'calibration: exit {code}, "code": "{word}"\n' if code else ""
    assert ran.stdout == told
    assert (pair(place) == before) is (night != "better")
    cuts, cal = (place / name for name in ("cutoffs.json", "calibrator.json"))
    assert cal.read_text().split('"digest": ')[-1].strip("}\n ") in cuts.read_text()  # together
    # Today's rows are decided and the map is exported every night, with the pair in use.
    assert len((place / "decided.csv").read_text().splitlines()) == 6001
    assert "score" in (place / "calibrator.sql").read_text()
    assert (place / "night.log").read_text().count('"code"') == 1


# -- a year of nights ------------------------------------------------------------------------------


@pytest.fixture
def night_of(sh, place, served):
    """Run the script of a year on a night's new rows; those of the refit are fair ones."""
    script = BLOCKS["/srv/churn/year.sh"].replace("/srv/churn", shlex.quote(str(place)))
    (place / "year.sh").write_text(script)
    served("labelled.csv", 5, 1.0)

    def run(seed, power=1.0, damage=None):
        served("new.csv", seed, power, n=2000)
        if damage is not None:
            damage(served, place / "new.csv")
        return sh("sh year.sh new.csv labelled.csv today.csv")

    return run


@pytest.mark.parametrize("honest", [True], indirect=True)
def test_a_year_rings_once_a_promise_is_broken(place, night_of, honest):
    for seed in (10, 11):
        ran = night_of(seed)
        assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr
    rung = [night_of(seed, power=1.8).stdout for seed in (12, 13, 14)]
    assert "promises: exit 1, gate 'evidence." in rung[-1]
    assert "failed: " in rung[-1]
    # The evidence before the alarm is kept, and today's rows are decided all the same.
    assert len(json.loads((place / "year.good.json").read_text())["nights"]) >= 2
    assert len((place / "decided.csv").read_text().splitlines()) == 6001
    assert "promises: exit 1" in night_of(15).stdout, "until somebody has looked"
    (place / "year.json").rename(place / "year.broken.json")
    assert night_of(16).stdout == ""


@pytest.mark.parametrize("honest", [True], indirect=True)
@pytest.mark.parametrize("night", ["few rows", "cut in a row", "labels of other rows"])
def test_a_year_with_a_bad_dump(place, night_of, night, honest):
    assert night_of(10).stdout == ""
    before = (place / "year.json").read_bytes()
    ran = night_of(11, damage=BAD_NIGHTS[night][0])
    if night == "few rows":  # a night of fewer rows tells less, and no more than it should
        assert (ran.returncode, ran.stdout) == (0, "")
        return
    if night == "cut in a row":
        assert ran.returncode == 3
        assert "promises: exit 3, error: " in ran.stdout
        assert (place / "year.json").read_bytes() == before
    else:
        assert ran.returncode == 1
        assert "gate 'evidence.precision.p<0.05' failed" in ran.stdout
        (place / "year.json").write_bytes((place / "year.good.json").read_bytes())
    assert night_of(12).stdout == ""


def units():
    names = [name for name in BLOCKS if name.startswith("/etc/systemd/")]
    return {Path(name).name: BLOCKS[name] for name in names}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd_units(tmp_path):
    for name, text in units().items():
        (tmp_path / name).write_text(text.replace("/usr/local/bin/calibcli", str(FOUND)))
    ran = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in units())],
        capture_output=True,
        text=True,
        check=False,
    )
    about = [line for line in ran.stderr.splitlines() if "calibration" in line]
    assert (ran.returncode, about) == (0, []), ran.stderr


def test_the_service_writes_what_the_collector_reads(sh, place, honest):
    (line,) = re.findall(r"^ExecStart=(.*)$", units()["calibration.service"], re.MULTILINE)
    folder = place / "node_exporter"
    folder.mkdir()
    line = line.replace("/usr/local/bin/", "").replace("/var/lib/node_exporter", str(folder))
    assert sh(line).returncode == (0 if honest else 1)
    text = (folder / "calibcli_churn.prom").read_text()
    assert f'calibcli_gates_failed{{model="churn"}} {0 if honest else 1}\n' in text
    # What the alerts ask for is what is there.
    rules = yaml.safe_load(BLOCKS["/etc/prometheus/rules/calibration.yml"])["groups"][0]["rules"]
    asked = re.findall(r"calibcli_[a-z_]+(?=\W*>)", rules[0]["expr"])
    assert asked == ["calibcli_gates_failed"]
    assert re.search(r'file=~"(.*)"', rules[1]["expr"])[1] == ".*/calibcli_.*"


def test_airflow(sh, place, honest, monkeypatch):
    made = []

    class Dag:
        def __init__(self, *_, **options):
            assert options["max_active_runs"] == 1

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    airflow, operators, bash = (ModuleType(n) for n in ("airflow", "operators", "bash"))
    airflow.DAG = Dag
    bash.BashOperator = lambda **options: made.append(options)
    modules = {"airflow": airflow, "airflow.operators": operators, "airflow.operators.bash": bash}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(BLOCKS["dags/calibration.py"], "calibration.py", "exec"), {})
    ran = sh(made[0]["bash_command"])
    assert ran.returncode == (0 if honest else 1)
    assert ("FAIL  ece.low>0.05" in ran.stdout) != honest


def test_pre_commit(sh, honest):
    (hook,) = yaml.safe_load(BLOCKS[".pre-commit-config.yaml"])["repos"][0]["hooks"]
    assert re.search(hook["files"], "scores.csv")
    # pre-commit splits the entry as a shell would, and adds the files.
    ran = sh(shlex.join([*shlex.split(hook["entry"]), "scores.csv"]))
    assert ran.returncode == (0 if honest else 1)
    assert ("FAIL  ece>0.05" in ran.stdout) != honest


def test_dvc(sh, place):
    stage = yaml.safe_load(BLOCKS["dvc.yaml"])["stages"]["calibration"]
    assert sh(stage["cmd"]).returncode == 0
    (metrics,) = stage["metrics"]
    assert all((place / name).is_file() for name in (*metrics, *stage["deps"]))
