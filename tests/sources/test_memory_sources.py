from __future__ import annotations

import asyncio
import copy
from typing import Any

import polars as pl
import pytest

from aligned_dagster.errors import ConfigurationError, SourceError, UnsupportedError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.custom import CustomMethodDataSource
from aligned_dagster.sources.frame import FrameSource
from aligned_dagster.sources.in_memory_source import InMemorySource
from aligned_dagster.sources.source import Writable, source_to_json

from .behaviours import Reads, Stored, Writes, same


class TestInMemory(Writes):
    @pytest.fixture
    def stored(self) -> Stored:
        return InMemorySource

    def test_copies_share_their_rows(self, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = InMemorySource.empty()
        twin = copy.deepcopy(source)
        source.insert(rows.lazy(), request_for)
        same(twin.all_data(request_for), rows)
        assert twin == source
        assert InMemorySource.empty() != source

    def test_values(self, request_for: RetrievalRequest) -> None:
        source = InMemorySource.from_values({"a": [10, 0.5, None]})
        assert source.data["a"].to_list() == [10.0, 0.5, None]
        with pytest.raises(ConfigurationError, match="mixes int, str"):
            InMemorySource.from_values({"a": [1, "b"]})
        with pytest.raises(ConfigurationError, match="differ in length"):
            InMemorySource.from_values({"a": [1], "b": []})


ROWS: list[pl.DataFrame] = []


def load_rows(request: RetrievalRequest, limit: int | None) -> pl.LazyFrame:
    return ROWS[-1].lazy()


class TestCustom(Reads):
    @pytest.fixture
    def stored(self) -> Stored:
        def stored(rows: pl.DataFrame) -> Any:
            ROWS.append(rows)
            return CustomMethodDataSource.from_methods(all_data=load_rows, depends_on_sources=["weather"])

        return stored

    def test_is_read_only(self, stored: Stored, rows: pl.DataFrame) -> None:
        assert not isinstance(stored(rows), Writable)
        assert stored(rows).depends_on() == {"weather"}

    @pytest.mark.parametrize("form", ["frame", "lazy", "pandas", "columns", "rows", "arrow"])
    def test_what_a_function_may_return(
        self, rows: pl.DataFrame, request_for: RetrievalRequest, form: str
    ) -> None:
        forms: dict[str, Any] = {
            "frame": lambda: rows,
            "lazy": lambda: rows.lazy(),
            "pandas": lambda: rows.to_pandas(),
            "columns": lambda: rows.to_dict(as_series=False),
            "rows": lambda: rows.to_dicts(),
            "arrow": lambda: rows.to_arrow(),
        }
        same(CustomMethodDataSource.from_load(forms[form]).all_data(request_for), rows)

    def test_async_function_without_and_within_a_loop(
        self, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        async def load(request: RetrievalRequest) -> pl.DataFrame:
            await asyncio.sleep(0)
            return rows

        source = CustomMethodDataSource.from_load(load)
        same(source.all_data(request_for), rows)

        async def within() -> None:
            same(source.all_data(request_for), rows)

        asyncio.run(within())

    def test_functions_for_dates_and_facts(self, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = CustomMethodDataSource.from_methods(
            all_between_dates=lambda request, start, end: rows.head(1),
            features_for=lambda facts, request: facts.select(pl.lit(7, pl.Int32).alias("count"), "station"),
        )
        same(source.all_between_dates(request_for, None, None), rows.head(1))  # type: ignore[arg-type]  # unused here
        facts = pl.LazyFrame({"station": ["8", "8"]})
        found = source.features_for(facts, request_for.project(["count"])).collect()
        assert found["count"].to_list() == [7, 7]
        with pytest.raises(UnsupportedError, match="all_data"):
            source.all_data(request_for)

    def test_what_goes_wrong_names_the_function(self, request_for: RetrievalRequest) -> None:
        def fails() -> None:
            raise ValueError("no answer")

        with pytest.raises(SourceError, match=r"fails.*'readings', failed: ValueError: no answer"):
            CustomMethodDataSource.from_load(fails).all_data(request_for)
        with pytest.raises(SourceError, match="returned int"):
            CustomMethodDataSource.from_load(lambda: 1).all_data(request_for)
        with pytest.raises(SourceError, match="is no table"):
            CustomMethodDataSource.from_load(lambda: {"a": [1, "b"]}).all_data(request_for)
        with pytest.raises(ConfigurationError, match="needs a function"):
            CustomMethodDataSource.from_methods()

    def test_local_function_has_no_json(self) -> None:
        with pytest.raises(UnsupportedError, match="top level of a module"):
            source_to_json(CustomMethodDataSource.from_load(lambda: None))


class TestFrame:
    def test_rows(self, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = FrameSource.of(rows)
        same(source.all_data(request_for), rows)
        with pytest.raises(UnsupportedError, match="no JSON form"):
            source_to_json(source)
