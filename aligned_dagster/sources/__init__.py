"""WHERE rows live."""
