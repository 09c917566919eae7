"""ECE, Brier score and log loss of a Parquet file by one hand-written DuckDB query."""

import sys

import duckdb

print(
    duckdb.sql(f"""
    WITH bins AS (
        SELECT least(greatest(ceil(score * 15)::INT, 1), 15) AS bin,
               count(*) AS n, sum(score) AS score, sum(label) AS label,
               sum((score - label) * (score - label)) AS brier,
               sum(-ln(greatest(CASE WHEN label = 1 THEN score ELSE 1 - score END, 1e-15))) AS nll
        FROM '{sys.argv[1]}' GROUP BY 1
    )
    SELECT sum(abs(label - score)) / sum(n), sum(brier) / sum(n), sum(nll) / sum(n) FROM bins
    """).fetchall()
)
