"""Maps of one score: fitted from the collapsed pairs of a `ScoreStats`."""
