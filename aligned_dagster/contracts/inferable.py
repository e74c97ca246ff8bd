"""Sources on the command line: a path, a URL or a table, as what can be read and as what Python says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import polars as pl

from aligned_dagster.contracts.inferring import SourceCode, class_name, inferred_contract
from aligned_dagster.contracts.spelling import column_names, feature_code, quoted, with_known_zone
from aligned_dagster.errors import (
    ConfigurationError,
    ContractError,
    SourceNotFoundError,
    UnsupportedError,
    did_you_mean,
)
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.constructors import PlainConstructors
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.formats import CsvConfig
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    from aligned_dagster.sources.aws_s3 import AwsS3Config
    from aligned_dagster.sources.azure_blob_storage import AzureBlobConfig

SEPARATORS = (",", ";", "\t", "|")
_CSV = (".csv", ".csv.gz", ".csv.zst", ".csv.zip")
_PARQUET = (".parquet", ".pq", ".parq")
_TEXT = DataType("string")


@dataclass(frozen=True)
class Inferable:
    """A source whose contract is to be inferred.

    Args:
        code: how it is written.
        made: the source itself, for a mapping of stored names to names of columns.
        stored: stored name to type; None where contracts have no such type.
        texts: stored names of the columns without a type.
        title: name of the contract's class.
    """

    code: SourceCode
    made: Callable[[Mapping[str, str]], DataSource]
    stored: Mapping[str, DataType | str]
    texts: frozenset[str]
    title: str


def infer(target: str, title: str | None = None) -> str:
    """The Python text of a contract for a source.

    Args:
        target: a path or URL of a CSV or Parquet file, a Hive directory, or `postgresql:ENV_VAR:schema.table`; see
            `inferable`.
        title: name of the contract's class; one made of the file's or table's name if not given.

    Raises:
        SourceError: the source is not there or cannot be read.
        ContractError: the title is no name of a class.
    """
    if title is not None and (not title.isascii() or not title.isidentifier() or title != class_name(title)):
        raise ContractError(f"{title!r} cannot name the class of a contract. {class_name(title)!r} can.")
    found = inferable(target)
    known = {name: dtype for name, dtype in found.stored.items() if isinstance(dtype, DataType)}
    names = column_names(known)
    mapping = {old: new for old, new in names.items() if old != new}
    columns = tuple(Column(names[old], dtype, optional=True) for old, dtype in known.items())
    if not columns:
        raise ContractError(f"{target} has no column that a contract could have.")
    request = RetrievalRequest(title or found.title, Schema(columns))
    with explained(found.code.words, target):
        return inferred_contract(
            found.made(mapping).all_data(request),
            found.code,
            title or found.title,
            names=mapping,
            types={column.name: column.dtype for column in columns},
            texts=frozenset(names[old] for old in found.texts),
            left_out={name: why for name, why in found.stored.items() if isinstance(why, str)},
        )


def inferable(target: str) -> Inferable:
    """What a text on the command line stands for.

    Args:
        target: a path; `s3://bucket/key` or `azure://container/blob`, whose parameters name environment variables as in
            `?access_token_env=KEY`; or `postgresql:ENV_VAR:schema.table`.

    Raises:
        UnsupportedError: it is none of these.
        SourceError: it is not there or cannot be read.
    """
    if target.startswith(("postgresql:", "postgres:")):
        from aligned_dagster.contracts.inferable_table import table

        return table(target)
    scheme = urlsplit(target).scheme if "://" in target else ""
    if not scheme:
        from aligned_dagster.sources.local import FileSource

        return _files(FileSource, "FileSource", ("FileSource",), target)
    if scheme not in {"s3", "azure"}:
        raise UnsupportedError(
            f"Nothing is known of {scheme}://. Give a path, s3://bucket/key, "
            "azure://container/blob or postgresql:ENV_VAR:schema.table."
        )
    config, words, path = objects_at(target)
    return _files(config, words, (type(config).__name__,), path)


def objects_at(target: str) -> tuple[AwsS3Config | AzureBlobConfig, str, str]:
    """What a URL names: the bucket or container, how Python says it, and the path in it.

    Args:
        target: `s3://bucket/key` or `azure://container/blob`; its parameters are the settings that name environment
            variables.

    Raises:
        ConfigurationError: a parameter is no such setting, or holds no name of a variable.

    >>> objects_at("s3://lake/raw/orders.csv?region_env=AWS_REGION")[1:]
    ('AwsS3Config(bucket="lake", region_env="AWS_REGION")', 'raw/orders.csv')
    """
    from aligned_dagster.sources.aws_s3 import AwsS3Config
    from aligned_dagster.sources.azure_blob_storage import AzureBlobConfig

    parts = urlsplit(target)
    kind: type[AwsS3Config | AzureBlobConfig] = AwsS3Config if parts.scheme == "s3" else AzureBlobConfig
    options = [name for name in kind.model_fields if name.endswith("_env")]
    named = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in named:
        if name not in options:
            raise ConfigurationError(
                f"{kind.__name__} has no setting {name!r} that names an environment variable."
                f"{did_you_mean(name, options)} Known: {', '.join(options)}."
            )
    given = {"bucket" if parts.scheme == "s3" else "container": parts.netloc, **named}
    written = ", ".join(f"{name}={quoted(value)}" for name, value in given.items())
    return kind.model_validate(given), f"{kind.__name__}({written})", unquote(parts.path).lstrip("/")


def _files(place: PlainConstructors, words: str, imports: tuple[str, ...], path: str) -> Inferable:
    """A CSV or Parquet file, or a directory of partitions."""
    lower = path.lower()
    if lower.endswith(_CSV):
        return _csv(place, words, imports, path)
    if lower.endswith(_PARQUET) and place.at(path).what_is_there() != "directory":
        source = place.parquet_at(path)
        return Inferable(
            SourceCode(f"{words}.parquet_at", (quoted(path),), imports, words=path),
            lambda names: place.parquet_at(path, mapping_keys=names),
            _types(_scanned(source, ())),
            frozenset(),
            class_name(_stem(path)),
        )
    if place.at(path).what_is_there() == "directory":
        return _tree(place, words, imports, path)
    if place.at(path).what_is_there() is None:
        place.at(path).existing_file()
    raise UnsupportedError(
        f"{path} is neither a CSV file ({', '.join(_CSV)}), nor a Parquet file ({', '.join(_PARQUET)}), nor a directory "
        "of partitions such as country=norway."
    )


def _csv(place: PlainConstructors, words: str, imports: tuple[str, ...], path: str) -> Inferable:
    configs = [CsvConfig(separator=sign) for sign in SEPARATORS]
    headers = [_scanned(place.csv_at(path, csv_config=config), ()) for config in configs]
    best = 0 if len(headers[0]) > 1 else max(range(len(configs)), key=lambda at: len(headers[at]))
    config = configs[best]
    names = tuple(headers[best])
    _scanned(place.csv_at(path, csv_config=config), names)  # raises where the header names one twice
    arguments: tuple[str, ...] = (quoted(path),)
    if best:
        arguments = (*arguments, f"csv_config=CsvConfig(separator={quoted(config.separator)})")
        imports = ("CsvConfig", *imports)
    return Inferable(
        SourceCode(f"{words}.csv_at", arguments, imports, words=path),
        lambda mapping: place.csv_at(path, mapping_keys=mapping, csv_config=config),
        dict.fromkeys(names, _TEXT),
        frozenset(names),
        class_name(_stem(path)),
    )


def _tree(place: PlainConstructors, words: str, imports: tuple[str, ...], path: str) -> Inferable:
    location = place.at(path)
    found = [file.path for file in location.files() if file.path.name.lower().endswith(_PARQUET)]
    if not found:
        raise SourceNotFoundError(f"There is no Parquet file ({', '.join(_PARQUET)}) below {location.uri}.")
    depth = len(PurePath(location.root).parts)
    keys = tuple(part.partition("=")[0] for part in found[0].parts[depth:-1] if "=" in part)
    if not keys:
        raise UnsupportedError(
            f"{location.uri} has no partitions: {found[0]} is in no directory such as country=norway. "
            "Give one of its files."
        )
    stored: dict[str, DataType | str] = {}
    with explained(path, location.uri):
        for file in location.readables(found):
            scanned = pl.scan_parquet(file.address, glob=False, hive_partitioning=False, **file.options)
            stored = {**_types(scanned.collect_schema()), **stored}
    names = column_names([*stored, *keys])
    stored |= dict.fromkeys(keys, _TEXT)
    columns = [names[key] for key in keys]

    def made(mapping: Mapping[str, str]) -> PartitionedParquetSource:
        return place.partitioned_parquet_at(path, columns, mapping_keys=mapping)

    listed = ", ".join(quoted(name) for name in columns)
    arguments = (quoted(path), f"partition_keys=[{listed}]")
    code = SourceCode(f"{words}.partitioned_parquet_at", arguments, imports, words=path)
    return Inferable(code, made, stored, frozenset(keys), class_name(_stem(path)))


def _scanned(source: FileDataSource, names: tuple[str, ...]) -> pl.Schema:
    """The stored columns of a file."""
    file = source.location.existing_file()
    with explained(source.label, source.uri):
        return source.format.scan(source.location.readable(file.path), names).collect_schema()


def _types(schema: Mapping[str, pl.DataType]) -> dict[str, DataType | str]:
    return {name: contract_type(dtype) for name, dtype in schema.items()}


def contract_type(stored: pl.DataType) -> DataType | str:
    """The contract's type of a stored one, or why there is none."""
    if stored == pl.Null:
        return _TEXT
    try:
        dtype = with_known_zone(DataType.from_polars(stored))
        feature_code(dtype)
    except ContractError as error:
        return str(error).splitlines()[0]
    if dtype.is_nested and dtype.polars != stored:
        return f"contracts have no type for {str(stored)!r}"
    return dtype


def _stem(path: str) -> str:
    return PurePath(path.rstrip("/")).name.partition(".")[0]
