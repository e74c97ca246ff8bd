"""Aggregations: of an entity's rows, of a window that ends at each row, of a group."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from aligned_dagster.errors import DerivationError
from aligned_dagster.features.declared import Grouping
from aligned_dagster.features.deriving import derive
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import at, caller

if TYPE_CHECKING:
    from aligned_dagster.features.nested import List
    from aligned_dagster.features.numeric import Float64, Floating, Integer, Number
    from aligned_dagster.features.temporal import Calendar, Duration, Time, Timestamp
    from aligned_dagster.features.truth import Bool

C = TypeVar("C", bound=Feature, covariant=True)


class Aggregation(Generic[C]):
    """A column whose rows are about to be taken together.

    - `x.aggregate().mean()`: all rows of the view's entity; the view then has one row per entity.
    - `x.aggregate().over(days=7).mean()`: the entity's rows in the window (t - 7 days, t] that ends at each
      event timestamp t; the view then has one row per entity and event timestamp.
    - `x.aggregate().over(origin).mean()`: the rows that share a value; every row of the view stays and gets
      the value of its group.
    """

    def __init__(self, feature: C, by: tuple[Feature, ...] = (), window: dt.timedelta | None = None) -> None:
        self._feature = feature
        self._by = by
        self._window = window

    def over(
        self,
        *columns: Feature | dt.timedelta,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> Aggregation[C]:
        """Say which rows: those that share the values of columns, or those of a window of time.

        Raises:
            DerivationError: columns and a window are both given, or the window is not longer than nothing.
        """
        window = dt.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        window += sum((item for item in columns if isinstance(item, dt.timedelta)), dt.timedelta())
        by = tuple(item for item in columns if isinstance(item, Feature))
        if bool(by) == (window > dt.timedelta()):
            raise DerivationError(
                "over() takes either columns to group by, as in over(origin), or a window of time that ends at "
                f"each row, as in over(days=7).{at(caller())}"
            )
        return Aggregation(self._feature, by, window if not by else None)

    def where(self, condition: Bool) -> Aggregation[C]:
        """Take only the rows where a condition holds."""
        kept: C = derive("filter", self._feature, condition)
        return Aggregation(kept, self._by, self._window)

    def _take(self, method: str, *args: Any, **kwargs: Any) -> Any:
        value: Feature = derive(method, self._feature, *args, **kwargs)
        if self._by:
            over: Feature = derive("over", value, *self._by)
            return over
        return value.copy_with(grouping=Grouping(self._window))

    def count(self) -> Integer:
        """The number of values that are not null."""
        return self._take("count")

    def len(self) -> Integer:
        """The number of rows, those without a value included."""
        return self._take("len")

    @overload
    def sum(self: Aggregation[Duration]) -> Duration: ...
    @overload
    def sum(self: Aggregation[Integer | Bool]) -> Integer: ...
    @overload
    def sum(self: Aggregation[Float64]) -> Float64: ...
    @overload
    def sum(self: Aggregation[Number]) -> Number: ...
    def sum(self) -> Any:
        """The sum; 0 where there is no value."""
        return self._take("sum")

    @overload
    def mean(self: Aggregation[Duration]) -> Duration: ...
    @overload
    def mean(self: Aggregation[Time]) -> Time: ...
    @overload
    def mean(self: Aggregation[Calendar]) -> Timestamp: ...
    @overload
    def mean(self: Aggregation[Integer | Float64 | Bool]) -> Float64: ...
    @overload
    def mean(self: Aggregation[Number]) -> Floating: ...
    def mean(self) -> Any:
        """The arithmetic mean."""
        return self._take("mean")

    def std(self: Aggregation[Number | Bool], ddof: int = 1) -> Floating:
        """The standard deviation, of a sample unless `ddof` is 0."""
        return self._take("std", ddof)

    def variance(self: Aggregation[Number | Bool], ddof: int = 1) -> Floating:
        """The variance, of a sample unless `ddof` is 0."""
        return self._take("var", ddof)

    @overload
    def median(self: Aggregation[Duration]) -> Duration: ...
    @overload
    def median(self: Aggregation[Time]) -> Time: ...
    @overload
    def median(self: Aggregation[Calendar]) -> Timestamp: ...
    @overload
    def median(self: Aggregation[Integer | Float64 | Bool]) -> Float64: ...
    @overload
    def median(self: Aggregation[Number]) -> Floating: ...
    def median(self) -> Any:
        """The middle value."""
        return self._take("median")

    @overload
    def percentile(self: Aggregation[Duration], percentile: float) -> Duration: ...
    @overload
    def percentile(self: Aggregation[Time], percentile: float) -> Time: ...
    @overload
    def percentile(self: Aggregation[Calendar], percentile: float) -> Timestamp: ...
    @overload
    def percentile(self: Aggregation[Integer | Float64 | Bool], percentile: float) -> Float64: ...
    @overload
    def percentile(self: Aggregation[Number], percentile: float) -> Floating: ...
    def percentile(self, percentile: float) -> Any:
        """The value below which a share (0 to 1) of the values lies, interpolated linearly."""
        return self._take("quantile", percentile, interpolation="linear")

    def min(self) -> C:
        """The smallest value."""
        return self._take("min")

    def max(self) -> C:
        """The greatest value."""
        return self._take("max")

    def first(self) -> C:
        """The first value in the order of the event timestamp, where the view has one."""
        return self._take("first")

    def last(self) -> C:
        """The last value in the order of the event timestamp, where the view has one."""
        return self._take("last")

    def n_unique(self) -> Integer:
        """The number of different values."""
        return self._take("n_unique")

    def count_distinct(self) -> Integer:
        """The name that `aligned` gives to `n_unique`."""
        return self.n_unique()

    def to_list(self) -> List:
        """All values, in the order of the event timestamp where the view has one."""
        return self._take("implode")
