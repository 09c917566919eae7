"""One reader a file format; all of them give frames of columns."""
