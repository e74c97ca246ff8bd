"""WHETHER rows keep the promise of a schema."""
