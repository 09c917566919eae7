"""Reads Parquet and writes the same columns and one more, as `apply` does."""

import sys

from pyarrow import parquet

source = parquet.ParquetFile(sys.argv[1])
schema = source.schema_arrow.append(source.schema_arrow.field("score").with_name("probability"))
with parquet.ParquetWriter(sys.argv[2], schema) as sink:
    for number in range(source.num_row_groups):
        group = source.read_row_group(number)
        sink.write_table(group.append_column(schema.field("probability"), group["score"]))
