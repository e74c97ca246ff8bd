"""What make and the tests use, and no user of the package."""
