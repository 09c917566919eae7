"""`--labels FILE`: a file beside the scores, by the order of its rows or by a key."""
