"""Texts that keep the rules of a column: lengths, beginnings, endings, patterns."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from aligned_dagster.features.constraints import (
    Constraint,
    EndsWith,
    LowerBound,
    MaxLength,
    MinLength,
    Regex,
    StartsWith,
    UpperBound,
)
from aligned_dagster.sources.generation.bits import Draw, concat, salt
from aligned_dagster.sources.generation.regex import PatternTexts

Kept = Callable[[pl.Series], pl.Series]
"""Tells which values keep all rules of their column that one row alone can tell."""

_LETTERS = string.ascii_lowercase
_MANY = string.ascii_lowercase + string.digits + string.ascii_uppercase
_PAIRS = {
    characters: pl.Series([a + b for a in characters for b in characters]) for characters in (_LETTERS, _MANY)
}
_HEX = pl.Series([f"{number:04x}" for number in range(65_536)])
_DRAWN = 12
"""Characters of a text that are drawn; what a longer one needs besides is filled up."""

_BATCH, _BATCHES = 256, 64
"""How many texts are made at a time for a pattern, and how often, before it is called impossible."""


@dataclass(frozen=True)
class TextRules:
    """What the rules of a column ask of its texts.

    Args:
        shortest: characters at least.
        longest: characters at most; None for no limit.
        prefix: how it starts.
        suffix: how it ends.
        patterns: what it matches.
        bounds: texts that it must not come before or behind.
    """

    shortest: int = 0
    longest: int | None = None
    prefix: str = ""
    suffix: str = ""
    patterns: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()

    @staticmethod
    def of(constraints: tuple[Constraint, ...]) -> TextRules:
        """Those among the rules of a column that are about texts."""
        facts: dict[str, Any] = {"patterns": (), "bounds": ()}
        for rule in constraints:
            match rule:
                case MinLength():
                    facts["shortest"] = max(rule.length, facts.get("shortest", 0))
                case MaxLength():
                    facts["longest"] = min(rule.length, facts.get("longest", rule.length))
                case StartsWith():
                    facts["prefix"] = max(rule.prefix, facts.get("prefix", ""), key=len)
                case EndsWith():
                    facts["suffix"] = max(rule.suffix, facts.get("suffix", ""), key=len)
                case Regex():
                    facts["patterns"] += (rule.pattern,)
                case LowerBound() | UpperBound():
                    facts["bounds"] += (str(rule.value),)
                case _:
                    pass
        return TextRules(**facts)

    @property
    def is_free(self) -> bool:
        """Whether any letters will do between the beginning and the end."""
        around = len(self.prefix) + len(self.suffix)
        return not self.patterns and not self.bounds and (self.longest is None or around <= self.longest)


def words(draw: Draw, rules: TextRules) -> pl.Series:
    """A text of letters a row, of 6 to 10 characters unless the rules say otherwise.

    Args:
        draw: the rows; on higher levels digits and capitals are used as well.
        rules: free ones.
    """
    around = len(rules.prefix) + len(rules.suffix)
    most = rules.longest if rules.longest is not None else max(rules.shortest, around, 6) + 4
    least = max(rules.shortest, min(most, max(6, around + 4)), around)
    characters = _LETTERS if draw.level == 0 else _MANY
    drawn = min(_DRAWN, most - around)
    lengths = draw.whole("length", least - around, most - around)
    if drawn <= 0:
        body = pl.Series([""]).new_from_index(0, draw.rows)
    else:
        places = range(-(-drawn // 2))
        body = concat([draw.one_of(f"letters {place}", _PAIRS[characters]) for place in places])
        if most - around > _DRAWN:
            body = body.str.pad_end(most - around, "a")
        cut = pl.DataFrame({"body": body, "length": lengths})
        body = cut.select(pl.col("body").str.slice(0, pl.col("length"))).to_series()
    fixed = [pl.Series([text]).new_from_index(0, draw.rows) for text in (rules.prefix, rules.suffix)]
    return concat([fixed[0], body, fixed[1]]) if around else body


def uuids(draw: Draw) -> pl.Series:
    """A random UUID (version 4) a row."""
    high, low = draw.bits("high"), draw.bits("low")

    def four(bits: pl.Series, place: int) -> pl.Series:
        return _HEX.gather((bits // 2 ** (16 * place) % 65_536).cast(pl.UInt32))

    dash = pl.Series(["-"]).new_from_index(0, draw.rows)
    version = (high % 4_096 + 0x4000).cast(pl.UInt32)
    variant = (low // 2**48 % 16_384 + 0x8000).cast(pl.UInt32)
    parts = [four(high, 3), four(high, 2), dash, four(high, 1), dash, _HEX.gather(version), dash]
    return concat([*parts, _HEX.gather(variant), dash, four(low, 2), four(low, 1), four(low, 0)])


def documents(draw: Draw) -> pl.Series:
    """A small JSON document a row: a number and a name."""
    number = draw.whole("number", 0, 1_000).cast(pl.String)
    name = words(draw.called("name"), TextRules())
    texts = [pl.Series([text]).new_from_index(0, draw.rows) for text in ('{"id": ', ', "name": "', '"}')]
    return concat([texts[0], number, texts[1], name, texts[2]])


@lru_cache(maxsize=64)
def found_texts(rules: TextRules, kept: Kept, seed: int, most: int) -> tuple[str, ...]:
    """Up to `most` different texts that keep the rules, always in the same order; none where none was found.

    Args:
        rules: what is asked of them.
        kept: the verdict of polars on them.
        seed: decides which.
        most: how many are wanted.

    Raises:
        UnsupportedError: a pattern is not understood.
    """
    makers = [PatternTexts(pattern, salt(seed, pattern)) for pattern in rules.patterns]
    found: dict[str, None] = {}
    barren = 0
    for number in range(_BATCHES + 8 * most // _BATCH):
        before = len(found)
        batch = [text for place in range(_BATCH) for text in _candidates(rules, makers, seed, number, place)]
        texts = pl.Series(batch, dtype=pl.String)
        found.update(dict.fromkeys(texts.filter(kept(texts)).to_list()))
        barren = barren + 1 if len(found) == before else 0
        if len(found) >= most or barren >= _BATCHES:
            break
    return tuple(found)[:most]


def _candidates(
    rules: TextRules, makers: list[PatternTexts], seed: int, number: int, place: int
) -> Iterator[str]:
    """Texts that may keep the rules: what each pattern gives, with beginning, end and length seen to in several ways."""
    filler = _filler(seed, number * _BATCH + place)
    cores = [maker.next() for maker in makers] or [filler[: 1 + place % 8]]
    if len(cores) > 1:
        cores += ["".join(cores), "".join(reversed(cores))]
    if rules.bounds:
        bounds = [
            text for bound in rules.bounds for text in (bound, bound + cores[0], bound[: place % 5 + 1])
        ]
        cores += [*bounds, *(text + cores[0] for text in bounds)]
    for core in cores:
        yield core
        if rules.prefix or rules.suffix:
            yield rules.prefix + core + rules.suffix
            yield rules.prefix + core[len(rules.prefix) : len(core) - len(rules.suffix)] + rules.suffix
            yield _overlapping(rules.prefix, rules.suffix)
        short = rules.shortest - len(core) - len(rules.prefix) - len(rules.suffix)
        if short > 0:
            more = (filler * (short // len(filler) + 1))[:short]
            yield rules.prefix + core + more + rules.suffix
            yield rules.prefix + more + core + rules.suffix
        if rules.longest is not None and len(core) > rules.longest:
            yield core[: rules.longest]
            yield core[len(core) - rules.longest :]


def _filler(seed: int, number: int) -> str:
    bits = salt(seed, number, "filler")
    return "".join(_LETTERS[bits // 26**place % 26] for place in range(12))


def _overlapping(prefix: str, suffix: str) -> str:
    """The shortest text with this beginning and this end."""
    for shared in range(min(len(prefix), len(suffix)), 0, -1):
        if prefix.endswith(suffix[:shared]):
            return prefix + suffix[shared:]
    return prefix + suffix
