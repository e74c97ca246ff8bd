"""The class of the column types, which tells what is wrong where a type is used in place of a column."""

from __future__ import annotations

from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import ContractError
from aligned_dagster.features.arguments import arguments_error
from aligned_dagster.features.location import at, caller


class ColumnType(type):
    """The class of `Float`, `String`, ...; type checkers see a plain one, and report the same mistakes themselves."""

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            """Make a column, or say which arguments the type takes."""
            try:
                return super().__call__(*args, **kwargs)
            except TypeError as error:
                trace = error.__traceback__
                if trace is None or trace.tb_next is not None:  # it was raised inside, by something else
                    raise
                told = arguments_error(cls.__init__, error, {}, cls.__name__)
            raise told

        def __getattribute__(cls, name: str) -> Any:
            found = super().__getattribute__(name)
            if name.startswith("_") or not isinstance(found, FunctionType):
                return found

            @wraps(found)
            def method(*args: Any, **kwargs: Any) -> Any:
                if not args or not isinstance(args[0], cls):
                    raise ContractError(
                        f"{cls.__name__}.{name} is asked of a class. Make a column of it first: "
                        f"{cls.__name__}().{name}(...){at(caller())}"
                    )
                return found(*args, **kwargs)

            return method
