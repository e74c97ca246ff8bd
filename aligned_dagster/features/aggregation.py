"""Aggregations: of an entity's rows, of a window that ends at each row, of a group."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import DerivationError
from aligned_dagster.features.declared import Grouping
from aligned_dagster.features.deriving import derive
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import at, caller

if TYPE_CHECKING:
    from aligned_dagster.features.nested import List
    from aligned_dagster.features.numeric import Number
    from aligned_dagster.features.truth import Bool


class Aggregation:
    """A column whose rows are about to be taken together.

    - `x.aggregate().mean()`: all rows of the view's entity; the view then has one row per entity.
    - `x.aggregate().over(days=7).mean()`: the entity's rows in the window (t - 7 days, t] that ends at each
      event timestamp t; the view then has one row per entity and event timestamp.
    - `x.aggregate().over(origin).mean()`: the rows that share a value; every row of the view stays and gets
      the value of its group.
    """

    def __init__(
        self, feature: Feature, by: tuple[Feature, ...] = (), window: dt.timedelta | None = None
    ) -> None:
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
    ) -> Aggregation:
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

    def where(self, condition: Bool) -> Aggregation:
        """Take only the rows where a condition holds."""
        kept: Feature = derive("filter", self._feature, condition)
        return Aggregation(kept, self._by, self._window)

    def _take(self, method: str, *args: Any, **kwargs: Any) -> Any:
        value: Feature = derive(method, self._feature, *args, **kwargs)
        if self._by:
            over: Feature = derive("over", value, *self._by)
            return over
        return value.copy_with(grouping=Grouping(self._window))

    def count(self) -> Number:
        """The number of values that are not null."""
        number: Number = self._take("count")
        return number

    def len(self) -> Number:
        """The number of rows, those without a value included."""
        number: Number = self._take("len")
        return number

    def sum(self) -> Number:
        """The sum; 0 where there is no value."""
        number: Number = self._take("sum")
        return number

    def mean(self) -> Number:
        """The arithmetic mean."""
        number: Number = self._take("mean")
        return number

    def std(self, ddof: int = 1) -> Number:
        """The standard deviation, of a sample unless `ddof` is 0."""
        number: Number = self._take("std", ddof)
        return number

    def variance(self, ddof: int = 1) -> Number:
        """The variance, of a sample unless `ddof` is 0."""
        number: Number = self._take("var", ddof)
        return number

    def median(self) -> Number:
        """The middle value."""
        number: Number = self._take("median")
        return number

    def percentile(self, percentile: float) -> Number:
        """The value below which a share (0 to 1) of the values lies, interpolated linearly."""
        number: Number = self._take("quantile", percentile, interpolation="linear")
        return number

    def min(self) -> Any:
        """The smallest value."""
        return self._take("min")

    def max(self) -> Any:
        """The greatest value."""
        return self._take("max")

    def first(self) -> Any:
        """The first value in the order of the event timestamp, where the view has one."""
        return self._take("first")

    def last(self) -> Any:
        """The last value in the order of the event timestamp, where the view has one."""
        return self._take("last")

    def n_unique(self) -> Number:
        """The number of different values."""
        number: Number = self._take("n_unique")
        return number

    def count_distinct(self) -> Number:
        """The name that `aligned` gives to `n_unique`."""
        return self.n_unique()

    def to_list(self) -> List:
        """All values, in the order of the event timestamp where the view has one."""
        items: List = self._take("implode")
        return items
