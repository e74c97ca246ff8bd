"""Rows that break a rule between columns get other values until they keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.constraints import Unique
from aligned_dagster.features.schema import Schema
from aligned_dagster.quality.report import plain
from aligned_dagster.sources.generation.bits import Draw, mixed, salt
from aligned_dagster.sources.generation.columns import Maker
from aligned_dagster.sources.generation.nearby import chosen_of, near, reckoned
from aligned_dagster.sources.generation.rules import Condition, fitting, violations

_PASSES = 12
_TRIES = 4_096
"""How often other values are tried for one row."""

_WITHOUT_NULLS = 1_024
"""How many tries are made before a null, which keeps most rules, is one of them."""

_WORK, _BARREN = 3_000_000, 300_000
"""How many rows are tried in all for one group of rules, and how many without finding a single one."""

_BLOCK = 16
"""Tries of one kind that follow each other."""

_AT_ONCE = 8_192


def repaired(
    frame: pl.DataFrame,
    keys: pl.Series,
    makers: Mapping[str, Maker],
    free: Sequence[str],
    groups: Sequence[list[Condition]],
    promise: Schema,
    *,
    exact: bool,
) -> pl.DataFrame:
    """The rows with other values where a rule between columns, or between rows, was broken.

    Args:
        frame: rows whose columns keep their own rules each.
        keys: one number a row, which decides its values.
        makers: what made each column.
        free: the columns that may change.
        groups: the conditions, those together that share columns.
        promise: the contract's columns, with the derived ones.
        exact: whether a row that cannot be mended is an error; it is left out otherwise.

    Raises:
        UnsupportedError: no values were found that keep the rules.
    """
    if not frame.height:
        return frame
    alone = [n for n in free if any(isinstance(rule, Unique) for rule in makers[n].column.constraints)]
    fixable = [
        [one for one in group if one.columns & set(free)]
        for group in groups
        if any(one.columns & set(free) for one in group)
    ]
    work = _Repair(keys, makers, free, promise)
    for number in range(_PASSES):
        before = frame
        for name in alone:
            frame = work.made_unique(frame, name, number, exact)
        for group in fixable:
            frame = work.mended(frame, group, number)
        if frame is before:
            break
    found = [one for group in fixable for one in group]
    broken = work.broken(frame, found)
    for name in alone:
        broken |= frame[name].is_not_null() & ~frame[name].is_first_distinct()
    if not broken.any():
        return frame
    if exact or broken.all():
        raise work.impossible(frame, found)
    return frame.filter(~broken)


class _Repair:
    """The state of a repair: what may change, and what made it."""

    def __init__(
        self, keys: pl.Series, makers: Mapping[str, Maker], free: Sequence[str], promise: Schema
    ) -> None:
        self._keys = keys
        self._makers = makers
        self._free = free
        self._promise = promise
        self._contract = next(iter(makers.values())).contract
        self._tried: dict[int, int] = {}

    def broken(self, frame: pl.DataFrame, found: Sequence[Condition]) -> pl.Series:
        """True where a row breaks one of the conditions."""
        if not found:
            return pl.repeat(False, frame.height, eager=True)
        verdicts = violations(frame, found, self._promise, self._contract)
        return verdicts.select(pl.any_horizontal(pl.all())).to_series()

    def made_unique(self, frame: pl.DataFrame, name: str, number: int, exact: bool) -> pl.DataFrame:
        """Other values where a value stands in an earlier row too."""
        maker, values = self._makers[name], frame[name]
        double = (values.is_not_null() & ~values.is_first_distinct()).arg_true()
        if double.is_empty():
            return frame
        rows = frame.height
        domain = maker.distinct_texts(rows)
        if domain is None:
            domain = maker.domain(max(4 * rows, 4_096))
        if domain is not None:
            unused = domain.filter(~domain.is_in(values.implode()))
            count = min(len(unused), len(double))
            if count < len(double) and exact:
                raise maker.impossible(f"{rows} different values are needed, and there are {len(domain)}")
            if not count:
                return frame
            return frame.with_columns(values.scatter(double.head(count), unused.head(count)))
        for attempt in range(60):
            draw = Draw(
                maker.seed,
                "",
                self._keys.gather(double),
                100 * (number + 1) + attempt,
                8 * rows,
                attempt // 4,
            )
            values = values.scatter(double, maker.values(draw, nulls=False))
            double = (values.is_not_null() & ~values.is_first_distinct()).arg_true()
            if double.is_empty():
                return frame.with_columns(values)
        if exact:
            raise maker.impossible(f"{rows} different values are needed, and {rows - len(double)} were found")
        return frame.with_columns(values)

    def mended(self, frame: pl.DataFrame, group: Sequence[Condition], number: int) -> pl.DataFrame:
        """Other values where a row breaks these conditions, one condition after another, then all at once.

        Each row goes its own way: it takes the first values of a block of tries that break fewer conditions, so that
        what it becomes depends on no other row.
        """
        verdicts = violations(frame, group, self._promise, self._contract)
        bad = verdicts.select(pl.any_horizontal(pl.all())).to_series().arg_true()
        state = verdicts[bad].with_columns(bad.alias("row"), done=pl.lit(False))
        attempt, spent, barren = number * _TRIES, 0, 0
        last = attempt + _TRIES
        while state.height and attempt < last and spent < _WORK and barren < _BARREN:
            block = attempt // _BLOCK
            cycle, place = divmod(block // 2, len(group) + 1)
            focus = [place] if place < len(group) else list(range(len(group)))
            concerned = frozenset[str]().union(*(group[n].columns for n in focus))
            names = [name for name in self._free if name in concerned]
            open_rows = (
                state.select(~pl.col("done") & pl.any_horizontal(map(str, focus))).to_series().arg_true()
            )
            if not names or open_rows.is_empty():
                attempt = (block + 1) * _BLOCK
                state = state.with_columns(done=pl.lit(False))
                continue
            times = max(1, min(_BLOCK - attempt % _BLOCK, _AT_ONCE // len(open_rows)))
            places = pl.concat([open_rows] * times)
            rows = state["row"].gather(places)
            seen = self._keys.gather(rows.head(len(open_rows)))
            keys = pl.concat([mixed(seen, salt("try", attempt + n)) for n in range(times)])
            candidates = self._other(frame[rows], keys, names, [group[n] for n in focus], block, cycle)
            before = state[places].with_columns(places.alias("place"))
            chosen = self._better(candidates, before, names, group)
            if chosen.height:
                where = state["row"].gather(chosen["place"])
                taken = candidates[chosen["try"]]
                frame = frame.with_columns(frame[name].scatter(where, taken[name]) for name in names)
                changed = [c for c in chosen.columns if c not in {"place", "try"}]
                state = state.with_columns(
                    state["done"].scatter(chosen["place"], True),
                    *(state[c].scatter(chosen["place"], chosen[c]) for c in changed),
                )
                state = state.filter(pl.any_horizontal(map(str, range(len(group)))))
            attempt += times
            spent += candidates.height
            barren = 0 if chosen.height else barren + candidates.height
            if attempt % _BLOCK == 0:
                state = state.with_columns(done=pl.lit(False))
        return frame

    def _better(
        self, candidates: pl.DataFrame, before: pl.DataFrame, names: Sequence[str], group: Sequence[Condition]
    ) -> pl.DataFrame:
        """For each row the first try that breaks less: its place, its number and what it breaks."""
        local = [n for n, one in enumerate(group) if one.row_local]
        touched = [n for n, one in enumerate(group) if not one.row_local and one.columns & set(names)]
        found = violations(candidates, [group[n] for n in local], self._promise, self._contract)
        found = found.rename({str(n): str(index) for n, index in enumerate(local)})
        found = found.with_columns(pl.lit(False).alias(str(n)) for n in touched)
        count = pl.sum_horizontal(pl.lit(0), *map(str, (*local, *touched)))
        good = found.select(count).to_series() < before.select(count).to_series()
        for name in names:
            good &= self._makers[name].verdict(candidates[name]).fill_null(True)
        return (
            found.with_columns(before["place"].alias("place"))
            .with_row_index("try")
            .filter(good)
            .unique("place", keep="first", maintain_order=True)
        )

    def _other(
        self,
        rows: pl.DataFrame,
        keys: pl.Series,
        names: Sequence[str],
        group: Sequence[Condition],
        block: int,
        cycle: int,
    ) -> pl.DataFrame:
        """Other values for some rows: new ones, and in every other block near those of another column or of a rule.

        Of the latter, every other cycle changes one column alone.
        """
        level, nulls = int(cycle % 4 == 3), block * _BLOCK % _TRIES > _WITHOUT_NULLS
        nearby, everything = block % 2 == 1, cycle % 2 == 1
        chosen = names if not nearby or everything else [names[cycle // 2 % len(names)]]
        fresh = {
            name: maker.values(Draw(maker.seed, "", keys, block, level=level), nulls=nulls)
            for name in chosen
            for maker in [self._makers[name]]
        }
        if not nearby:
            return rows.with_columns(fresh.values())
        made = rows.with_columns(fresh.values()) if everything else rows
        concerned = frozenset[str]().union(*(one.columns for one in group))
        named = [value for one in group for value in one.values]
        numbers = {n for n, maker in self._makers.items() if maker.column.dtype.is_numeric and n in concerned}
        changed: list[pl.Series] = []
        for name in chosen:
            maker = self._makers[name]
            draw = Draw(maker.seed, f"near {name}", keys, block)
            options = [fresh[name], *near(made, name, maker.column.dtype, draw, self._makers)]
            literals = fitting(named, maker.column.dtype)
            if len(literals):
                options.append(draw.one_of("value", literals))
            if maker.column.dtype.is_numeric:
                options += reckoned(made, name, maker.column.dtype, sorted(numbers - {name}), options[-1])
            changed.append(chosen_of(draw, options).alias(name))
        return made.with_columns(changed)

    def impossible(self, frame: pl.DataFrame, found: Sequence[Condition]) -> UnsupportedError:
        """The error that names the rules that could not be kept, with a row that breaks them."""
        verdicts = violations(frame, found, self._promise, self._contract) if found else pl.DataFrame()
        broken = [one for one, name in zip(found, verdicts.columns, strict=True) if verdicts[name].any()]
        words = "; ".join(dict.fromkeys(one.words for one in broken)) or "its columns must be unique"
        row = ""
        if broken:
            names = sorted({name for one in broken for name in one.columns})
            sample = frame.filter(self.broken(frame, broken)).select(names).row(0, named=True)
            row = f" Tried last: {', '.join(f'{name}={plain(value)!r}' for name, value in sample.items())}."
        return UnsupportedError(
            f"No random rows of {self._contract} were found that keep {words}.{row} "
            "Narrow the columns' own rules (bounds, accepted values), or give values by "
            "RandomDataSource.with_values({...})."
        )
