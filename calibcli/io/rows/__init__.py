"""Tables of rows: columns, labels, keys, groups and clusters as batches."""
