"""How rows are laid out in a file: CSV and Parquet. A format scans a path and writes one, nothing else."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import ConfigDict, field_validator, model_validator

from aligned_dagster.errors import CastError, ConfigurationError, UnreadableSourceError
from aligned_dagster.request.csv_faults import remember_scan
from aligned_dagster.sources.location import Readable
from aligned_dagster.sources.settings import Settings
from aligned_dagster.sources.text_files import is_zip, recode, scan_text, zip_member

CsvCompression = Literal["infer", "gzip", "zstd", "zip", "uncompressed"]
ParquetCompression = Literal["zstd", "snappy", "gzip", "lz4", "brotli", "uncompressed"]
_EXTENSIONS: dict[str, CsvCompression] = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zip": "zip"}


class CsvConfig(Settings):
    """How a CSV file is written.

    An empty cell is null and `""` is the empty text; `null_values` are null besides, quoted or not.

    Args:
        separator: one character between cells; `seperator` is accepted too.
        compression: "infer" (from the name), "gzip", "zstd", "zip" (one member) or None.
        null_values: further texts that stand for null, such as "NA".
        header: whether the first line names the columns. Without, they are the contract's stored columns
            in order.
        encoding: of the text, such as "utf8" or "latin-1"; anything but UTF-8 is decoded in memory.
        quote: the character around cells that hold a separator or a line end; None where there is none.
        decimal: the sign before the decimals of a number: "." or ",".
        thousands: a sign between groups of three digits, such as "." or " "; None where there is none. It is read
            and never written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    separator: str = ","
    compression: CsvCompression | None = "infer"
    null_values: tuple[str, ...] = ()
    header: bool = True
    encoding: str = "utf8"
    quote: str | None = '"'
    decimal: Literal[".", ","] = "."
    thousands: str | None = None

    def read_numbers(self, frame: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
        """Texts of numbers with a point before their decimals and nothing between their digits."""
        if self.decimal == "." and self.thousands is None:
            return frame
        texts = pl.col(list(names))
        if self.thousands is not None:
            texts = texts.str.replace_all(self.thousands, "", literal=True)
        return frame.with_columns(texts.str.replace(self.decimal, ".", literal=True))

    def write_numbers(self, frame: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
        """Numbers as texts with the decimal sign of the file."""
        if self.decimal == ".":
            return frame
        texts = pl.col(list(names)).cast(pl.String)
        return frame.with_columns(texts.str.replace(".", self.decimal, literal=True))

    @model_validator(mode="before")
    @classmethod
    def _spelling(cls, data: Any) -> Any:
        if isinstance(data, dict) and "seperator" in data:
            data = dict(data)
            data["separator"] = data.pop("seperator")
        return data

    @field_validator("null_values", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value or ())

    @field_validator("separator")
    @classmethod
    def _one_byte(cls, value: str) -> str:
        if len(value.encode()) != 1:
            raise ValueError(f"the separator {value!r} is not one ASCII character")
        return value

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError(
                f"Python knows no encoding {value!r}; common ones are utf8, latin-1, cp1252"
            ) from None
        return value

    @property
    def is_utf8(self) -> bool:
        """Whether polars can read the bytes as they are."""
        return codecs.lookup(self.encoding).name in {"utf-8", "utf-8-sig"}


class ParquetConfig(Settings):
    """How a Parquet file is written; every Parquet file is read.

    Args:
        compression: "zstd", "snappy", "gzip", "lz4", "brotli" or None.
        row_group_size: rows in a row group; polars' default if not given.
        engine: accepted for those who come from `aligned`; polars reads and writes in any case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    compression: ParquetCompression | None = "zstd"
    row_group_size: int | None = None
    engine: str = "auto"


class FileFormat(Settings, ABC):
    """One layout of rows in one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    @property
    @abstractmethod
    def is_text(self) -> bool:
        """Whether every value is stored as text."""

    @abstractmethod
    def scan(self, file: Readable, names: Sequence[str]) -> pl.LazyFrame:
        """The stored rows, lazily, under their stored names.

        Args:
            file: the file.
            names: all stored names that the contract knows, in order.
        """

    @abstractmethod
    def sink(self, frame: pl.LazyFrame, path: Path, name: str) -> None:
        """Write rows to a new file, streaming.

        Args:
            frame: rows under their stored names.
            path: where to.
            name: the name that the file will have in the end, which may tell its compression.
        """

    def rows(self, file: Readable) -> int | None:
        """The number of rows, where the file tells it without being read."""
        return None


class CsvFormat(FileFormat):
    """Comma separated values, all read as text and then cast by the contract."""

    kind: Literal["csv"] = "csv"
    config: CsvConfig = CsvConfig()

    @property
    def is_text(self) -> bool:
        """True: "007" stays what it is until the contract says otherwise."""
        return True

    def compression(self, name: str) -> CsvCompression:
        """The compression of a file of that name."""
        if self.config.compression == "infer":
            return _EXTENSIONS.get(Path(name).suffix.lower(), "uncompressed")
        return self.config.compression or "uncompressed"

    def scan(self, file: Readable, names: Sequence[str]) -> pl.LazyFrame:
        """See `FileFormat.scan`. gzip and zstd are known by their first bytes, whatever the config says."""
        options: dict[str, Any] = {
            "separator": self.config.separator,
            "quote_char": self.config.quote,
            "null_values": list(self.config.null_values) or None,
            "has_header": self.config.header,
        }
        if self.config.compression == "zip" or not self.config.is_utf8 or is_zip(file):
            frame = scan_text(file, options, self.config.encoding)
        else:
            remember_scan(file.address, self.config.separator, self.config.quote)
            frame = pl.scan_csv(file.address, infer_schema=False, glob=False, **options, **file.options)
        found = frame.collect_schema().names()
        if found and found[0].startswith("PAR1"):
            raise UnreadableSourceError(
                f"{file} is a Parquet file. Read it by parquet_at(...) in place of csv_at(...)."
            )
        if self.config.header:
            _refuse_repeated(found, names, file)
            quote = self.config.quote or ""
            escaped = [
                name for name in found if quote and quote * 2 in name
            ]  # polars leaves them so in a header
            return (
                frame.rename({name: name.replace(quote * 2, quote) for name in escaped}) if escaped else frame
            )
        if len(found) != len(names):
            raise UnreadableSourceError(
                f"{file} has {len(found)} columns and no header, and the contract has {len(names)} stored columns "
                f"({', '.join(names)}). They must match one to one."
            )
        return frame.rename(dict(zip(found, names, strict=True)))

    def sink(self, frame: pl.LazyFrame, path: Path, name: str) -> None:
        """See `FileFormat.sink`.

        Raises:
            CastError: a text would be read back as null, or does not exist in the encoding.
            ConfigurationError: the config has no quote character, without which texts cannot be told apart.
        """
        if self.config.quote is None:
            raise ConfigurationError(
                f"{name} cannot be written without a quote character: set CsvConfig(quote='\"')."
            )
        if self.config.null_values:
            frame = frame.with_columns(
                pl.col(pl.String).map_batches(self._keeps_null, pl.String, is_elementwise=True)
            )
        compression = self.compression(name)
        plain = compression == "zip" or not self.config.is_utf8
        target = path.with_name(f"{path.name}.text") if plain else path
        frame.sink_csv(
            target,
            separator=self.config.separator,
            quote_char=self.config.quote,
            include_header=self.config.header,
            compression=compression if compression in {"gzip", "zstd"} and not plain else "uncompressed",
            check_extension=False,
        )
        if plain:
            recode(target, path, self.config.encoding, compression, zip_member(name))
            target.unlink()

    def _keeps_null(self, values: pl.Series) -> pl.Series:
        lost = values.filter(values.is_in(self.config.null_values))
        if len(lost):
            raise CastError(
                f"The text {lost[0]!r} cannot be written: null_values says that it would be read as null. "
                "Take it out of CsvConfig(null_values=...), or store the view as Parquet."
            )
        return values


class ParquetFormat(FileFormat):
    """Parquet."""

    kind: Literal["parquet"] = "parquet"
    config: ParquetConfig = ParquetConfig()

    @property
    def is_text(self) -> bool:
        """False: it has types of its own."""
        return False

    def scan(self, file: Readable, names: Sequence[str]) -> pl.LazyFrame:
        """See `FileFormat.scan`."""
        return pl.scan_parquet(file.address, glob=False, hive_partitioning=False, **file.options)

    def sink(self, frame: pl.LazyFrame, path: Path, name: str) -> None:
        """See `FileFormat.sink`."""
        frame.sink_parquet(
            path,
            compression=self.config.compression or "uncompressed",
            row_group_size=self.config.row_group_size,
        )

    def rows(self, file: Readable) -> int | None:
        """The number of rows, from the footer."""
        return int(self.scan(file, ()).select(pl.len()).collect().item())


def _refuse_repeated(found: Sequence[str], names: Sequence[str], file: Readable) -> None:
    for name in names:
        if name in found and f"{name}_duplicated_0" in found:
            raise UnreadableSourceError(f"The header of {file} names {name!r} twice: which one is meant?")
