"""Coverage-guided fuzzing of every reader: `python -m benchmarks.fuzz [seconds [target ...]]`.

Needs atheris (`pip install atheris`), which watches which branches of calibcli an input reaches and
keeps those that reach a new one. Each target runs in a process of its own, for 60 seconds by
default, with at most 2 GB of memory and 20 seconds an input. Anything but a result or an error of
ours with exit code 2 or 3 is a finding: its input is left in the folder `fuzz/` and the exit code
is 1. Prints the table of docs/reliability.md.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MEMORY_MB = 2048
SLOWEST = 20
FOUND = Path("fuzz")
CSV = b'score,label,camera\n0.5,1,front\n0.25,0,"re,ar"\n1e-3,1,x\n'


def _table():
    import pyarrow as pa

    columns = {"score": [0.1, 0.9, 0.5], "label": [0, 1, 1], "camera": ["front", None, "é"]}
    return pa.table(columns)


def seeds(target: str) -> list[bytes]:
    """Return small valid inputs to start from."""
    import numpy as np

    out = io.BytesIO()
    if target in ("csv", "tsv"):
        return [CSV, CSV.replace(b",", b"\t"), b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n")]
    if target == "csv.gz":
        return [gzip.compress(CSV, mtime=0)]
    if target == "parquet":
        from pyarrow import parquet

        parquet.write_table(_table(), out)
    elif target in ("arrow", "arrows"):
        import pyarrow as pa

        make = pa.ipc.new_file if target == "arrow" else pa.ipc.new_stream
        with make(out, _table().schema) as writer:
            writer.write_table(_table())
    elif target == "npy":
        np.save(out, np.linspace(0, 1, 6).reshape(3, 2))
    elif target == "npz":
        np.savez_compressed(out, score=np.linspace(0, 1, 4), label=np.array([0, 1, 1, 0]))
    elif target == "coco":
        box = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
        found = [{**box, "score": 0.5}]
        truth = {
            "images": [{"id": 1, "width": 9, "height": 9}],
            "annotations": [{**box, "id": 1, "iscrowd": 0, "area": 12}],
            "categories": [{"id": 1, "name": "cat"}],
        }
        return [json.dumps(found).encode(), json.dumps(truth).encode()]
    elif target == "toml":
        return [b'bins = [10]\nfail-if = ["ece>0.1"]\n[measure]\nclosed = "left"\n']
    else:
        return [_artifact(target)]
    return [out.getvalue()]


def _artifact(kind: str) -> bytes:
    """Return an artifact without its digest, so that changes of it are read."""
    from calibcli.cli.main import main

    with tempfile.TemporaryDirectory() as folder:
        scores, out = Path(folder) / "x.csv", Path(folder) / "out.json"
        rows = "".join(f"{i % 20 / 20},{(i * i) % 3 % 2},{i % 2}\n" for i in range(60))
        scores.write_text(f"score,label,g\n{rows}")
        command = {"calibrator": "fit", "thresholds": "threshold", "stats": "measure"}[kind]
        where = ("-o", "/dev/null", "--save-stats") if kind == "stats" else ("-o",)
        options = ("--method", "isotonic") if kind == "calibrator" else ()
        stdout, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO())
        main([command, str(scores), "-q", "--no-ci", *options, *where, str(out)])
        sys.stdout = stdout
        value = json.loads(out.read_text())
    value.pop("digest")
    return json.dumps(value).encode()


def read(target: str, content: bytes) -> None:
    """Read an input as the commands do."""
    from calibcli.io.formats.source import Source

    if target in ("csv", "tsv", "csv.gz", "parquet", "arrow", "arrows", "npy", "npz"):
        from calibcli.io.rows.dataset import InputSpec, open_dataset

        kind = {"csv.gz": "csv", "arrows": "arrow"}.get(target, target)
        source = Source("x", kind, "gzip" if target == "csv.gz" else None, data=content)
        groups = () if kind in ("npy", "npz") else ("camera",)
        spec = InputSpec(("x",), groups=groups, logits=True)
        for batch in open_dataset(spec, need_labels=None, sources=[source]).batches():
            assert len(batch) <= 131_072
    elif target == "coco":
        from calibcli.io.boxes.coco import read_annotations, read_results

        reader = read_results if content.lstrip()[:1] == b"[" else read_annotations
        reader(Source("x", "stats", data=content))
    else:
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            file.write(content)
            file.flush()
            _use(target, Path(file.name), content)


def _use(target: str, path: Path, content: bytes) -> None:
    if target == "toml":
        from calibcli.cli.project import read_settings

        read_settings(path)
    elif target == "stats":
        from calibcli.io.rows.dataset import InputSpec
        from calibcli.workflows.input.conventions import Conventions
        from calibcli.workflows.measure.measure import measure

        measure(InputSpec((str(path),)), Conventions(confidence=None))
    else:
        import numpy as np

        from calibcli.workflows.input.loaded.loading import load

        loaded = load(path)
        if hasattr(loaded, "calibrator"):
            loaded.apply(np.linspace(0, 1, 7))
        else:
            loaded.decide(np.linspace(0, 1, 7))


TARGETS = (
    "csv", "tsv", "csv.gz", "parquet", "arrow", "arrows", "npy", "npz", "coco", "toml",
    "calibrator", "thresholds", "stats",
)  # fmt: skip


def fuzz(target: str, seconds: int) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris

    with atheris.instrument_imports(include=["calibcli"], enable_loader_override=False):
        from calibcli.errors import CalibcliError
        from calibcli.io.artifacts.artifacts import UNSEALED

        for content in seeds(target):
            with contextlib.suppress(CalibcliError):
                read(target, content)  # imports what it takes

    def one(content: bytes) -> None:
        try:
            read(target, content)
        except CalibcliError as error:
            if error.exit_code not in (2, 3) or "\n" in error.message:
                raise
        except Exception:
            # An artifact without its digest was edited: the command line says so (exit code 3).
            if not UNSEALED:
                raise
        UNSEALED.clear()

    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(seeds(target)):
            (Path(corpus) / str(number)).write_bytes(content)
        options = [
            f"-max_total_time={seconds}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-timeout={SLOWEST}",
        ]
        where = f"-artifact_prefix={FOUND}/{target}-"
        more = (f"-timeout={SLOWEST}", "-max_len=8192")
        atheris.Setup([sys.argv[0], *options, *more, where, corpus], one)
        atheris.Fuzz()


def main(arguments: list[str]) -> int:
    seconds = int(arguments[0]) if arguments else 60
    if len(arguments) == 3 and arguments[2] == "--here":
        fuzz(arguments[1], seconds)
    FOUND.mkdir(exist_ok=True)
    print("| reader | inputs | branches reached | findings |\n|---|---|---|---|", flush=True)
    bad = 0
    for target in arguments[1:] or TARGETS:
        command = [sys.executable, "-m", "benchmarks.fuzz", str(seconds), target, "--here"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
        done = re.search(r"Done (\d+) runs", ran.stderr)
        reached = re.findall(r"cov: (\d+)", ran.stderr)
        findings = 0 if done else 1
        bad += findings
        runs = f"{int(done[1]):,}" if done else "stopped"
        print(f"| {target} | {runs} | {reached[-1] if reached else '?'} | {findings} |", flush=True)
        if findings:
            print(ran.stderr[-3000:], file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
