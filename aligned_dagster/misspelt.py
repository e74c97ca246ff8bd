"""Names that the package does not have, and the ones that were meant."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterable

from aligned_dagster.errors import did_you_mean

_MEANT = {
    "Integer": "Int64",
    "Int": "Int64",
    "Long": "Int64",
    "Double": "Float64",
    "Number": "Float",
    "Str": "String",
    "Text": "String",
    "Varchar": "String",
    "Boolean": "Bool",
    "Datetime": "Timestamp",
    "DateTime": "Timestamp",
    "Uuid": "UUID",
    "Array": "List",
    "Dict": "Struct",
    "CsvFileSource": "FileSource",
    "Entity": "String",
    "AwsS3Source": "AwsS3Config",
    "PostgreSQLSource": "PostgreSQLConfig",
    "PostgresConfig": "PostgreSQLConfig",
}
"""What other tools call a type or a source, and its name here."""


def no_such_name(name: str, known: Iterable[str]) -> Exception:
    """The error for a name that the package does not have.

    Args:
        name: what was asked for.
        known: what there is.
    """
    hint = f" Did you mean {_MEANT[name]!r}?" if name in _MEANT else did_you_mean(name, known)
    frame = sys._getframe(2)  # of `from aligned_dagster import ...`, or of whoever asks for an attribute
    operation = dis.opname[frame.f_code.co_code[frame.f_lasti]] if frame.f_lasti >= 0 else ""
    if operation == "IMPORT_FROM":  # Python would put a text of its own in place of an AttributeError
        return ImportError(f"aligned_dagster has no {name!r}.{hint}", name="aligned_dagster")
    return AttributeError(f"module 'aligned_dagster' has no attribute {name!r}.{hint}")
