"""Make the sample data: scores of over-confident networks on scikit-learn's bundled data sets.

Run ``python sample_data/make.py [FOLDER]``. Nothing is downloaded, every draw is seeded, and the
networks are scored only on patients and digits that they have not been trained on. Scores and
logits are rounded far above floating-point noise, so that another processor or number of threads
writes the same bytes. ``README.md`` beside this file documents the files and their columns.
"""

from __future__ import annotations

import csv
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

SEED = 20
NETWORKS = 8
SCORE_DECIMALS = 6
LOGIT_DECIMALS = 3
# What the networks see. Tumour size is left out, so that the groups below are news to them.
FEATURES = (
    "mean texture",
    "mean smoothness",
    "mean compactness",
    "mean symmetry",
    "mean fractal dimension",
)
SIZES = ("small", "medium", "large")


class Split(NamedTuple):
    """Row numbers of three disjoint parts, each with the classes in the same proportions."""

    train: Ints
    calibration: Ints
    test: Ints


def split(labels: Ints, train: float, rng: np.random.Generator) -> Split:
    """Deal each class: the fraction `train` to train, half of the rest to each of the others."""
    parts: tuple[list[Ints], list[Ints], list[Ints]] = ([], [], [])
    for name in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == name))
        first = round(train * rows.size)
        second = first + (rows.size - first) // 2
        for part, chosen in zip(parts, np.split(rows, [first, second]), strict=True):
            part.append(chosen)
    return Split(*(np.sort(np.concatenate(part)) for part in parts))


def train_network(
    features: Floats,
    labels: Ints,
    *,
    hidden: tuple[int, ...],
    activation: str,
    epochs: int,
    seed: int,
) -> MLPClassifier:
    """Train by Adam without weight decay or early stopping: hence the over-confidence."""
    network = MLPClassifier(
        hidden,
        activation=activation,
        alpha=0.0,
        batch_size=len(labels),
        learning_rate_init=0.01,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return network.fit(features, labels)


def breast_cancer() -> dict[str, pa.Table]:
    """Return the scores of eight networks for each patient, eight consecutive rows a patient.

    The part "choice" has the patients of the training, each scored by those networks only whose
    bootstrap sample left the patient out.
    """
    data = load_breast_cancer()
    names = list(data.feature_names)
    features = data.data[:, [names.index(feature) for feature in FEATURES]]
    radius = data.data[:, names.index("mean radius")]
    malignant = (data.target == list(data.target_names).index("malignant")).astype(np.int64)
    rng = np.random.default_rng(SEED)
    parts = split(malignant, 0.26, rng)

    train = features[parts.train]
    features = (features - train.mean(axis=0)) / train.std(axis=0)
    size = np.digitize(radius, np.quantile(radius[parts.train], [1 / 3, 2 / 3]))
    networks, left_out = [], []
    for seed in range(NETWORKS):
        sample = rng.choice(parts.train, parts.train.size)
        left_out.append(~np.isin(parts.train, sample))
        networks.append(
            train_network(
                features[sample],
                malignant[sample],
                hidden=(32, 16),
                activation="tanh",
                epochs=120,
                seed=seed,
            )
        )

    def table(rows: Ints, kept: NDArray[np.bool_] | slice = slice(None)) -> pa.Table:
        """Return the scores of these patients; `kept` marks rows of (patient, network)."""
        scores = np.stack([n.predict_proba(features[rows])[:, 1] for n in networks], axis=1)
        return pa.table(
            {
                "patient": np.repeat(rows, NETWORKS)[kept],
                "network": np.tile(np.arange(NETWORKS), rows.size)[kept],
                "size": np.repeat(np.array(SIZES)[size[rows]], NETWORKS)[kept].tolist(),
                "score": scores.round(SCORE_DECIMALS).ravel()[kept],
                "label": np.repeat(malignant[rows], NETWORKS)[kept],
            }
        )

    return {
        "calibration": table(parts.calibration),
        "choice": table(parts.train, np.stack(left_out, axis=1).ravel()),
        "test": table(parts.test),
    }


def digits() -> dict[str, tuple[NDArray[np.float32], Ints]]:
    """Return logits (n, 10) of a network trained on some 15 images a digit, and labels (n,)."""
    data = load_digits()
    features, labels = data.data / 16, data.target.astype(np.int64)
    parts = split(labels, 1 / 12, np.random.default_rng(SEED))
    network = train_network(
        features[parts.train],
        labels[parts.train],
        hidden=(64, 64, 32),
        activation="relu",
        epochs=60,
        seed=0,
    )

    def logits(rows: Ints) -> NDArray[np.float32]:
        # The forward pass by hand: predict_proba gives only what comes after the softmax.
        z: Floats = features[rows]
        for layer, (weights, bias) in enumerate(
            zip(network.coefs_, network.intercepts_, strict=True)
        ):
            z = (np.maximum(z, 0.0) if layer else z) @ weights + bias
        return np.round(z, LOGIT_DECIMALS).astype(np.float32)

    return {
        "calibration": (logits(parts.calibration), labels[parts.calibration]),
        "test": (logits(parts.test), labels[parts.test]),
    }


def main(folder: Path) -> None:
    """Write every file of the sample data to `folder`."""
    for part, table in breast_cancer().items():
        pq.write_table(table, folder / f"breast_cancer_{part}.parquet", compression="zstd")
        # The csv module: Arrow's writer quotes every string, and pandas is not needed for this.
        with (folder / f"breast_cancer_{part}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(table.column_names)
            rows.writerows(zip(*table.to_pydict().values(), strict=True))
    for part, (logits, labels) in digits().items():
        np.save(folder / f"digits_{part}_logits.npy", logits, allow_pickle=False)
        np.save(folder / f"digits_{part}_labels.npy", labels, allow_pickle=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
