"""`apply`: write calibrated probabilities and decisions, or the map as SQL or Python."""
