"""A real scheduler and real workers, in processes of their own on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed")
# Dask's own warnings and those of its event loop are not ours to answer for.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

ROOT = Path(__file__).parents[2]


class Cluster:
    """A scheduler, and as many workers of one thread as were started."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []
        log = self._start("scheduler", "distributed.cli.dask_scheduler", "--port", "0")
        self.address = self._awaited(log, r"Scheduler at:\s+(tcp://\S+)")

    def _start(self, name, module, *arguments):
        log = self.folder / f"{name}.log"
        command = [
            sys.executable,
            "-m",
            module,
            *arguments,
            "--host",
            "127.0.0.1",
            "--no-dashboard",
        ]
        with log.open("w") as out:
            env = {**os.environ, "PYTHONPATH": str(ROOT)}
            process = subprocess.Popen(command, stdout=out, stderr=out, env=env, cwd=self.folder)
        self.running.append(process)
        return log

    def _awaited(self, log, pattern):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = re.search(pattern, log.read_text())
            if found:
                return found[1]
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    def worker(self):
        name = f"worker{len(self.running)}"
        log = self._start(
            name, "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-nanny"
        )
        self._awaited(log, r"(Registered to)")
        return self.running[-1]

    def close(self):
        for process in reversed(self.running):
            with contextlib.suppress(OSError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.worker()
        made.worker()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Binary files in 12 shards, and multi-class logits of which the labels are apart."""
    import pyarrow as pa
    from pyarrow import parquet

    base = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    for shard in range(12):
        score = rng.beta(0.7, 0.7, 5000)
        columns = {
            "score": score if shard % 2 else score.round(3),
            "label": (rng.random(5000) < score**1.3).astype(np.int8),
            "camera": rng.choice(["front", "rear"], 5000),
            "visit": rng.integers(0, 900, 5000),
        }
        parquet.write_table(pa.table(columns), base / f"s{shard:02}.parquet", row_group_size=2000)
    z = rng.normal(0, 2, (6000, 4)).astype(np.float32)
    np.save(base / "z.npy", z)
    np.save(base / "y.npy", (z / 2 + rng.gumbel(size=z.shape)).argmax(axis=1))
    return base


def run(*arguments, dask=None):
    from calibcli.cli.main import main

    more = [] if dask is None else ["--engine", "dask", "--scheduler", dask.address]
    return main([*map(str, arguments), *more])


@pytest.fixture
def same(cluster, tmp_path, capsys):
    """Run a command here and on the cluster, and compare what it prints and writes."""

    def compare(*arguments, output=None):
        found = []
        for place in (None, cluster):
            path = None if output is None else tmp_path / output
            code = run(*arguments, *([] if path is None else ["-o", path]), dask=place)
            printed = capsys.readouterr()
            found.append(
                (code, printed.out, printed.err, None if path is None else path.read_bytes())
            )
        assert found[0] == found[1]
        return found[0]

    return compare


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--group", "camera", "--cluster", "visit"),
        ("--fail-if", "ece>0.001", "--save-stats", "{}/dask.stats.json"),
    ],
)
def test_measure_is_the_same_to_the_last_byte(same, folder, tmp_path, options):
    options = [text.format(tmp_path) for text in options]
    code, out, _, _ = same("measure", f"{folder}/s*.parquet", *options, "--format", "json")
    assert code == (1 if "--fail-if" in options else 0)
    assert '"rows": 5000' in out


def test_every_binary_fit_and_what_follows_it(same, folder, tmp_path):
    shards = f"{folder}/s*.parquet"
    for method in ("temperature", "isotonic"):
        same("fit", shards, "--method", method, "--format", "json", output="calibrator.json")
    fitted = tmp_path / "calibrator.json"
    same("measure", shards, "--calibrator", fitted, "--format", "json")
    same(
        "threshold", shards, "--calibrator", fitted, "--maximize", "f1", "--format", "json",
        output="thresholds.json",
    )  # fmt: skip
    same(
        "apply", fitted, shards, "--thresholds", tmp_path / "thresholds.json", output="out.parquet"
    )


def test_fits_of_whole_rows_and_sets(same, folder, tmp_path):
    data = (folder / "z.npy", "--labels", folder / "y.npy", "--logits")
    for method in ("temperature", "vector"):
        same("fit", *data, "--method", method, "--format", "json", output="calibrator.json")
    same("measure", *data, "--calibrator", tmp_path / "calibrator.json", "--format", "json")
    same("threshold", *data, "--coverage", "0.9", "--format", "json", output="sets.json")


def test_a_second_model_is_compared_and_labels_may_be_a_table(same, folder, tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(folder / "s00.parquet")
    parquet.write_table(table.select(["score"]), tmp_path / "scores.parquet", row_group_size=1500)
    parquet.write_table(table.select(["label", "camera"]), tmp_path / "labels.parquet")
    other = pa.table({"score": np.sqrt(table["score"].to_numpy())})
    parquet.write_table(other, tmp_path / "other.parquet", row_group_size=1500)
    same(
        "measure", tmp_path / "scores.parquet", "--labels", tmp_path / "labels.parquet",
        "--group", "camera", "--versus", tmp_path / "other.parquet", "--format", "json",
    )  # fmt: skip


def test_bad_rows_are_told_as_here(same, cluster, folder, tmp_path, capsys):
    import pyarrow as pa
    from pyarrow import parquet

    good = parquet.read_table(folder / "s00.parquet", columns=["score", "label"])
    labels = good["label"].to_numpy().copy()
    labels[[10, 4000]] = 7
    wrong = pa.table({"score": good["score"], "label": labels})
    parquet.write_table(wrong, tmp_path / "wrong.parquet", row_group_size=2000)
    code, _, err, _ = same("measure", tmp_path / "wrong.parquet")
    assert code == 3
    assert "2 rows, the first is row 11" in err
    for number, one in enumerate([0, 1]):  # -1 and 0, each in a file of its own
        mixed = pa.table({"score": [0.2, 0.7], "label": [one - 1, 1]})
        parquet.write_table(mixed, tmp_path / f"mixed{number}.parquet")
    # Which of the two files is named depends on the threads, here as there.
    assert run("measure", f"{tmp_path}/mixed?.parquet", dask=cluster) == 3
    assert "the labels are -1, 0 and 1" in capsys.readouterr().err


def measured(folder, progress=None):
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.measure.measure import measure

    return measure(InputSpec(paths=(f"{folder}/s*.parquet",)), Conventions(), progress=progress)


@pytest.mark.parametrize("accident", ["killed", "stopped for a while"])
def test_a_worker_that_dies_or_dawdles_changes_nothing(cluster, folder, accident):
    from calibcli.engines.dask import connected
    from calibcli.engines.remote import using

    here = measured(folder)
    victim = cluster.worker()
    happened = []

    def on_first(rows):
        if happened:
            return
        happened.append(rows)
        if accident == "killed":
            victim.kill()
        else:
            victim.send_signal(signal.SIGSTOP)
            threading.Timer(3.0, victim.send_signal, [signal.SIGCONT]).start()

    with connected(cluster.address) as engine, using(engine):
        engine.client.wait_for_workers(3, timeout=60)
        there = measured(folder, on_first)
    assert 0 < happened[0] < 60_000
    assert there == here
    victim.kill()
    victim.wait()


def test_what_only_a_worker_cannot_read_is_said_so(cluster, folder, monkeypatch, tmp_path, capsys):
    (tmp_path / "here.csv").write_text("score,label\n0.1,0\n0.8,1\n")
    monkeypatch.chdir(tmp_path)  # the workers run elsewhere, and the path is relative
    assert run("measure", "here.csv", dask=cluster) == 3
    err = capsys.readouterr().err
    assert "on a worker: here.csv" in err
    assert "by the same paths" in err


def test_options_that_cannot_be_met(cluster, folder, capsys, monkeypatch):
    shards = f"{folder}/s*.parquet"
    assert run("measure", shards, "--engine", "dask") == 2
    assert "--scheduler tcp://" in capsys.readouterr().err
    assert run("measure", shards, "--scheduler", cluster.address) == 2
    assert "--engine dask" in capsys.readouterr().err
    assert run("measure", "-", dask=cluster) == 2
    assert "standard input" in capsys.readouterr().err
    os.mkfifo(folder / "pipe.csv")
    assert run("measure", folder / "pipe.csv", dask=cluster) == 2
    assert "a pipe cannot be read by workers" in capsys.readouterr().err
    (folder / "pipe.csv").unlink()
    assert run("measure", shards, "--threads", "2", dask=cluster) == 2
    assert "--nthreads" in capsys.readouterr().err
    monkeypatch.setattr("calibcli.engines.dask.PATIENCE", 0.5)
    assert run("measure", shards, "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9") == 3
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run("measure", shards, dask=cluster) == 3
    assert "calibcli[dask]" in capsys.readouterr().err
