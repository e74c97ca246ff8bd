"""Numbers that look random and repeat: a hash of a seed, a name and a row, in polars arithmetic.

Nothing here depends on the process, the platform or the version of polars: whole numbers of 64 bits are multiplied
modulo 2**64, and texts are read as their bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

_BITS = 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_LONGEST = 64
"""Bytes of a text up to which it is hashed column-wise; longer ones are hashed one by one."""


def salt(*parts: object) -> int:
    """A number of 64 bits that stands for a few plain values, the same in every process.

    >>> salt(1, "age") == salt(1, "age"), salt(1, "age") == salt(11, "ge")
    (True, False)
    """
    hasher = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = str(part).encode()
        hasher.update(len(raw).to_bytes(8, "big") + raw)
    return int.from_bytes(hasher.digest(), "big")


def mixed(keys: pl.Series, number: int) -> pl.Series:
    """One number of 64 bits a key: splitmix64 of the key and a number.

    >>> mixed(pl.Series([1, 2], dtype=pl.UInt64), 0).to_list()
    [6238072747940578789, 15839785061582574730]
    """
    x = keys + pl.Series([number % _BITS], dtype=pl.UInt64)
    x = (x ^ (x // 2**30)) * _FIRST
    x = (x ^ (x // 2**27)) * _SECOND
    return x ^ (x // 2**31)


def numbered(rows: int, start: int = 0) -> pl.Series:
    """The keys of rows that nothing but their place tells apart."""
    return pl.int_range(start, start + rows, dtype=pl.UInt64, eager=True)


def keys_of(frame: pl.DataFrame) -> pl.Series:
    """One number of 64 bits a row, from its values; equal values give equal numbers.

    Args:
        frame: at least one column, of any type that identifies things; lists and structs are told by their text.
    """
    keys = pl.Series([salt("row")], dtype=pl.UInt64).new_from_index(0, frame.height)
    for values in frame.get_columns():
        keys = mixed(keys ^ _key(values), salt("column"))
    return keys


def _key(values: pl.Series) -> pl.Series:
    dtype = values.dtype
    if dtype == pl.UInt64:
        bits = values
    elif dtype.is_integer() or dtype.is_temporal() or dtype == pl.Boolean:
        bits = values.to_physical().cast(pl.Int64).reinterpret(signed=False)
    elif dtype == pl.Binary:
        bits = _of_bytes(values.bin.encode("hex"))
    elif dtype.is_nested():
        bits = _of_bytes(pl.Series([repr(value) for value in values.to_list()], dtype=pl.String))
    else:
        bits = _of_bytes(values.cast(pl.String))
    return bits.fill_null(salt("null"))


def _of_bytes(values: pl.Series) -> pl.Series:
    """A hash of each text, whatever texts stand beside it: eight bytes at a time, what is long as a whole."""
    size = values.str.len_bytes().cast(pl.UInt64)
    longest = size.max()
    width = min(-(-int(longest if isinstance(longest, int) else 0) // 8) * 8, _LONGEST)
    padded = pl.DataFrame({"x": values.str.pad_end(width, "\0").cast(pl.Binary)})
    words = padded.select(
        pl.col("x").bin.slice(at, 8).bin.reinterpret(dtype=pl.UInt64, endianness="little").alias(str(at))
        for at in range(0, width, 8)
    )
    keys = size
    for at, word in zip(range(0, width, 8), words.get_columns(), strict=True):
        keys = keys + mixed(word, salt("word", at)) * (size > at).cast(pl.UInt64)
    if isinstance(longest, int) and longest > _LONGEST:
        long = values.set(size <= _LONGEST, None)
        hashed = [0 if value is None else salt(value) for value in long.to_list()]
        keys = keys + pl.Series(hashed, dtype=pl.UInt64)
    return keys


@dataclass(frozen=True)
class Draw:
    """What decides the values of one column for some rows.

    Args:
        seed: the source's.
        name: of the stream: columns with one name and seed draw the same numbers for the same keys.
        keys: one number a row.
        attempt: how often values for these rows were refused before.
        window: how many whole numbers an open range takes in.
        level: how far values may be from the usual ones: 0 for usual numbers, letters and times.
    """

    seed: int
    name: str
    keys: pl.Series
    attempt: int = 0
    window: int = 1_000
    level: int = 0

    @property
    def rows(self) -> int:
        """How many values are drawn."""
        return self.keys.len()

    def bits(self, purpose: str) -> pl.Series:
        """64 random bits a row, others for each purpose and attempt."""
        return mixed(self.keys, salt(self.seed, self.name, purpose, self.attempt))

    def share(self, purpose: str) -> pl.Series:
        """A number from 0 up to 1 a row, 1 not included."""
        return (self.bits(purpose) // 2**11).cast(pl.Float64) * 2.0**-53

    def whole(self, purpose: str, low: int, high: int) -> pl.Series:
        """A whole number from `low` to `high` a row, both included; Int64 where that holds them, Int128 otherwise."""
        span = high - low + 1
        bits = self.bits(purpose)
        if span <= 2**62 and low >= -(2**63) and high < 2**63:
            return (bits % span).cast(pl.Int64) + low if span > 1 else _constant(low, self.rows)
        if span <= _BITS:
            found = bits if span == _BITS else bits % span
            return found.cast(pl.Int128) + pl.Series([low], dtype=pl.Int128)
        above = (self.bits(f"{purpose} above") // 4).cast(pl.Int128) * pl.Series([_BITS], dtype=pl.Int128)
        wide = (above + bits.cast(pl.Int128)) % pl.Series([span], dtype=pl.Int128)
        return wide + pl.Series([low], dtype=pl.Int128)

    def one_of(self, purpose: str, values: pl.Series) -> pl.Series:
        """One of a few values a row."""
        places = self.bits(purpose) % values.len()
        return values.gather(places.cast(pl.UInt32)).rename("")

    def called(self, name: str) -> Draw:
        """The same rows for another stream."""
        return replace(self, name=f"{self.name} {name}")

    def for_rows(self, rows: pl.Series) -> Draw:
        """The same stream for the rows of those numbers only."""
        return replace(self, keys=self.keys.gather(rows))

    def again(self, level: int = 0) -> Draw:
        """The next attempt."""
        return replace(self, attempt=self.attempt + 1, level=level)


def shuffled(values: pl.Series, seed: int, name: str) -> pl.Series:
    """The values in an order that a seed decides."""
    places = mixed(numbered(values.len()), salt(seed, name, "order"))
    return values.gather(places.arg_sort())


def concat(parts: Sequence[pl.Series]) -> pl.Series:
    """Texts put together, row by row."""
    frame = pl.DataFrame({str(number): part for number, part in enumerate(parts)})
    return frame.select(pl.concat_str(frame.columns)).to_series().rename("")


def _constant(value: int, rows: int) -> pl.Series:
    return pl.Series([value], dtype=pl.Int64).new_from_index(0, rows)
