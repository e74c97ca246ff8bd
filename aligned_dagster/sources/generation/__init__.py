"""Made-up rows that keep every promise of a contract."""
