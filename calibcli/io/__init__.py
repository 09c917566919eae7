"""The only package that opens files: readers, artifacts and one atomic sink.

`dataset.open_dataset` is the door for scores and labels, `artifacts` for the three JSON
artifacts, `sink.write_atomic` and `writers.open_table_sink` for what is written.
"""
