"""WHAT a column is: types, roles, derivations, constraints; a schema and its version."""
