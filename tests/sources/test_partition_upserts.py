"""What is opened, audited and kept when rows are added to a directory of partitions under a contract."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligned_dagster import (
    Bool,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    feature_view,
    publish,
    rule,
    transform_polars,
)
from aligned_dagster.errors import AuditError, PublishError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.roll_forward import Journal
from aligned_dagster.sources.writing import WriteMode

from .behaviours import same
from .conftest import column
from .opened import opened

PARTS = 6
STORED = pl.DataFrame(
    {"id": range(24), "part": [n % PARTS for n in range(24)], "amount": [float(n) for n in range(24)]}
)
MODES: list[WriteMode] = ["insert", "upsert"]


def contract(root: Path, on_violation: Any = "block", **columns: Any) -> FeatureView[Any]:
    body = {
        "id": Int32().as_entity(),
        "part": Int32().as_entity(),
        "amount": Float().lower_bound(0),
        **columns,
    }
    target = FileSource.partitioned_parquet_at(str(root / "t"), ["part"])
    made: Any = feature_view(
        name="sales",
        source=InMemorySource(STORED.clear()),
        materialized_source=target,
        on_violation=on_violation,
    )(type("Sales", (), body))
    assert isinstance(made, FeatureView)
    return made


def rows(*found: tuple[int, int, float]) -> pl.LazyFrame:
    return pl.LazyFrame(list(found), schema=["id", "part", "amount"], orient="row")


def held(view: FeatureView[Any]) -> list[Any]:
    return sorted(view.read().select("id", "part", "amount").collect().rows())


def opened_parts(files: set[Path]) -> set[str]:
    return {file.parent.name for file in files if file.suffix == ".parquet"}


@pytest.mark.parametrize("mode", MODES)
def test_only_partitions_that_change_are_opened(tmp_path: Path, mode: WriteMode) -> None:
    view = contract(tmp_path)
    publish(view, STORED.lazy())
    with opened(tmp_path / "t") as files:
        publication = publish(view, rows((100, 2, 7.0), (101, 4, 8.0)), mode=mode)
    assert opened_parts(files) == {"part=2", "part=4"}
    assert publication.report.rows == 10 and publication.report.beyond == ()
    assert publication.rows == 26
    assert len(held(view)) == 26


def test_a_broken_rule_of_added_rows_blocks_and_bad_rows_elsewhere_do_not(tmp_path: Path) -> None:
    publish(contract(tmp_path, amount=Float()), STORED.lazy().with_columns(amount=pl.col("amount") - 1))
    view = contract(tmp_path)
    before = held(view)
    with pytest.raises(AuditError, match="1 of 5 rows break it"):
        publish(view, rows((100, 2, -7.0)), mode="upsert")
    assert held(view) == before
    with pytest.raises(
        AuditError, match="1 of 5 rows break it"
    ):  # an old row of a partition that is written anew
        publish(view, rows((100, 0, 7.0)), mode="upsert")
    assert held(view) == before
    with pytest.raises(AuditError, match="1 of 25 rows break it"):
        publish(view, rows((100, 2, 7.0)), mode="upsert", audit_all=True)
    publish(view, rows((100, 2, 7.0)), mode="upsert")
    assert held(view) == sorted([*before, (100, 2, 7.0)])


@pytest.mark.parametrize("mode", MODES)
def test_bad_rows_are_kept_aside_and_other_partitions_are_not_opened(tmp_path: Path, mode: WriteMode) -> None:
    view = contract(tmp_path, "quarantine")
    publish(view, STORED.lazy())
    with opened(tmp_path / "t") as files:
        publication = publish(
            view, rows((100, 2, -7.0), (101, 2, 1.0), (102, 9, -1.0)), mode=mode, run_id="run"
        )
    assert opened_parts(files) == {"part=2"}
    assert publication.rows == 25
    assert held(view) == sorted([*STORED.rows(), (101, 2, 1.0)])
    assert publication.quarantine is not None and pl.read_parquet(publication.quarantine)["id"].to_list() == [
        100,
        102,
    ]


def test_added_rows_that_are_all_bad_leave_the_other_partitions(tmp_path: Path) -> None:
    view = contract(tmp_path, "quarantine")
    publish(view, STORED.lazy())
    publication = publish(view, rows((100, 9, -7.0)), mode="insert")
    assert publication.rows == 24 and held(view) == STORED.rows()


def test_an_inserted_key_that_is_stored_blocks(tmp_path: Path) -> None:
    view = contract(tmp_path)
    publish(view, STORED.lazy())
    with pytest.raises(AuditError, match="id \\+ part must together be unique"):
        publish(view, rows((2, 2, 7.0)), mode="insert")
    assert held(view) == STORED.rows()
    publish(view, rows((2, 3, 7.0)), mode="insert")
    assert (2, 3, 7.0) in held(view)


def test_a_key_without_its_partition_is_unique_in_all_of_them(tmp_path: Path) -> None:
    view = contract(tmp_path, part=Int32())
    publish(view, STORED.lazy())
    with pytest.raises(AuditError, match="2 of 25 rows break it"):
        publish(view, rows((2, 5, 7.0)), mode="insert")
    assert held(view) == STORED.rows()
    publication = publish(view, rows((2, 5, 7.0)), mode="upsert")
    assert publication.report.beyond == ("entity_key",)
    assert publication.report.outcome("entity_key").rows == 24 and publication.rows == 24
    assert held(view) == sorted([(2, 5, 7.0), *(row for row in STORED.rows() if row[0] != 2)])


def test_a_key_that_stands_twice_is_kept_aside_in_every_partition(tmp_path: Path) -> None:
    view = contract(tmp_path, "quarantine", part=Int32())
    publish(view, STORED.lazy())
    publication = publish(view, rows((2, 5, 7.0), (100, 5, -1.0)), mode="insert")
    assert publication.rows == 23 and held(view) == [row for row in STORED.rows() if row[0] != 2]
    assert publication.quarantine is not None
    assert pl.read_parquet(publication.quarantine)["id"].sort().to_list() == [2, 2, 100]


AMOUNT = Float()
NEEDING_ALL: dict[str, tuple[dict[str, Any], float]] = {
    "amount__unique": ({"amount": Float().is_unique()}, 3.0),
    "rule__known": ({"amount": AMOUNT, "known": rule(AMOUNT >= 0, mostly=0.99)}, -1.0),
}


def test_a_rule_over_the_elements_of_a_list_is_held_against_all_rows(tmp_path: Path) -> None:
    amount = Float()
    listed = transform_polars([amount], Bool())(
        lambda column: pl.concat_list(column).list.eval(pl.element() >= 0).list.all()
    )
    view = contract(tmp_path, amount=amount, known=rule(listed))
    publish(view, STORED.lazy())
    with pytest.raises(AuditError, match="1 of 25 rows break it"):
        publish(view, rows((100, 2, -1.0)), mode="insert")
    publish(view, rows((100, 2, 1.0)), mode="insert")


@pytest.mark.parametrize("check", NEEDING_ALL)
def test_rules_that_need_all_rows_see_them(tmp_path: Path, check: str) -> None:
    columns, amount = NEEDING_ALL[check]
    view = contract(tmp_path, **columns)
    publish(view, STORED.lazy())
    with pytest.raises(AuditError, match="of 25 rows break it") as caught:
        publish(view, rows((100, 2, amount)), mode="upsert")
    assert caught.value.report.beyond == (check,) and caught.value.report.rows == 5
    assert held(view) == STORED.rows()
    publish(view, rows((100, 2, 1000.0)), mode="upsert")


def test_a_directory_that_others_spell_in_another_way_is_the_same_partition(tmp_path: Path) -> None:
    view = contract(tmp_path)
    publish(view, STORED.lazy())
    os.rename(tmp_path / "t" / "part=2", tmp_path / "t" / "part=02")
    assert held(view) == STORED.rows()
    publish(view, rows((2, 2, 70.0)), mode="upsert")
    assert held(view) == sorted([(2, 2, 70.0), *(row for row in STORED.rows() if row[0] != 2)])
    assert not (tmp_path / "t" / "part=02").exists()
    os.rename(tmp_path / "t" / "part=2", tmp_path / "t" / "part=02")
    with pytest.raises(AuditError, match="must together be unique"):
        publish(view, rows((8, 2, 7.0)), mode="insert")


def test_an_upsert_opens_files_of_others_and_refuses_to_lose_their_columns(tmp_path: Path) -> None:
    view = contract(tmp_path)
    publish(view, STORED.lazy())
    (file,) = (tmp_path / "t" / "part=2").iterdir()
    pl.read_parquet(file, hive_partitioning=False).with_columns(more=1).write_parquet(file)
    with pytest.raises(PublishError, match=r"columns that 'sales' does not know and would lose: more"):
        publish(view, rows((2, 2, 7.0)), mode="upsert")
    pl.read_parquet(file, hive_partitioning=False, columns=["id", "amount"]).with_columns(
        part=pl.lit(2, pl.Int32)
    ).write_parquet(file)  # as Spark does not write it and DuckDB does
    publish(view, rows((2, 2, 7.0)), mode="upsert")
    assert (2, 2, 7.0) in held(view) and len(held(view)) == 24


def test_new_partitions_are_moved_as_directories_and_others_keep_what_is_there(tmp_path: Path) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "t", ["region", "kind"])
    schema = Schema(tuple(column(name, "string") for name in ("region", "kind", "text")))
    request = RetrievalRequest("texts", schema)
    long = "x" * 300
    first = pl.DataFrame({"region": ["n", "n", long], "kind": ["a", long, "b"], "text": ["1", "2", "3"]})
    source.overwrite(first.lazy(), request)
    (tmp_path / "t" / "region=n" / "kind=a" / "_SUCCESS").touch()
    second = pl.DataFrame({"region": ["n", "n", long], "kind": ["a", "c", long], "text": ["4", "5", "6"]})
    source.insert(second.lazy(), request)
    same(source.all_data(request), pl.concat([first, second]))
    assert (tmp_path / "t" / "region=n" / "kind=a" / "_SUCCESS").exists()
    assert Journal.pending(tmp_path / "t") is None
    assert sorted(p.name for p in tmp_path.iterdir()) == [".t.lock", "t"]


def test_a_publish_that_moved_some_directories_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = contract(tmp_path)
    moved: list[str] = []
    rename = os.rename

    class Killed(BaseException):
        pass

    def killed(staged: Any, place: Any) -> None:
        if len(moved) == 3:
            raise Killed
        moved.append(str(place))
        rename(staged, place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(Killed):
            publish(view, STORED.lazy())
    assert len(moved) == 3 and len(list((tmp_path / "t").iterdir())) == 3
    assert held(view) == STORED.rows()
    publish(view, rows((100, 2, 7.0)), mode="insert")
    assert held(view) == sorted([*STORED.rows(), (100, 2, 7.0)])
    assert sorted(p.name for p in tmp_path.iterdir()) == [".t.lock", "t"]


WRITES = st.lists(
    st.tuples(
        st.sampled_from(MODES),
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(-1, 6)), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("on_violation", ["block", "quarantine"])
@pytest.mark.parametrize(
    "columns", [{}, {"part": Int32()}, {"part": Int32(), "amount": Float().lower_bound(0).is_unique()}]
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=WRITES)
def test_any_writes_end_as_if_all_rows_had_been_audited(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any], on_violation: str, writes: Any
) -> None:
    ended = []
    for audit_all in (False, True):
        view = contract(tmp_path_factory.mktemp("all" if audit_all else "part"), on_violation, **columns)
        outcomes: list[Any] = []
        for mode, found in writes:
            try:
                publication = publish(
                    view,
                    rows(*((id, part, float(amount)) for id, part, amount in found)),
                    mode=mode,
                    audit_all=audit_all,
                )
                outcomes.append((publication.rows, held(view)))
            except AuditError as error:
                outcomes.append({outcome.name for outcome in error.report.outcomes if not outcome.passed})
        ended.append(outcomes)
    assert ended[0] == ended[1]
