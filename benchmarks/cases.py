"""What is compared with what, and the ratio that was promised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Command

PEERS = Path(__file__).parent.resolve() / "peers"


@dataclass(frozen=True)
class Case:
    """Two commands, and the promise about them.

    `target` is the largest ratio of the first to the second, by the clock; below 1 it tells how
    much faster. `extra` bounds the difference in seconds instead. `needs` is the package of the
    peer; None for the command itself or Python alone.
    """

    name: str
    ours: Command
    theirs: Command
    peer: str
    target: float | None = None
    extra: float | None = None
    needs: str | None = None


def cases(ours: Path, python: Path, data: Path, out: Path) -> list[Case]:
    """Return every comparison; `ours` is the command, `python` the peers' interpreter."""
    cli, b20 = str(ours), str(data / "b20.parquet")
    plain = str(ours.with_name("python"))
    measure = [cli, "measure", b20, "--no-ci"]
    npy = [str(data / "b20.npy"), "--labels", str(data / "y20.npy")]
    z100 = [str(data / "z100.npy"), "--labels", str(data / "y100.npy"), "--logits"]
    z100k = [str(data / "z100k.npy"), "--labels", str(data / "y100k.npy"), "--logits"]
    z50k = [str(data / "z50k.npy"), "--labels", str(data / "y50k.npy"), "--logits"]
    z10k = [str(data / "z10k.npy"), "--labels", str(data / "y10k.npy"), "--logits"]
    z1000 = [str(data / "z1000.npy"), "--labels", str(data / "y1000.npy"), "--logits"]
    temperature = [cli, "fit", *z100, "--method", "temperature", "-o", str(out / "t.json")]
    image_fit = [cli, "fit", *z50k, "--no-ci", "-o", str(out / "m50k.json"), "--method"]
    some = {
        width: [str(data / f"z{width}few.npy"), "--labels", str(data / f"y{width}few.npy")]
        for width in (10, 20)
    }
    b100k, truth = str(data / "b100k.parquet"), str(data / "truth.json")

    def peer(script: str, *arguments: str) -> Command:
        return [str(python), str(PEERS / f"{script}.py"), *arguments]

    def fit(method: str) -> Command:
        return [cli, "fit", b20, "--method", method, "-o", str(out / f"{method}.json")]

    found = [
        Case("--version", [cli, "--version"], [plain, "-c", "import typer"], "import typer", 1.5),
        Case(
            "measure, 1,000 rows of CSV",
            [cli, "measure", str(data / "b1k.csv")],
            [plain, "-c", "import typer, numpy, pyarrow.csv"],
            "import typer, numpy, pyarrow.csv",
            1.5,
        ),
        Case(
            "measure --no-ci, 20M",
            measure,
            peer("duckdb_query", b20),
            "DuckDB: ECE, Brier, log loss",
            1.5,
            needs="duckdb",
        ),
        Case(
            "measure --no-ci, 20M",
            measure,
            peer("polars_query", b20),
            "Polars: ECE, Brier, log loss",
            needs="polars",
        ),
        Case(
            "measure --no-ci, 20M",
            measure,
            peer("pyarrow_read", b20),
            "pyarrow reads the columns",
            2.5,
        ),
        Case("measure, 20M", [cli, "measure", b20], measure, "without intervals", extra=0.3),
        Case(
            "measure --no-ci, 20M of NPY",
            [cli, "measure", *npy, "--no-ci"],
            measure,
            "the same of Parquet",
            1.1,
        ),
        Case(
            "measure --no-ci, 5M of CSV",
            [cli, "measure", str(data / "b5.csv"), "--no-ci"],
            peer("pyarrow_read", str(data / "b5.csv")),
            "pyarrow parses the file",
            1.3,
        ),
        Case(
            "apply, 20M",
            [cli, "apply", str(out / "temperature.json"), b20, "-o", str(out / "a.parquet")],
            peer("pyarrow_copy", b20, str(out / "c.parquet")),
            "pyarrow reads and writes as much",
            1.4,
        ),
        *(
            Case(f"fit --method {method}, 20M", fit(method), measure, "measure --no-ci", 1.2)
            for method in ("temperature", "isotonic", "beta")
        ),
        Case(
            "threshold --guarantee, 100,000",
            [
                cli,
                "threshold",
                b100k,
                "--maximize",
                "recall",
                "--subject-to",
                "precision>=0.8",
                "--guarantee",
                "0.95",
                "-o",
                str(out / "g.json"),
            ],
            peer("mapie_threshold", b100k),
            "MAPIE's risk control",
            needs="mapie",
        ),
        Case(
            "measure --task detection, 2,000 images",
            [
                cli,
                "measure",
                str(data / "detections.json"),
                "--task",
                "detection",
                "--ground-truth",
                truth,
            ],
            peer("coco_eval", truth, str(data / "detections.json")),
            "pycocotools: AP at IoU 0.5",
            needs="pycocotools",
        ),
        Case(
            "measure --no-ci, 100,000 x 100",
            [cli, "measure", *z100k, "--no-ci"],
            [cli, "measure", *z100k],
            "with intervals",
        ),
        Case(
            "measure, 50 x 1,000",
            [cli, "measure", *z1000],
            [cli, "measure", *z1000, "--no-ci"],
            "without intervals",
        ),
        Case(
            "measure --no-ci, 50,000 x 1,000",
            [cli, "measure", *z50k, "--no-ci"],
            peer("numpy_classes", z50k[0], z50k[2]),
            "NumPy script: ECE, log loss, Brier",
            2.5,
        ),
        Case(
            "measure, 50,000 x 1,000",
            [cli, "measure", *z50k],
            [cli, "measure", *z50k, "--no-ci"],
            "without intervals",
            1.5,
        ),
        Case(
            "measure --all, 50,000 x 1,000",
            [cli, "measure", *z50k, "--all"],
            [cli, "measure", *z50k, "--no-ci"],
            "in brief, without intervals",
        ),
        Case(
            "report, 50,000 x 1,000",
            [cli, "report", *z50k, "-o", str(out / "r.html")],
            [cli, "measure", *z50k, "--no-ci"],
            "measure --no-ci",
            2.0,
        ),
        Case(
            "fit temperature, 50,000 x 1,000",
            [cli, "fit", *z50k, "--method", "temperature", "-o", str(out / "t50k.json")],
            peer("sklearn_temperature", z50k[0], z50k[2]),
            "scikit-learn's temperature",
            1.2,
            needs="scikit-learn",
        ),
        *(
            Case(
                f"fit {method} --no-ci, 50,000 x 1,000",
                [*image_fit, method],
                [*image_fit, "temperature"],
                "fit temperature --no-ci",
                5.0,
            )
            for method in ("vector", "sms")
        ),
        *(
            Case(
                f"fit, {rows} x {width}",
                [cli, "fit", *some[width], "--logits", "-o", str(out / "f.json")],
                [
                    cli,
                    "fit",
                    *some[width],
                    "--logits",
                    "--method",
                    "identity",
                    "-o",
                    str(out / "i.json"),
                ],
                "fit --method identity",
                extra=more,
            )
            for rows, width, more in (("5,000", 10, 1.5), ("3,766", 20, 3.5))
        ),
        Case(
            "measure, 10,000 x 100",
            [cli, "measure", *z10k],
            peer("numpy_classes", z10k[0], z10k[2]),
            "NumPy script: ECE, log loss, Brier",
        ),
        Case(
            "fit temperature, 10,000 x 100",
            [cli, "fit", *z10k, "--method", "temperature", "-o", str(out / "t10k.json")],
            peer("sklearn_temperature", z10k[0], z10k[2]),
            "scikit-learn's temperature",
            1.2,
            needs="scikit-learn",
        ),
        Case(
            "fit temperature, 1M x 100",
            temperature,
            peer("exp_pass", z100[0]),
            "read and exponentiate once",
            2.5,
        ),
        Case(
            "measure --no-ci, 200M in 10 files",
            [cli, "measure", str(data / "ten" / "*.parquet"), "--no-ci"],
            measure,
            "20M",
            10.5,
        ),
        Case(
            "measure --no-ci, 20M",
            measure,
            peer("sklearn_script", b20),
            "scikit-learn script",
            1 / 20,
            needs="scikit-learn",
        ),
        Case(
            "fit temperature, 1M x 100",
            temperature,
            peer("sklearn_temperature", z100[0], z100[2]),
            "scikit-learn's temperature",
            1 / 8,
            needs="scikit-learn",
        ),
        *(
            Case(
                "measure --no-ci, 20M",
                measure,
                peer("torch_ece", name, b20),
                f"{name}: ECE",
                needs=name,
            )
            for name in ("netcal", "torchmetrics")
        ),
        *(
            Case(
                f"fit --method {method}, {size}",
                [cli, "fit", *logits, "--method", method, "-o", str(out / "p.json")],
                peer("probmetrics_fit", theirs, logits[0], logits[2]),
                "probmetrics: the fit alone",
                needs="probmetrics",
            )
            for method, theirs, size, logits in (
                ("sms", "sms", "5,000 x 10", [*some[10], "--logits"]),
                ("sms", "sms", "3,766 x 20", [*some[20], "--logits"]),
                ("sms", "sms", "10,000 x 100", z10k),
                ("temperature", "temp-scaling", "10,000 x 100", z10k),
            )
        ),
    ]
    return found
