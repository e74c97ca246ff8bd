"""Reading partitions: which files there are, what their directories say, and one scan over them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.plan import needed
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.casting import CheckedCast, Place, from_text, is_widened
from aligned_dagster.sources.conform import conform, stored_names
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.location import Location, Readable, StoredFile
from aligned_dagster.sources.partition_files import footer, tag_of
from aligned_dagster.sources.partition_path import CUT, is_cut, partition_values

Values = tuple[str | None, ...]
"""The texts of the keys of one file, outermost first."""

_NUMBER = "aligned: number"
_SUFFIXES = (".parquet", ".pq", ".parq")
_UPCAST = pl.ScanCastOptions(integer_cast="upcast", float_cast="upcast")
_MOMENT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?"
_NATIVE: dict[str, str] = {
    "bool": "true|false|True|False",
    "decimal": r"-?\d+(\.\d+)?",
    "date": r"\d{4}-\d\d-\d\d",
    "timestamp": _MOMENT,
    "timestamp with zone": rf"{_MOMENT}(Z|[+-]\d\d:\d\d)",
}
"""The texts that polars reads from the name of a directory as we do, by the kind of the key."""


@dataclass(frozen=True)
class PartitionReader:
    """What must be known of a partitioned directory to read it.

    Args:
        location: of the directory.
        keys: columns of the contract that the directories stand for, outermost first.
        stored_keys: their names in the directories.
        mapping: stored name to name in the contract.
        formatter: how dates are stored, where they are not stored as dates.
    """

    location: Location
    keys: tuple[str, ...]
    stored_keys: tuple[str, ...]
    mapping: Mapping[str, str]
    formatter: DateFormatter
    _known: dict[str, Values] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def uri(self) -> str:
        """Of the directory, for errors."""
        return self.location.uri

    def files(self) -> list[StoredFile]:
        """All data files, as if an unfinished publish had been carried out; none where there is no directory.

        Raises:
            UnreadableSourceError: a file lies outside of the partitions.
        """
        found = [one for one in self.location.files() if one.path.name.lower().endswith(_SUFFIXES)]
        for file in found:
            self.values(file.path)
        return found

    def existing_paths(self, contract: str | None = None) -> list[PurePath]:
        """The paths of `existing_files`."""
        found = [path for path in self.location.paths() if path.name.lower().endswith(_SUFFIXES)]
        for path in found:
            self.values(path)
        if not found:
            self.location.existing_directory(contract)
        return found

    def existing_files(self, contract: str | None = None) -> list[StoredFile]:
        """All data files of a directory that must be there, in one look.

        Args:
            contract: whose source it is, for errors.

        Raises:
            SourceNotFoundError: nothing is there.
            UnreadableSourceError: a file is there, or lies outside of the partitions.
        """
        found = self.files()
        if not found:
            self.location.existing_directory(contract)
        return found

    def readable(self, file: PurePath) -> Readable:
        """How to read a data file, be it stored or only staged on this machine."""
        return self._readables([file])[0]

    def _readables(self, files: list[PurePath]) -> list[Readable]:
        """How to read data files, all of them stored or all of them staged."""
        if isinstance(files[0], Path):
            return [Readable.local(file) for file in files if isinstance(file, Path)]
        return self.location.readables(files)

    def values(self, file: PurePath) -> Values:
        """The values of the keys, as text, of one file.

        Raises:
            UnreadableSourceError: the file is in no directory of a key.
        """
        directory = str(file).rpartition("/")[0]
        found = self._known.get(directory)
        if found is None:
            found = self._known[directory] = partition_values(file, self.stored_keys, self._content)
        return found

    def _content(self, path: PurePath) -> bytes:
        return path.read_bytes() if isinstance(path, Path) else self.location.read_bytes(path)

    def key_values(self, files: list[PurePath], request: RetrievalRequest) -> pl.DataFrame:
        """One row a file with the values of its keys, under the contract's names and of its dtypes.

        Raises:
            CastError: the value of a directory does not fit its column.
        """
        return self._typed_values([self.values(file) for file in files], request)

    def alike(
        self, files: Iterable[PurePath], partitions: Collection[Values], request: RetrievalRequest
    ) -> list[PurePath]:
        """The files of some partitions, also where the directories of others spell the same values in another way.

        Args:
            files: below directories of the keys.
            partitions: the texts of their keys.
            request: the contract.

        Raises:
            CastError: the value of a directory does not fit its column.
        """
        listed = list(files)
        same = set(partitions)
        others = list(dict.fromkeys(values for file in listed if (values := self.values(file)) not in same))
        if others and same and not all(request.schema.column(key).dtype.is_text for key in self.keys):
            with explained(request.name, self.uri):
                known = self._typed_values(list(same), request)
                numbered = self._typed_values(others, request).with_row_index(_NUMBER)
            found = numbered.join(known, on=list(self.keys), how="semi", nulls_equal=True)
            same |= {others[number] for number in found[_NUMBER]}
        return [file for file in listed if self.values(file) in same]

    def _typed_values(self, texts: list[Values], request: RetrievalRequest) -> pl.DataFrame:
        columns = [
            self._typed(request, key, pl.Series(key, [row[level] for row in texts], dtype=pl.String))
            for level, key in enumerate(self.keys)
        ]
        return pl.DataFrame(columns)

    def read(
        self,
        files: Iterable[PurePath],
        request: RetrievalRequest,
        path_as: str | None = None,
        *,
        extra_columns: Literal["ignore", "raise"] = "ignore",
    ) -> pl.LazyFrame:
        """The rows of some files, as the contract has them. A filter on a key opens the files of those partitions only.

        Args:
            files: below directories of the keys.
            request: the contract and the wanted columns.
            path_as: name of a further last column with the path of each row's file.
            extra_columns: whether it is an error upon collection that a file has columns that are not asked for.

        Raises:
            SourceError: a file cannot be read or lacks a column, or a directory's value does not fit its
                column.
        """
        listed = list(files)
        with explained(request.name, self.uri):
            if listed:
                self.key_values(listed, request)
            parts = [
                self._group(group, stored, columns, request, path_as, extra_columns)
                for group, stored, columns in self.groups(listed, request)
            ]
        if parts:
            return pl.concat(parts)
        beside = {} if path_as is None else {path_as: pl.String()}
        return pl.LazyFrame(schema={**request.polars, **beside})

    def groups(
        self, files: list[PurePath], request: RetrievalRequest
    ) -> list[tuple[list[PurePath], Mapping[str, pl.DataType], dict[str, pl.DataType]]]:
        """Files that can be scanned together, with the stored columns of the first and those that are read.

        Where no column may be missing, files of others are taken to be alike: polars says so if they are not.
        Otherwise their footers tell; of the files that we wrote the name tells which have the same columns.
        """
        derived = dict(request.derivations)
        names = stored_names(request, self.mapping)
        relevant = [name for name in names if name in needed(request.columns, derived)]
        features = {names[name]: request.schema.column(name) for name in relevant if name not in self.keys}
        may_differ = any(c.optional or c.has_default or c.name in derived for c in features.values())
        known: dict[str, tuple[Mapping[str, pl.DataType], dict[str, pl.DataType]]] = {}
        marks: dict[str, tuple[tuple[str, str], ...]] = {}
        groups: dict[object, tuple[list[PurePath], Mapping[str, pl.DataType], dict[str, pl.DataType]]] = {}
        for file in files:
            mark = tag_of(file) or (str(file) if may_differ else "")
            if mark not in known:
                stored = footer(self.readable(file))
                known[mark] = (
                    stored,
                    {name: _scanned(stored[name], c.dtype) for name, c in features.items() if name in stored},
                )
                marks[mark] = tuple((name, str(dtype)) for name, dtype in known[mark][1].items())
            stored, columns = known[mark]
            apart = self.values(file) if CUT in str(file) and self._is_cut(file) else None
            group = (isinstance(file, Path), apart, marks[mark])
            groups.setdefault(group, ([], stored, columns))[0].append(file)
        return list(groups.values())

    def _is_cut(self, file: PurePath) -> bool:
        return any(is_cut(part) for part in file.parts[-1 - len(self.keys) : -1])

    def _group(
        self,
        files: list[PurePath],
        stored: Mapping[str, pl.DataType],
        columns: dict[str, pl.DataType],
        request: RetrievalRequest,
        path_as: str | None,
        extra_columns: Literal["ignore", "raise"],
    ) -> pl.LazyFrame:
        readables = self._readables(files)
        addresses = [file.address for file in readables]
        options: dict[str, Any] = {
            **readables[0].options,
            "glob": False,
            "schema": columns,  # without it polars opens up to 16 files to find out
            "extra_columns": extra_columns,
            "cast_options": _UPCAST,
            "include_file_paths": path_as,
        }
        if self._is_cut(files[0]):
            dtypes: dict[str, pl.DataType] = dict.fromkeys(self.stored_keys, pl.String())
            texts = zip(self.stored_keys, self.values(files[0]), strict=True)
            literals = {key: pl.lit(text, dtype=pl.String) for key, text in texts}
            frame = pl.scan_parquet(addresses, hive_partitioning=False, **options).with_columns(**literals)
        else:
            dtypes = self._key_dtypes(files, request)
            above = {name: pl.String() for name in _keys_in(files[0]) if name not in dtypes}
            frame = pl.scan_parquet(
                addresses, hive_partitioning=True, hive_schema={**above, **dtypes}, **options
            )
        return conform(
            frame,
            request,
            source_label=self.uri,
            mapping=self.mapping,
            formatter=self.formatter,
            stored={**stored, **columns, **dtypes},
            beside=path_as,
        )

    def _key_dtypes(self, files: list[PurePath], request: RetrievalRequest) -> dict[str, pl.DataType]:
        """The dtypes in which polars reads the keys: the contract's where it reads them as we do, else text."""
        found: dict[str, pl.DataType] = {}
        values = [self.values(file) for file in files]
        for level, (stored, key) in enumerate(zip(self.stored_keys, self.keys, strict=True)):
            dtype = request.schema.column(key).dtype
            texts = {row[level] for row in values} - {None}
            native = self._is_native(dtype, {text for text in texts if text is not None})
            found[stored] = dtype.polars if native else pl.String()
        return found

    def _is_native(self, dtype: DataType, texts: set[str]) -> bool:
        if dtype.is_text or dtype.is_integer or dtype.is_float:
            return True
        kind = dtype.kind
        if kind in {"date", "timestamp"} and (
            self.formatter.kind not in {"noop", "iso_8601"} or self.formatter.time_zone is not None
        ):
            return False
        if kind == "timestamp" and dtype.time_zone is not None:
            kind = "timestamp with zone"
        pattern = _NATIVE.get(kind)
        return pattern is not None and all(re.fullmatch(pattern, text) for text in texts)

    def _typed(self, request: RetrievalRequest, key: str, texts: pl.Series) -> pl.Series:
        dtype = request.schema.column(key).dtype
        if dtype.is_text:
            return texts.cast(dtype.polars)
        convert, hint = from_text(dtype, self.formatter, request.zone)
        place = Place(request.name, self.uri, key, key, dtype, request.zone)
        return CheckedCast(convert, place, hint)(texts).rename(key)


def _scanned(stored: pl.DataType, wanted: DataType) -> pl.DataType:
    """The dtype that polars is asked for: a wider one of the contract, which also fits files that have it already."""
    return wanted.polars if is_widened(stored, wanted) else stored


def _keys_in(file: PurePath) -> list[str]:
    """Keys that polars sees in a path, also those of directories above."""
    return [name.partition("=")[0] for name in file.parts[:-1] if "=" in name]
