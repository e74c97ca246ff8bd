"""Directories of Hive partitions: `key=value`, so encoded that no value leaves its directory or meets another.

A value is percent-encoded as Hive, Spark and DuckDB do it. Null is Hive's `__HIVE_DEFAULT_PARTITION__`,
and the text
of that name is escaped. A value too long for a file name is cut, followed by `%~` and its hash, which no
encoded
value contains; the whole value is then kept in a hidden file in the directory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TypeVar
from urllib.parse import quote, unquote

from aligned_dagster.errors import ConfigurationError, UnreadableSourceError

NULL = "__HIVE_DEFAULT_PARTITION__"
"""What stands for null, in every tool that writes such directories."""

VALUE_FILE = ".partition-value"
"""The hidden file that holds a value which the name of its directory cannot hold."""

P = TypeVar("P", bound=PurePath)

_LONGEST = 200
_LONGEST_KEY = 50
CUT = "%~"
"""Between the beginning of a long value and its hash."""


def encode_partition(key: str, value: str | None) -> str:
    """The directory of a value.

    Args:
        key: the stored name of the partition key.
        value: its value as text; None for null.

    >>> encode_partition("country", "norway"), encode_partition("path", "../../evil")
    ('country=norway', 'path=..%2F..%2Fevil')
    >>> encode_partition("country", None), is_cut(encode_partition("country", "__HIVE_DEFAULT_PARTITION__"))
    ('country=__HIVE_DEFAULT_PARTITION__', True)
    """
    if value is None:
        return f"{key}={NULL}"
    encoded = quote(value, safe=" ,@")
    if len(encoded) > _LONGEST or value == NULL:
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        encoded = f"{encoded[: _LONGEST - 70]}{CUT}{digest}"
    return f"{key}={encoded}"


def is_cut(directory: str) -> bool:
    """Whether the value of a directory stands in its hidden file."""
    return CUT in directory and re.search(rf"{CUT}[0-9a-f]{{64}}$", directory) is not None


def read_local(path: PurePath) -> bytes:
    """The content of a file of this machine."""
    return Path(path).read_bytes()


def decode_partition(
    directory: PurePath, read: Callable[[PurePath], bytes] = read_local
) -> tuple[str, str | None]:
    """The key and the value of a directory.

    Args:
        directory: its path.
        read: gives the content of the file with a long value.

    Raises:
        UnreadableSourceError: the directory is no `key=value`, or the file with its long value is gone.

    >>> decode_partition(Path("path=..%2F..%2Fevil"))
    ('path', '../../evil')
    """
    key, found, encoded = directory.name.partition("=")
    if not found:
        raise UnreadableSourceError(f"{directory} is no partition: its name should be key=value.")
    if encoded == NULL:
        return key, None
    if not is_cut(encoded):
        return key, unquote(encoded)
    try:
        return key, read(directory / VALUE_FILE).decode()
    except OSError as error:
        raise UnreadableSourceError(
            f"The value of the partition {directory} cannot be read: {error}."
        ) from error


def partition_values(
    file: PurePath, keys: Sequence[str], read: Callable[[PurePath], bytes] = read_local
) -> tuple[str | None, ...]:
    """The values of keys, as text, of a file in directories named by them.

    Args:
        file: its path.
        keys: stored names of the keys.
        read: gives the content of the file with a long value.

    Raises:
        UnreadableSourceError: the file is in no directory of a key.

    >>> partition_values(Path("t/day=1/region=a%2Fb/x.parquet"), ["day", "region"])
    ('1', 'a/b')
    """
    found: dict[str, str | None] = {}
    parts = file.parts
    for depth in range(len(parts) - 1, 0, -1):
        key, is_key, encoded = parts[depth - 1].partition("=")
        if not is_key or key not in keys or key in found:
            continue
        if encoded == NULL:
            found[key] = None
        elif "%" not in encoded:
            found[key] = encoded
        else:
            found[key] = decode_partition(file.parents[len(parts) - depth - 1], read)[1]
        if len(found) == len(keys):
            break
    for key in keys:
        if key not in found:
            others = [name for name, sign, _ in (part.partition("=") for part in file.parts[:-1]) if sign]
            known = f" Its directories are divided by partition_keys={others!r}." if others else ""
            raise UnreadableSourceError(
                f"{file} is in no directory {key}=..., so its {key!r} is unknown.{known}"
            )
    return tuple(found[key] for key in keys)


def partition_directory(root: P, values: Mapping[str, str | None]) -> P:
    """The directory of several keys, outermost first."""
    return root.joinpath(*(encode_partition(key, value) for key, value in values.items()))


def write_long_values(directory: Path, values: Mapping[str, str | None]) -> list[Path]:
    """Write the hidden files that a partition needs, and return them.

    Args:
        directory: the innermost directory, made from the same values.
        values: key to value, outermost first.
    """
    levels = [directory, *directory.parents][: len(values)][::-1]
    written: list[Path] = []
    for level, value in zip(levels, values.values(), strict=True):
        if is_cut(level.name) and value is not None:
            file = level / VALUE_FILE
            file.write_bytes(value.encode())
            written.append(file)
    return written


def check_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """The keys themselves, when directories can be named by them.

    Raises:
        ConfigurationError: there is none, one comes twice, or one is too long or has a character that a
            directory cannot hold.
    """
    if not keys:
        raise ConfigurationError(
            "A partitioned source needs partition_keys, such as partition_keys=['country']."
        )
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigurationError(f"The partition key {key!r} is named twice.")
        refused = key.startswith((".", "_HIVE")) or re.search(r"[=/%\\\x00-\x1f]", key)
        if not key or refused or len(key.encode()) > _LONGEST_KEY:
            raise ConfigurationError(f"{key!r} cannot be a partition key: no directory can be named by it.")
    return tuple(keys)
