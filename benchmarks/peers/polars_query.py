"""ECE, Brier score and log loss of a Parquet file by one hand-written Polars query."""

import sys

import polars as pl

p, y = pl.col("score"), pl.col("label").cast(pl.Float64)
truth = pl.when(y == 1).then(p).otherwise(1 - p).clip(1e-15, 1)
bins = (
    pl.scan_parquet(sys.argv[1])
    .with_columns(bin=(p * 15).ceil().clip(1, 15).cast(pl.Int8), y=y, truth=truth)
    .group_by("bin")
    .agg(
        n=pl.len(),
        score=p.sum(),
        label=pl.col("y").sum(),
        brier=((p - pl.col("y")) ** 2).sum(),
        nll=-pl.col("truth").log().sum(),
    )
)
n = pl.col("n").sum()
print(
    bins.select(
        ece=(pl.col("label") - pl.col("score")).abs().sum() / n,
        brier=pl.col("brier").sum() / n,
        nll=pl.col("nll").sum() / n,
    ).collect()
)
