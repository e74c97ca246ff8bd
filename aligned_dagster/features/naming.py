"""Names of contracts."""

from __future__ import annotations

import re

from aligned_dagster.errors import ContractError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def snake_case(name: str) -> str:
    """The name of a class in small letters and underscores.

    >>> snake_case("TitanicPassenger"), snake_case("HTTPLog"), snake_case("Flights2013")
    ('titanic_passenger', 'http_log', 'flights2013')
    """
    split = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", split).lower()


def check_name(name: str) -> str:
    """The name itself, when a contract may bear it.

    Raises:
        ContractError: it has other signs than letters, digits and underscores.
    """
    if not _NAME.fullmatch(name):
        raise ContractError(
            f"{name!r} cannot be the name of a contract: letters, digits and underscores only, no digit first."
        )
    return name
