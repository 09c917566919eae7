"""What each command imports: a light command must stay light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("numpy", "pandas", "pyarrow", "rich", "scipy", "sklearn", "vl_convert", "pydantic")
RUN = """
import json, sys
from calibcli.cli.main import main
for arguments in json.loads(sys.argv[1]):
    code = main(arguments)
    found = [name for name in {heavy!r} if name in sys.modules]
    print(code, *found, file=sys.stderr)
"""


@pytest.fixture
def imported():
    def run(*arguments):
        (found,) = after_each(arguments)
        return found

    return run


def after_each(*commands):
    """Run commands one after the other in a process; what it has imported after each of them."""
    given = json.dumps([[str(word) for word in one] for one in commands])
    ran = subprocess.run(
        [sys.executable, "-c", RUN.format(heavy=HEAVY), given],
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for line in ran.stderr.splitlines()[-len(commands) :]:
        code, *names = line.split()
        assert code == "0", ran.stderr
        found.append(set(names))
    return found


@pytest.mark.parametrize("options", [(), ("--no-ci",), ("--format", "json", "--cluster", "visit")])
def test_measure_of_a_csv(imported, scores, options):
    assert imported("measure", scores, *options) == {"numpy", "pyarrow"}


@pytest.mark.slow
def test_measure_of_arrays_needs_numpy_only(imported, write, binary, classes):
    scores, labels = write("s.npy", binary["score"]), write("y.npy", binary["label"])
    assert imported("measure", scores, "--labels", labels) == {"numpy"}
    rows, truth = write("z.npy", classes["z"]), write("t.npy", classes["label"])
    assert imported("measure", rows, "--labels", truth, "--logits") == {"numpy"}


@pytest.mark.slow
def test_measure_of_parquet_and_of_statistics(imported, write, binary, tmp_path):
    stats = tmp_path / "stats.json"
    assert imported(
        "measure", write("x.parquet", binary), "--save-stats", stats
    ) == {"numpy", "pyarrow"}  # fmt: skip
    assert imported("measure", stats) == {"numpy"}


def test_measure_with_a_calibrator_and_gates(imported, scores, calibrator):
    found = imported("measure", scores, "--calibrator", calibrator, "--fail-if", "ece>0.9")
    assert found == {"numpy", "pyarrow"}


def test_apply(scores, calibrator, tmp_path):
    outs = [tmp_path / f"o.{suffix}" for suffix in ("csv", "csv.gz", "parquet", "arrow", "npy")]
    found = after_each(*(("apply", calibrator, scores, "-o", out, "-q") for out in outs))
    assert found == [{"numpy", "pyarrow"}] * len(outs)


def test_apply_with_decisions(imported, calibcli, scores, calibrator, tmp_path):
    """Arrow looks for pandas when it makes an array of Python or NumPy values."""
    cuts = tmp_path / "t.json"
    assert calibcli("threshold", scores, "--calibrator", calibrator, "-o", cuts, "-q").code == 0
    options = ("--thresholds", cuts, "-o", tmp_path / "o.parquet", "--drop-invalid")
    assert imported("apply", calibrator, scores, *options) == {"numpy", "pyarrow"}


def test_no_command_imports_data_frames_or_estimators(scores, calibrator, tmp_path):
    out = tmp_path / "out.json"
    for found in after_each(
        ("measure", scores, "--group", "camera", "--versus", scores, "--reference", scores, "-q"),
        ("fit", scores, "-o", out, "-q"),
        ("threshold", scores, "--maximize", "f1", "-o", out, "-q"),
        ("report", scores, "--calibrator", calibrator, "-o", tmp_path / "page.html", "-q"),
    ):
        assert not {"pandas", "sklearn"} & found


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("measure", "--help")])
def test_help_and_version_import_no_numpy(imported, arguments):
    assert imported(*arguments) == set()


def test_loading_and_applying_a_calibrator_needs_numpy_only(calibrator):
    code = f"""
import sys, calibcli
assert not {set(HEAVY)!r} & set(sys.modules)
print(calibcli.load({str(calibrator)!r}).apply([0.02, 0.5, 0.98]))
print(*{set(HEAVY)!r} & set(sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "numpy"
    assert ran.stderr == ""
