"""Decisions on the rows of `measure` and `report`: counted, judged and drawn."""
