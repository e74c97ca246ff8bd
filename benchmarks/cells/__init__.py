"""The ways: one module per peer and theme. None but `contracts_*` imports anything of this project's package."""
