"""How well features were found for facts: how many, how old, and none from the future."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from aligned_dagster.request.explain import explained
from aligned_dagster.request.join_keys import moment, moment_unit

AGES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
"""The quantiles of the features' ages that a report has."""


@dataclass(frozen=True)
class Provenance:
    """Columns of a frame that say which row of a view each fact got.

    Args:
        view: the view.
        found: boolean column: whether there was a row.
        event: column with the row's event timestamp; None where the view has none.
        created: column with the row's creation time; None where the view has none.
        zone: the time zone in which the view's naive timestamps are read.
    """

    view: str
    found: str
    event: str | None
    created: str | None
    zone: str = "UTC"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns there are."""
        return tuple(name for name in (self.found, self.event, self.created) if name is not None)


@dataclass(frozen=True)
class ViewFound:
    """What was found of one view.

    Args:
        view: its name.
        facts: number of facts that asked.
        matched: number of those that got a row.
        leaked: number of those whose row happened or was created after the fact; None where nothing has a time.
        ages: quantile to the time between a row's event and the fact that got it; empty where nothing has a time.
    """

    view: str
    facts: int
    matched: int
    leaked: int | None
    ages: tuple[tuple[float, dt.timedelta], ...] = ()

    @property
    def match_rate(self) -> float:
        """The share of the facts that got a row, 0 to 1; 1 where nobody asked."""
        return self.matched / self.facts if self.facts else 1.0


@dataclass(frozen=True)
class FeaturesReport:
    """How well features were found for facts.

    Args:
        rows_in: number of facts.
        rows_out: number of rows with features.
        views: what was found of each view, in the order in which they were asked.

    >>> report = FeaturesReport(
    ...     100, 100, (ViewFound("weather", 100, 97, 0, ((0.5, dt.timedelta(hours=1)),)),)
    ... )
    >>> report.leaked, report.views[0].match_rate
    (0, 0.97)
    >>> print(report)
    100 facts, 100 rows; no row from the future
      weather  97.0 % matched  0 leaked  age 50 %: 1:00:00
    """

    rows_in: int
    rows_out: int
    views: tuple[ViewFound, ...]

    @property
    def leaked(self) -> int:
        """Number of rows in all views that were used although they happened or were created after the fact."""
        return sum(found.leaked or 0 for found in self.views)

    def view(self, name: str) -> ViewFound:
        """What was found of one view.

        Raises:
            KeyError: nothing was asked of it.
        """
        known = {found.view: found for found in self.views}
        if name not in known:
            raise KeyError(f"Nothing was asked of {name!r}. Views: {', '.join(known)}.")
        return known[name]

    def to_frame(self) -> pl.DataFrame:
        """One row a view: view, facts, matched, match_rate, leaked, and the ages' quantiles as `age_50` and so on."""
        rows = [
            {
                "view": found.view,
                "facts": found.facts,
                "matched": found.matched,
                "match_rate": found.match_rate,
                "leaked": found.leaked,
                **{_age_name(at): dict(found.ages).get(at) for at in AGES},
            }
            for found in self.views
        ]
        schema: dict[str, pl.DataType | type[pl.DataType]] = {
            "view": pl.String,
            "facts": pl.Int64,
            "matched": pl.Int64,
            "match_rate": pl.Float64,
            "leaked": pl.Int64,
            **{_age_name(at): pl.Duration("us") for at in AGES},
        }
        return pl.DataFrame(rows, schema=schema)

    def to_json(self) -> dict[str, Any]:
        """A form that `json.dumps` takes; ages in seconds."""
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "leaked": self.leaked,
            "views": [
                {
                    "view": found.view,
                    "facts": found.facts,
                    "matched": found.matched,
                    "match_rate": found.match_rate,
                    "leaked": found.leaked,
                    "ages": {str(at): age.total_seconds() for at, age in found.ages},
                }
                for found in self.views
            ],
        }

    def __str__(self) -> str:
        future = f"{self.leaked:,} rows FROM THE FUTURE" if self.leaked else "no row from the future"
        wide = max((len(found.view) for found in self.views), default=0)
        lines = [f"{self.rows_in:,} facts, {self.rows_out:,} rows; {future}"]
        for found in self.views:
            leaked = "no times" if found.leaked is None else f"{found.leaked:,} leaked"
            ages = ", ".join(f"{at * 100:.0f} %: {age}" for at, age in found.ages)
            told = f"{found.match_rate * 100:.1f} % matched  {leaked}" + (f"  age {ages}" if ages else "")
            lines.append(f"  {found.view:<{wide}}  {told}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from aligned_dagster.request.features_html import features_page

        return features_page(self)


def features_report(
    facts: pl.LazyFrame,
    rows: pl.LazyFrame,
    provenance: Sequence[Provenance],
    fact_timestamp: str | None,
    contract: str = "features",
) -> FeaturesReport:
    """Compute the report of rows that features were found for.

    Leaks are counted on the rows as they are: each row's own event and creation time is compared with its fact's.

    Args:
        facts: the rows that were asked about.
        rows: the facts with their features, and the columns of every provenance.
        provenance: of each view.
        fact_timestamp: column of both frames with the time of the fact; None where they have none.
        contract: whose rows these are, for messages.

    Raises:
        SourceError: the rows cannot be read.
    """
    dtypes = rows.collect_schema()
    figures = [pl.len().alias("rows")]
    for number, one in enumerate(provenance):
        figures.append(pl.col(one.found).sum().alias(f"matched {number}"))
        if fact_timestamp is None:
            continue
        times = [name for name in (one.event, one.created) if name is not None]
        if times:
            unit = moment_unit([dtypes[fact_timestamp], *(dtypes[name] for name in times)])
            now = moment(fact_timestamp, dtypes[fact_timestamp], zone=one.zone, unit=unit)
            later = [
                moment(name, dtypes[name], zone=one.zone, unit=unit, ambiguous="latest") > now
                for name in times
            ]
            figures.append((pl.col(one.found) & pl.any_horizontal(later)).sum().alias(f"leaked {number}"))
        if one.event is not None:
            event = moment(one.event, dtypes[one.event], zone=one.zone, unit=unit, ambiguous="latest")
            ages = (now - event).filter(pl.col(one.found)) // (1000 if unit == "ns" else 1)
            figures += [ages.quantile(at, "lower").cast(pl.Int64).alias(f"age {number} {at}") for at in AGES]
    with explained(contract):
        counted, asked = pl.collect_all([rows.select(figures), facts.select(pl.len())], engine="streaming")
    row = counted.row(0, named=True)
    views = tuple(
        ViewFound(
            one.view,
            row["rows"],
            row[f"matched {number}"] or 0,
            row.get(f"leaked {number}"),
            tuple(
                (at, dt.timedelta(microseconds=row[f"age {number} {at}"]))
                for at in AGES
                if row.get(f"age {number} {at}") is not None
            ),
        )
        for number, one in enumerate(provenance)
    )
    return FeaturesReport(int(asked.item()), row["rows"], views)


def _age_name(quantile: float) -> str:
    return f"age_{quantile * 100:.0f}"
