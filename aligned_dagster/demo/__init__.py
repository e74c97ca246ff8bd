"""Contracts over the flights that left New York City in 2013."""
