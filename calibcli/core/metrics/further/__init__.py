"""Figures that stand behind the first ones: each is one entry of `registry.FURTHER`."""
