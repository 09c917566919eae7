"""Figures that stand behind the first ones in `registry`, and readings of the curve."""
