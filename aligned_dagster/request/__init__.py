"""WHICH rows are asked for."""
