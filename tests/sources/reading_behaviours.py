"""What every source that can be read does; see `behaviours`."""

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


class Reads:
    """A source that holds rows gives them back as the contract has them."""

    def test_read(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        found = stored(rows).all_data(request_for)
        assert dict(found.collect_schema()) == request_for.polars
        same(found, rows)

    def test_project(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        found = stored(rows).all_data(request_for.project(["count", "station"])).collect()
        assert found.columns == ["count", "station"]
        same(found, rows.select("count", "station"))

    def test_filter(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        wanted = (pl.col("region") == "south") & (pl.col("count") > 3)
        same(stored(rows).all_data(request_for).filter(wanted), rows.filter(wanted))

    def test_limit(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        assert stored(rows).all_data(request_for, limit=2).collect().height == 2

    def test_no_rows(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        same(stored(rows.clear()).all_data(request_for), rows.clear())

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

    def test_pickle_and_equality(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        again = pickle.loads(pickle.dumps(source))
        assert again == source
        same(again.all_data(request_for), rows)

    def test_json(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        again = source_from_json(source_to_json(source))
        assert again == source
        assert hash(again) == hash(source)
        same(again.all_data(request_for), rows)

    def test_fingerprint_repeats(self, stored: Stored, rows: pl.DataFrame) -> None:
        source = stored(rows)
        assert isinstance(source, DataSource)
        assert source.fingerprint() == source.fingerprint()
        assert source.uri
        assert source.kind
        assert source.label

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
