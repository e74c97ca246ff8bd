"""One contract a module."""
