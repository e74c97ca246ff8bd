"""Names of contracts."""

from __future__ import annotations

import re

from aligned_dagster.errors import ContractError
from aligned_dagster.features.location import at, caller

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
    if not isinstance(name, str):
        raise ContractError(
            f"The name of a contract is a text, and what was given is a {type(name).__name__}. A source is given by its "
            f"name, as in @feature_view(source=...).{at(caller())}"
        )
    if not _NAME.fullmatch(name):
        good = re.sub(r"\W+", "_", name).strip("_")
        hint = f" Did you mean {good!r}?" if _NAME.fullmatch(good) else ""
        raise ContractError(
            f"{name!r} cannot be the name of a contract: letters, digits and underscores only, no digit first."
            f"{hint}{at(caller())}"
        )
    return name
