"""Two contracts side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import polars as pl

from aligned_dagster.contracts.view_source import ContractSource, Origins, ReplaceView
from aligned_dagster.errors import ContractError, UnknownFeatureError, did_you_mean
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.location import at, caller
from aligned_dagster.request.point_in_time import point_in_time_join
from aligned_dagster.sources.source import DataSource


class JoinSource(ContractSource):
    """Two sources side by side.

    A column of the right side that the left one also has is called `<column>_<right view>`.

    Args:
        left: the rows that a left join keeps, in their order.
        right: what is added to them.
        left_on: key columns of the left side.
        right_on: key columns of the right side, in the same order.
        how: "inner", "left", "full", "semi", "anti", or "asof": the latest earlier row of the same key.
        suffix: what is put behind names that both sides have.
        left_time: for "asof", the event timestamp of the left side.
        right_time: for "asof", the event timestamp of the right side.
    """

    type: Literal["join"] = "join"
    left: ContractSource
    right: ContractSource
    left_on: tuple[str, ...]
    right_on: tuple[str, ...]
    how: Literal["inner", "left", "full", "semi", "anti", "asof"]
    suffix: str
    left_time: str | None = None
    right_time: str | None = None

    def join(
        self,
        other: Any,
        on: str | list[str] | None = None,
        how: str = "inner",
        *,
        left_on: str | list[str] | None = None,
        right_on: str | list[str] | None = None,
        suffix: str | None = None,
    ) -> JoinSource:
        """These rows beside those of a further view; see `FeatureView.join`."""
        from aligned_dagster.contracts.feature_view import join_sources

        return join_sources(self, other, on, how, left_on, right_on, suffix)

    def added(self) -> dict[str, str]:
        """Name in the join to name on the right side, of the columns that the right side adds."""
        if self.how in {"semi", "anti"}:
            return {}
        left = self.left.columns()
        keys = set(self.right_on) if self.how != "full" else set()
        return {
            (f"{name}{self.suffix}" if name in left else name): name
            for name in self.right.columns()
            if name not in keys and name != self.right_time
        }

    def columns(self) -> dict[str, DataType]:
        """All of the left side, then those that the right side adds."""
        right = self.right.columns()
        return {**self.left.columns(), **{name: right[old] for name, old in self.added().items()}}

    def rows(self, names: tuple[str, ...]) -> pl.LazyFrame:
        """The named columns of the joined rows."""
        added = {name: old for name, old in self.added().items() if name in names}
        times = [time for time in (self.left_time,) if time]
        wanted = dict.fromkeys([*self.left_on, *times, *(n for n in names if n in self.left.columns())])
        left = self.left.rows(tuple(wanted))
        if self.how == "asof":
            return self._latest(left, added).select(names)
        wanted_right = dict.fromkeys([*self.right_on, *added.values()])
        renamed = {old: name for name, old in added.items()}
        right = self.right.rows(tuple(wanted_right)).select(
            *(pl.col(key).alias(f"__key_{number}") for number, key in enumerate(self.right_on)),
            *(pl.col(old).alias(name) for old, name in renamed.items()),
        )
        keys = [f"__key_{number}" for number in range(len(self.right_on))]
        joined = left.join(
            right, left_on=list(self.left_on), right_on=keys, how=self.how, maintain_order="left_right"
        )
        return joined.select(names)

    def _latest(self, left: pl.LazyFrame, added: Mapping[str, str]) -> pl.LazyFrame:
        assert self.right_time is not None
        wanted = dict.fromkeys([*self.right_on, self.right_time, *added.values()])
        right = self.right.rows(tuple(wanted)).rename({old: name for name, old in added.items()})
        return point_in_time_join(
            left,
            right,
            entities=dict(zip(self.left_on, self.right_on, strict=True)),
            event_timestamp=self.right_time,
            created_timestamp=None,
            fact_timestamp=self.left_time,
            columns=list(added),
        )

    def parts(self) -> tuple[ContractSource, ...]:
        """Both sides."""
        return (self.left, self.right)

    def over(self, replace_view: ReplaceView) -> Self:
        """The same join of other views."""
        sides = {"left": self.left.over(replace_view), "right": self.right.over(replace_view)}
        return self.model_copy(update=sides)

    def bind(self, frames: Mapping[str, pl.LazyFrame]) -> DataSource:
        """The same join of the bound sides."""
        return self.model_copy(update={"left": self.left.bind(frames), "right": self.right.bind(frames)})

    def origins(self, column: str) -> Origins:
        """Those of the side that has the column."""
        added = self.added()
        return self.right.origins(added[column]) if column in added else self.left.origins(column)

    @property
    def uri(self) -> str:
        """Both sides and the kind of join."""
        return f"{self.left.uri} {self.how}-join {self.right.uri} on {', '.join(self.left_on)}"

    @property
    def label(self) -> str:
        """Both sides."""
        return f"{self.left.label} {self.how}-join {self.right.label}"


def joined(
    left: ContractSource,
    right: ContractSource,
    *,
    on: str | list[str] | None,
    left_on: str | list[str] | None,
    right_on: str | list[str] | None,
    how: str,
    suffix: str,
    times: tuple[str | None, str | None] = (None, None),
) -> JoinSource:
    """A join whose keys were checked.

    Raises:
        ContractError: the keys do not fit together.
        UnknownFeatureError: a key is not a column of its side.
    """
    keys_left, keys_right = (_names(on if on is not None else keys) for keys in (left_on, right_on))
    if not keys_left or len(keys_left) != len(keys_right):
        raise ContractError(
            f"A join needs on=[...], or left_on and right_on of one length; got {keys_left} and {keys_right}.{at(caller())}"
        )
    for side, keys in ((left, keys_left), (right, keys_right)):
        for key in keys:
            if key not in side.columns():
                raise UnknownFeatureError(
                    f"{side.label} has no column {key!r} to join on.{did_you_mean(key, side.columns())}{at(caller())}"
                )
    for one, other in zip(keys_left, keys_right, strict=True):
        types = left.columns()[one], right.columns()[other]
        if types[0].group != types[1].group:
            raise ContractError(
                f"{left.label}.{one} is {types[0].text}, {right.label}.{other} is {types[1].text}: "
                f"they cannot be joined on. Cast one of them in its contract.{at(caller())}"
            )
    return JoinSource.model_validate(
        {
            "left": left,
            "right": right,
            "left_on": keys_left,
            "right_on": keys_right,
            "how": how,
            "suffix": suffix,
            "left_time": times[0],
            "right_time": times[1],
        }
    )


def _names(names: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)
