"""What every source does, as classes to inherit: a new source gets the whole suite by adding one fixture.

All of them need a fixture `stored`: a function from a frame of the contract to a source that holds it.
`Persists` is for sources that live on disk.
"""

from __future__ import annotations

import datetime as dt
import pickle
import subprocess
import sys
import threading
from typing import Any

import polars as pl
import pytest

from aligned_dagster.errors import CastError, MissingColumnError, PublishError, RequestError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.source import Writable

from .reading_behaviours import Answers, Holds, Reads, Stored, Travels, same

__all__ = ["Answers", "Holds", "Persists", "Reads", "Stored", "Travels", "Writes", "same"]


class Writes(Reads):
    """A source that can be written to, in three ways, each of them whole."""

    def test_is_writable(self, stored: Stored, rows: pl.DataFrame) -> None:
        assert isinstance(stored(rows), Writable)

    def test_overwrite(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        before = source.fingerprint()
        source.overwrite(rows.head(1).lazy(), request_for)
        same(source.all_data(request_for), rows.head(1))
        assert source.fingerprint().data_version != before.data_version

    def test_overwrite_with_nothing(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        source.overwrite(rows.clear().lazy(), request_for)
        same(source.all_data(request_for), rows.clear())
        source.upsert(rows.lazy(), request_for)
        same(source.all_data(request_for), rows)

    def test_insert(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        source.insert(rows.lazy(), request_for)
        same(source.all_data(request_for), pl.concat([rows, rows]))

    def test_upsert_is_idempotent(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest, schema: Schema
    ) -> None:
        from .conftest import frame

        source = stored(rows)
        changes = frame(schema, [("007", 2, "south", 20, 2.0, 2), ("9", 1, "east", 5, None, 1)])
        for _ in range(2):
            source.upsert(changes.lazy(), request_for)
            same(source.all_data(request_for), pl.concat([rows.filter(pl.col("count") != 2), changes]))

    def test_upsert_keeps_the_last_of_a_key(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows.clear())
        twice = pl.concat([rows.head(1), rows.head(1).with_columns(count=pl.lit(9, pl.Int32))])
        source.upsert(twice.lazy(), request_for)
        same(source.all_data(request_for), twice.tail(1))

    def test_upsert_needs_an_entity(self, stored: Stored, rows: pl.DataFrame, schema: Schema) -> None:
        plain = RetrievalRequest("readings", schema.select(["region", "count", "day"]))
        with pytest.raises(RequestError, match="has no entity"):
            stored(rows).upsert(rows.lazy(), plain)

    def test_written_from_itself(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        source.overwrite(
            source.all_data(request_for).with_columns(pl.col("count") + pl.lit(1, pl.Int32)), request_for
        )
        same(source.all_data(request_for), rows.with_columns(pl.col("count") + pl.lit(1, pl.Int32)))

    @pytest.mark.parametrize("mode", ["insert", "upsert", "overwrite"])
    def test_staged_rows_are_whole_and_invisible(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest, mode: Any
    ) -> None:
        source = stored(rows.head(2))
        with source.stage(rows.tail(2).lazy(), request_for, mode) as staged:
            whole = rows.tail(2) if mode == "overwrite" else rows
            same(staged.frame, whole)
            same(source.all_data(request_for), rows.head(2))
        same(source.all_data(request_for), rows.head(2))
        with source.stage(rows.tail(2).lazy(), request_for, mode) as staged:
            published = staged.publish()
            with pytest.raises(PublishError, match="before"):
                staged.publish()
        same(source.all_data(request_for), whole)
        assert published.rows in {None, whole.height}

    @pytest.mark.parametrize("mode", ["insert", "upsert", "overwrite"])
    def test_a_part_of_the_staged_rows_is_kept(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest, mode: Any
    ) -> None:
        source = stored(rows.head(2))
        with source.stage(rows.lazy(), request_for, mode) as staged:
            staged.keep(staged.frame.filter(pl.col("region") == "south"))
            same(staged.frame, rows.tail(2))
            staged.publish()
        same(source.all_data(request_for), rows.tail(2))

    @pytest.mark.parametrize("mode", ["insert", "upsert", "overwrite"])
    def test_failing_write_leaves_the_old_rows(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest, mode: Any
    ) -> None:
        source = stored(rows)
        big = rows.lazy().with_columns(count=pl.col("count").cast(pl.Int64) * 2**31)
        with pytest.raises(CastError, match=r"\d{10}.*'count'.*int32"):
            source.stage(big, request_for, mode)
        with pytest.raises(MissingColumnError, match="'count'"):
            source.stage(rows.lazy().drop("count"), request_for, mode)
        same(source.all_data(request_for), rows)
        source.upsert(rows.lazy(), request_for)
        same(source.all_data(request_for), rows)

    def test_replace(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        for where in (
            pl.col("region") == "south",
            pl.col("day") == dt.date(2013, 1, 3),
            (pl.col("station") == "8") & (pl.col("level") < 0),
            pl.col("level").is_null(),
            pl.lit(True),
        ):
            before = source.all_data(request_for).collect()
            incoming = before.filter(where).with_columns(pl.col("count") + pl.lit(1, pl.Int32))
            wanted = pl.concat([before.filter(where.fill_null(False).not_()), incoming])
            for _ in range(2):
                source.replace(incoming.lazy(), request_for, where)
                same(source.all_data(request_for), wanted)

    def test_replace_with_nothing_and_of_nothing(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        source.replace(rows.clear().lazy(), request_for, pl.col("region") == "south")
        same(source.all_data(request_for), rows.head(2))
        source.replace(rows.tail(2).lazy(), request_for, pl.col("region") == "south")
        same(source.all_data(request_for), rows)
        source.replace(rows.clear().lazy(), request_for, pl.col("count") > 0)
        same(source.all_data(request_for), rows.clear())
        source.replace(rows.head(2).lazy(), request_for, pl.col("count") > 0)
        same(source.all_data(request_for), rows.head(2))

    def test_replace_refuses_rows_outside_of_the_part(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        outside = r"(?s)^2 of the rows written for 'readings' lie outside.*station='007'.*region='north'"
        with pytest.raises(PublishError, match=outside):
            source.stage(rows.lazy(), request_for, "replace", where=pl.col("region") == "south")
        with pytest.raises(PublishError, match=r"^1 of .*level=None"):
            source.stage(rows.lazy(), request_for, "replace", where=pl.col("level") < 9)
        same(source.all_data(request_for), rows)

    def test_replace_needs_a_condition_and_others_need_none(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows)
        south = pl.col("region") == "south"
        with pytest.raises(RequestError, match="where="):
            source.stage(rows.lazy(), request_for, "replace")
        for mode in ("insert", "upsert", "overwrite"):
            with pytest.raises(RequestError, match="goes with 'replace' only"):
                source.stage(rows.lazy(), request_for, mode, where=south)
        with pytest.raises(RequestError, match=r"Did you mean 'region'\?"):
            source.replace(rows.lazy(), request_for, pl.col("regin") == "south")
        others = pl.col("count") == pl.col("count").max()
        for no_condition in (
            pl.col("count") + 1,
            others,
            pl.col("count").shift() > 1,
            pl.col("count").max() > 1,
        ):
            with pytest.raises(RequestError, match="cannot be replaced where"):
                source.replace(rows.lazy(), request_for, no_condition)
        same(source.all_data(request_for), rows)

    @pytest.mark.parametrize("column", ["region", "count"])
    def test_staged_part_of_a_replace(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest, column: str
    ) -> None:
        source = stored(rows)
        where = {"region": pl.col("region") == "south", "count": pl.col("count") > 2}[column]
        new = rows.tail(2).with_columns(level=pl.lit(7.0))
        with source.stage(new.lazy(), request_for, "replace", where=where) as staged:
            same(staged.part, new)
            same(staged.frame, pl.concat([rows.head(2), new]))
            same(source.all_data(request_for), rows)
            staged.keep_part(staged.part.filter(pl.col("count") == 4))
            same(staged.part, new.tail(1))
            same(staged.frame, pl.concat([rows.head(2), new.tail(1)]))
            staged.publish()
        same(source.all_data(request_for), pl.concat([rows.head(2), new.tail(1)]))
        again = source.stage(new.lazy(), request_for, "replace", where=where)
        with again, pytest.raises(PublishError, match="lie outside"):
            again.keep_part(rows.lazy())
        with source.stage(new.lazy(), request_for, "replace", where=where) as staged:
            staged.keep(staged.frame.filter(pl.col("count") > 1))
            staged.publish()
        same(source.all_data(request_for), pl.concat([rows.slice(1, 1), new]))
        with source.stage(new.lazy(), request_for, "insert") as staged:
            same(staged.frame, pl.concat([rows.slice(1, 1), new, new]))
            same(staged.part.filter(pl.col("region") == "south"), pl.concat([new, new]))
            staged.keep_part(staged.part.unique())
            staged.publish()
        same(source.all_data(request_for), pl.concat([rows.slice(1, 1), new]))

    def test_unknown_mode(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        with pytest.raises(RequestError, match=r"Did you mean 'upsert'\?"):
            stored(rows).stage(rows.lazy(), request_for, "upsrt")

    def test_concurrent_writers_lose_nothing(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows.clear())
        failures: list[BaseException] = []

        def write(number: int) -> None:
            try:
                mine = rows.head(1).with_columns(station=pl.lit(str(number)))
                (source.upsert if number % 2 else source.insert)(mine.lazy(), request_for)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        found = source.all_data(request_for).collect()
        assert sorted(found["station"]) == [str(number) for number in range(8)]

    def test_quarantine(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        assert source.read_quarantine() is None
        bad = rows.head(1).with_columns(broken_rules=pl.lit(["count__lower_bound"]))
        for run in ("run/1", "../run 2"):
            assert source.quarantine(bad.lazy(), request_for, run)
        assert source.read_quarantine().collect().height == 2
        same(source.read_quarantine("run/1"), bad)
        assert source.read_quarantine("run 3") is None
        kept = source.quarantine_runs()  # an object store tells the second in which it was written
        assert {(run.run_id, run.rows) for run in kept} == {("run/1", 1), ("../run 2", 1)}
        assert [run.kept_at for run in kept] == sorted(run.kept_at for run in kept)
        same(source.all_data(request_for), rows)

    @pytest.mark.parametrize("name", ["plain", "a/b", "../up", "_hidden", ".dot", "x.parquet", "æ %2F", "'"])
    def test_runs_of_the_quarantine_are_listed_and_removed(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest, name: str
    ) -> None:
        source = stored(rows)
        assert source.quarantine_runs() == []
        source.remove_quarantine(name)
        before = dt.datetime.now(dt.UTC)
        place = source.quarantine(rows.head(3).lazy(), request_for, name)
        assert source.quarantine(rows.head(2).lazy(), request_for, name) == place
        source.quarantine(rows.head(1).lazy(), request_for, "other")
        found = {run.run_id: run for run in source.quarantine_runs()}
        assert {run: one.rows for run, one in found.items()} == {name: 2, "other": 1}
        assert found[name].uri == place
        assert abs(found[name].kept_at - before) < dt.timedelta(minutes=10)
        source.remove_quarantine("no such run")
        source.remove_quarantine(name)
        assert [run.run_id for run in source.quarantine_runs()] == ["other"]
        assert source.read_quarantine(name) is None
        same(source.read_quarantine(), rows.head(1))
        source.remove_quarantine("other")
        assert source.quarantine_runs() == [] and source.read_quarantine() is None
        same(source.all_data(request_for), rows)

    def test_hostile_values(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        texts = [
            "../../evil",
            "a/b",
            ".",
            "..",
            "",
            "a=b",
            "%2F",
            'q"u,o;te',
            "line\nend",
            "\r\n",
            " x ",
            "æ😀",
        ]
        texts += ["null", "NA", "__HIVE_DEFAULT_PARTITION__", "long" * 200, "\ufeff", "*", "[a]", "'", "\\"]
        hostile = pl.concat([rows.head(1).with_columns(station=pl.lit(t), region=pl.lit(t)) for t in texts])
        source = stored(hostile)
        same(source.all_data(request_for), hostile)
        source.upsert(hostile.lazy(), request_for)
        same(source.all_data(request_for), hostile)
        for text in texts:
            found = source.all_data(request_for).filter(pl.col("region") == text).collect()
            assert found["station"].to_list() == [text]


class Persists(Writes):
    """A source on disk, which other processes read and write."""

    def test_other_process(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest, tmp_path: Any
    ) -> None:
        source = stored(rows)
        plan = tmp_path / "plan.pickle"
        plan.write_bytes(pickle.dumps((source, request_for)))
        script = (
            "import pickle, sys, polars as pl\n"
            "source, request = pickle.loads(open(sys.argv[1], 'rb').read())\n"
            "rows = source.all_data(request).collect()\n"
            "part = pl.col('region') == 'south'\n"
            "source.replace(rows.filter(part).head(1).lazy(), request, part)\n"
        )
        subprocess.run([sys.executable, "-c", script, str(plan)], check=True, timeout=60)
        found = source.all_data(request_for).collect()
        same(found.filter(region="north"), rows.head(2))
        assert found.filter(region="south").height == 1
