"""Maps of rows of several classes: fitted in passes over a `RowSource`."""
