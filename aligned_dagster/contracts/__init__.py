"""WHO promises: feature views and their store."""
