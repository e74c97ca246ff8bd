"""Recorded derivations on engines other than polars, with polars' answers."""
