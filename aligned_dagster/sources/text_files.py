"""CSV text that polars cannot scan as it lies: in a zip archive, or in another encoding than UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import polars as pl
from polars.io.plugins import register_io_source

from aligned_dagster.errors import CastError, UnreadableSourceError
from aligned_dagster.sources.location import Readable

_HEAD = 1 << 20
_CHUNK = 1 << 20


def scan_text(file: Readable, options: dict[str, Any], encoding: str) -> pl.LazyFrame:
    """Scan a CSV file that must be unpacked or decoded first.

    Making the frame reads the first line. Collecting it decodes the whole text in memory, and then reads
    only the
    columns and rows that the query wants.

    Args:
        file: a file, or a zip archive with one member.
        options: of `polars.scan_csv`.
        encoding: of the text.

    Raises:
        UnreadableSourceError: an archive with no or several members, a damaged one, or text in another
            encoding.
    """
    with _opened(file) as stream:
        head = stream.read(_HEAD)
    first = codecs.getincrementaldecoder(encoding)("strict").decode(head).encode()
    schema = pl.scan_csv(
        io.BytesIO(first), infer_schema=False, truncate_ragged_lines=True, **options
    ).collect_schema()

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        with _opened(file) as packed:
            try:
                content = packed.read().decode(encoding).encode()
            except (UnicodeDecodeError, zipfile.BadZipFile, EOFError, OSError) as error:
                raise UnreadableSourceError(f"{file} cannot be read as {encoding}: {error}.") from None
        frame = pl.scan_csv(content, infer_schema=False, **options)
        if predicate is not None:
            frame = frame.filter(predicate)
        if rows is not None:
            frame = frame.head(rows)
        if columns is not None:
            frame = frame.select(columns)
        yield frame.collect()

    return register_io_source(
        read, schema=dict(schema), is_pure=True, explain_name="CSV", explain_detail=str(file)
    )


def recode(source: Path, target: Path, encoding: str, compression: str, member: str) -> None:
    """Turn a UTF-8 file into one of another encoding, compressed.

    Raises:
        CastError: a character does not exist in the encoding.
    """
    with source.open(encoding="utf8", newline="") as text, _writer(target, compression, member) as stream:
        while piece := text.read(_CHUNK):
            try:
                stream.write(piece.encode(encoding))
            except UnicodeEncodeError as error:
                raise CastError(
                    f"The text {piece[error.start : error.end]!r} does not exist in {encoding}. Write in utf8."
                ) from None


def zip_member(name: str) -> str:
    """The name of the only member of an archive.

    >>> zip_member("flights.csv.zip"), zip_member("flights.zip")
    ('flights.csv', 'flights.csv')
    """
    stem = name[:-4] if name.lower().endswith(".zip") else name
    return stem if stem.lower().endswith(".csv") else f"{stem}.csv"


def is_zip(file: Readable) -> bool:
    """Whether a file is a zip archive, known by its content on this machine and by its name elsewhere."""
    if file.options:
        return file.address.lower().endswith(".zip")
    with file.open() as stream:
        return zipfile.is_zipfile(stream)


@contextmanager
def _opened(file: Readable) -> Iterator[IO[bytes]]:
    with file.open() as stream:
        if not zipfile.is_zipfile(stream):
            stream.seek(0)
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream
            return
        with zipfile.ZipFile(stream) as archive:
            members = [
                item
                for item in archive.infolist()
                if not item.is_dir() and not item.filename.startswith("__MACOSX/")
            ]
            if len(members) != 1:
                names = ", ".join(item.filename for item in members) or "none"
                raise UnreadableSourceError(
                    f"{file} should hold one file, and it holds {len(members)}: {names}."
                )
            with archive.open(members[0]) as member:
                yield member


def _writer(target: Path, compression: str, member: str) -> Any:
    if compression == "zip":
        return _ZipMember(target, member)
    if compression == "gzip":
        return gzip.open(target, "wb")
    if compression == "zstd":
        raise CastError("zstd works with utf8 only. Choose gzip, or write in utf8.")
    return target.open("wb")


class _ZipMember:
    """The one member of a new archive, as a file to write to."""

    def __init__(self, target: Path, member: str) -> None:
        self._archive = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)
        self._stream = self._archive.open(member, "w", force_zip64=True)

    def write(self, content: bytes) -> int:
        return self._stream.write(content)

    def __enter__(self) -> _ZipMember:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._archive.close()
