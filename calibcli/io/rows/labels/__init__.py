"""Labels: which columns they are, what shape they have, and what their values mean."""
