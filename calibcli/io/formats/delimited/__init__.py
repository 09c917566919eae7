"""CSV and TSV: the reader, and what people and spreadsheets write into such files."""
