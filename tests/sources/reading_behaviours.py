"""What every source that can be read does; see `behaviours`.

`Answers` fits any source, also one that makes its rows up; `Holds` is for those that give back the rows that they were
given; `Travels` for those that other processes can be sent. `Reads` is all of them.
"""

from __future__ import annotations

import datetime as dt
import pickle
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster.errors import CastError, MissingColumnError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.source import DataSource, source_from_json, source_to_json

Stored = Callable[[pl.DataFrame], Any]


def same(found: pl.LazyFrame | pl.DataFrame, wanted: pl.DataFrame) -> None:
    assert_frame_equal(found.lazy().collect(), wanted, check_row_order=False)


class Answers:
    """A source that is asked for columns gives them in the contract's types, whatever its rows are."""

    def test_columns_and_types(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        found = stored(rows).all_data(request_for)
        assert dict(found.collect_schema()) == request_for.polars
        whole = found.collect()
        assert dict(whole.schema) == request_for.polars
        assert whole.height == rows.height

    def test_project(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        whole = source.all_data(request_for).collect()
        found = source.all_data(request_for.project(["count", "station"])).collect()
        assert found.columns == ["count", "station"]
        same(found, whole.select("count", "station"))

    def test_filter(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        whole = source.all_data(request_for).collect()
        last = whole.row(-1, named=True)
        wanted = (pl.col("region") == last["region"]) & (pl.col("count") >= last["count"])
        assert 0 < whole.filter(wanted).height < whole.height
        same(source.all_data(request_for).filter(wanted), whole.filter(wanted))

    def test_limit(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        whole = source.all_data(request_for).collect()
        for limit in (0, 2, rows.height, 10**6):
            found = source.all_data(request_for, limit=limit).collect()
            assert found.height == min(limit, rows.height)
            assert found.join(whole, on=whole.columns, how="anti", nulls_equal=True).is_empty()

    def test_no_rows(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows.clear())
        same(source.all_data(request_for), rows.clear())
        same(source.all_data(request_for.project(["day"])), rows.select("day").clear())

    def test_between_dates_gives_only_rows_of_the_period(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        first, last = dt.datetime(2013, 1, 2, tzinfo=dt.UTC), dt.datetime(2013, 1, 3, 12, tzinfo=dt.UTC)
        for end in (last, last.date()):
            found = stored(rows).all_between_dates(request_for, first, end).collect()
            assert dict(found.schema) == request_for.polars
            assert found.height
            until = dt.datetime(2013, 1, 4, tzinfo=dt.UTC) if end is not last else last
            assert found["time"].is_between(first, until).all()
        only = stored(rows).all_between_dates(request_for.project(["count"]), first, last).collect()
        assert dict(only.schema) == {"count": pl.Int32}

    def test_features_keep_the_facts_and_their_order(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        known = source.all_data(request_for).collect()["station"].to_list()
        stations = [known[-1], "nobody", known[0], known[-1], "nobody"]
        moment = dt.datetime(2013, 1, 4, tzinfo=dt.UTC)
        facts = pl.DataFrame({"number": range(5), "station": stations, "at": [moment] * 5})
        for time in ("at", None):
            wanted = request_for.project(["level", "count"])
            found = source.features_for(facts.lazy(), wanted, fact_timestamp=time).collect()
            assert found.select(facts.columns).equals(facts)
            assert found.columns == [*facts.columns, "level", "count"]
            assert found["count"].dtype == pl.Int32
            assert found.row(0)[3:] == found.row(3)[3:]
            assert found.row(1)[3:] == found.row(4)[3:]
        none = source.features_for(facts.clear().lazy(), wanted, fact_timestamp="at").collect()
        assert none.columns == found.columns
        assert none.is_empty()

    def test_fingerprint_repeats(self, stored: Stored, rows: pl.DataFrame) -> None:
        source = stored(rows)
        assert isinstance(source, DataSource)
        assert source.fingerprint() == source.fingerprint()
        assert source.uri
        assert source.kind
        assert source.label


class Holds(Answers):
    """A source that holds rows gives them back as the contract has them."""

    def test_newest(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        newest = stored(rows).newest(request_for, "time")
        assert newest == dt.datetime(2013, 1, 3, 5, tzinfo=dt.UTC)
        assert stored(rows.head(1)).newest(request_for, "time") == dt.datetime(2013, 1, 1, 5, tzinfo=dt.UTC)

    def test_read(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        same(stored(rows).all_data(request_for), rows)

    def test_between_dates_includes_both_ends(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        day = dt.date(2013, 1, 1)
        same(source.all_between_dates(request_for, day, day), rows.filter(pl.col("day") == day))
        narrow = source.all_between_dates(
            request_for.project(["count"]),
            dt.datetime(2013, 1, 2, 6, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            dt.datetime(2013, 1, 3, 4, 59),
        )
        same(narrow, pl.DataFrame({"count": [2]}, schema={"count": pl.Int32}))

    def test_point_in_time(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        facts = pl.LazyFrame(
            {
                "station": ["8", "007", "8", "unknown"],
                "at": [dt.datetime(2013, 1, day, 5, tzinfo=dt.UTC) for day in (2, 2, 3, 3)],
            }
        )
        wanted = request_for.project(["count"])
        found = stored(rows).features_for(facts, wanted, fact_timestamp="at").collect()
        assert found["count"].to_list() == [3, 2, 4, None]

    def test_point_in_time_cases(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        """Nothing, the exact moment, just before and after it, nulls, and the same fact again; rows as in the facts."""
        second = dt.timedelta(seconds=1)
        first, third = (dt.datetime(2013, 1, day, 5, tzinfo=dt.UTC) for day in (1, 3))
        cases: list[tuple[str | None, dt.datetime | None, int | None]] = [
            ("8", third, 4),
            ("8", third - second, 3),
            ("8", first - second, None),
            ("007", third + second, 2),
            ("007", first, 1),
            ("7", third, None),
            (None, third, None),
            ("8", None, None),
            ("8", third, 4),
        ]
        facts = pl.DataFrame(
            {"fact": range(len(cases)), "station": [c[0] for c in cases], "at": [c[1] for c in cases]},
            schema_overrides={"at": pl.Datetime("us", "UTC")},
        )
        wanted = facts.with_columns(pl.Series("count", [c[2] for c in cases], dtype=pl.Int32))
        source, asked = stored(rows), request_for.project(["count"])
        assert_frame_equal(source.features_for(facts.lazy(), asked, fact_timestamp="at").collect(), wanted)
        local = pl.col("at").dt.convert_time_zone("Europe/Oslo")
        found = source.features_for(facts.lazy().with_columns(local), asked, fact_timestamp="at").collect()
        assert_frame_equal(found, wanted.with_columns(local))
        turned = facts.reverse()
        found = source.features_for(turned.lazy(), asked, fact_timestamp="at").collect()
        assert_frame_equal(found, wanted.reverse())
        latest = source.features_for(facts.lazy(), asked).collect()["count"]
        assert latest.to_list() == [4, 4, 4, 2, 2, None, None, 4, 4]

    def test_features_of_a_contract(self, stored: Stored, rows: pl.DataFrame) -> None:
        """What a store answers over the source: other names, an age, a report, and what is stored later changes nothing."""
        from .conftest import readings_over

        at = [dt.datetime(2013, 1, day, 5, tzinfo=dt.UTC) for day in (3, 1, 2, 3, 3)]
        facts = pl.DataFrame({"time": range(5), "place": ["8", "8", "8", "007", "?"], "when": at})
        later = rows.with_columns(pl.col("time").dt.offset_by("5d"), pl.col("count") + 100)
        for held in (rows, pl.concat([later, rows])):
            job = readings_over(stored(held)).features_for(
                facts,
                {"level before": "readings:level", "c": "readings:count", "more": "again:count"},
                "when",
                entity_columns={"station": "place"},
                max_age={"again": dt.timedelta(hours=23)},
            )
            wanted = facts.with_columns(
                pl.Series("level before", [-2.0, 1.5, 1.5, None, None]),
                pl.Series("c", [4, 3, 3, 2, None], dtype=pl.Int32),
                pl.Series("more", [4, 3, None, None, None], dtype=pl.Int32),
            )
            assert_frame_equal(job.collect(), wanted)
            report = job.report()
            assert (report.rows_in, report.rows_out, report.leaked) == (5, 5, 0)
            assert [found.matched for found in report.views] == [4, 2]
            assert dict(report.view("readings").ages)[1.0] == dt.timedelta(days=1)

    def test_missing_column(self, stored: Stored, rows: pl.DataFrame, schema: Schema) -> None:
        from .conftest import column

        wider = RetrievalRequest("readings", Schema((*schema.columns, column("levels", "int32"))))
        source = stored(rows)
        with pytest.raises(MissingColumnError, match=r"'levels'.*Did you mean 'level'\?"):
            source.all_data(wider)

    def test_missing_optional_column_is_filled(
        self, stored: Stored, rows: pl.DataFrame, schema: Schema
    ) -> None:
        from .conftest import column

        wider = RetrievalRequest(
            "readings",
            Schema(
                (
                    *schema.columns,
                    column("note", "string", optional=True),
                    column("tags", "list(int8)", has_default=True, default=(1, 2)),
                    column("weight", "decimal(9,2)", has_default=True, default=1),
                )
            ),
        )
        found = stored(rows).all_data(wider).collect()
        assert dict(found.schema) == wider.polars
        assert found["note"].null_count() == rows.height
        assert found["tags"].to_list() == [[1, 2]] * rows.height
        only = stored(rows).all_data(wider.project(["note"])).collect()
        assert only.height == rows.height

    def test_null_becomes_the_default(self, stored: Stored, rows: pl.DataFrame, schema: Schema) -> None:
        from .conftest import column

        changed = [
            column("level", "float64", has_default=True, default=9.0) if c.name == "level" else c
            for c in schema.columns
        ]
        found = stored(rows).all_data(RetrievalRequest("readings", Schema(tuple(changed)))).collect()
        same(found, rows.with_columns(pl.col("level").fill_null(9.0)))

    @pytest.mark.parametrize("engine", ["in-memory", "streaming"])
    def test_value_that_does_not_fit(
        self, stored: Stored, rows: pl.DataFrame, schema: Schema, engine: Any
    ) -> None:
        from .conftest import column

        changed = [column("region", "int16") if c.name == "region" else c for c in schema.columns]
        source = stored(rows)
        request = RetrievalRequest("readings", Schema(tuple(changed)))

        def collect_above() -> None:
            found = source.all_data(request)
            above = found.join(found, on="station").with_columns(x=pl.col("region") + 1)
            with explained("above"):
                above.collect(engine=engine)

        with pytest.raises(CastError, match=r"'north'|'south'") as error:
            collect_above()
        assert "column 'region' " in str(error.value)
        assert "of 'readings' in " in str(error.value)
        assert "int16" in str(error.value)
        assert "This error occurred" not in str(error.value)


class Travels:
    """A source that other processes get as a pickle or as JSON is the same there, with the same rows."""

    def test_pickle_and_equality(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        again = pickle.loads(pickle.dumps(source))
        assert again == source
        same(again.all_data(request_for), source.all_data(request_for).collect())

    def test_json(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        again = source_from_json(source_to_json(source))
        assert again == source
        assert hash(again) == hash(source)
        same(again.all_data(request_for), source.all_data(request_for).collect())


class Reads(Holds, Travels):
    """A source that holds rows and can be sent."""
