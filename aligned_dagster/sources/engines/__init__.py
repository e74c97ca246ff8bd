"""Engines besides polars: sessions, reading sources on them, and the way back."""
