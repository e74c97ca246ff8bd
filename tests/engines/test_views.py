"""Contracts on an engine: what is published is what polars publishes, and what cannot be is told when they are loaded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster import (
    Bool,
    ContractStore,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int8,
    Int32,
    Int64,
    String,
    coalesce,
    feature_view,
    publish,
    rule,
)
from aligned_dagster.contracts.publish import Publication
from aligned_dagster.errors import AuditError, ContractError, SourceError, UnsupportedError
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.request.partition import PartitionSlice, Window
from aligned_dagster.sources.engines.session import SPOOL, EngineSession
from tests.engines.conftest import SPARK
from tests.engines.naming_cases import hostile, hostile_in_partitions, hostile_together, joined_twins, twins

Make = Callable[[Path], FeatureView[Any]]
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(params=["duckdb", "spark"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine, with its session at hand."""
    if request.param == "spark":
        request.getfixturevalue("spark")
    return request.param  # type: ignore[no-any-return]  # one of the two above


def customers(directory: Path, **options: Any) -> FeatureView[Any]:
    source = InMemorySource.from_values(
        {
            "customer": ["a", "b", "c", "d"],
            "country": ["no", None, "uk", "no"],
            "since": [2019, 2020, 2021, None],
        }
    )

    @feature_view(name="customers", source=source, **options)
    class Customers:
        customer = String().as_entity()
        country = String().is_optional().accepted_values(["no", "uk"])
        since = Int32().is_optional()

        is_domestic = (country == "no").fill_null(False)
        years = 2026 - since

    return Customers


def orders(directory: Path, **options: Any) -> FeatureView[Any]:
    file = directory / "raw" / "orders.parquet"
    if not file.exists():
        file.parent.mkdir(parents=True)
        number = list(range(40))
        pl.DataFrame(
            {
                "order": number,
                "customer": [None if n % 13 == 5 else "abcde"[n % 5] for n in number],
                "at": [NOON + dt.timedelta(hours=7 * n) for n in number],
                "amount": [None if n % 11 == 3 else n * 2.25 - 8 for n in number],
            },
            schema_overrides={"order": pl.Int64},
        ).write_parquet(file)
    target = options.pop("target", None)

    @feature_view(
        name="orders", source=FileSource.parquet_at(str(file)), materialized_source=target, **options
    )
    class Orders:
        order = Int64().as_entity()
        customer = String().is_optional().reference_to(customers(directory)().customer, on_violation="warn")
        at = EventTimestamp()
        amount = Float().is_optional().lower_bound(0, on_violation="quarantine")
        channel = String().is_optional().default_value("shop")

        day = at.date()
        weekday = at.weekday()
        cents = (amount * 100).round(0)
        is_large = coalesce(amount > 30, False)
        label = customer.append("/").append(channel)
        cheap_on_weekends = rule((at.weekday() < 6) | (amount < 80), "on weekends", on_violation="warn")

    return Orders


def small(directory: Path) -> FeatureView[Any]:
    source = customers(directory)

    @feature_view(
        name="small",
        source=source.filter("domestic", lambda row: row.is_domestic),
        materialized_source=FileSource.parquet_at(str(directory / "small.parquet")),
    )
    class Small:
        customer = String().as_entity()
        since = Int64().is_optional()
        note = String().is_optional()

    return Small


def renamed(directory: Path) -> FeatureView[Any]:
    buyers = customers(directory).with_entity_renaming("buyer")
    return replace(buyers, materialized_source=FileSource.parquet_at(str(directory / "buyers.parquet")))


def joined(how: str) -> Make:
    def make(directory: Path) -> FeatureView[Any]:
        left = orders(directory)
        if how == "asof":
            source = left.join_asof(visits(directory), on="customer")
        else:
            source = left.join(customers(directory), on="customer", how=how)
        target = FileSource.parquet_at(str(directory / "joined.parquet"))
        adds = how not in ("asof", "semi", "anti")

        @feature_view(name="joined", source=source, materialized_source=target)
        class Joined:
            order = Int64().is_optional()
            customer = String().is_optional()
            at = EventTimestamp().is_optional()
            label = String().is_optional()
            years = Int64().is_optional() if adds else Int64().is_optional().default_value(1)
            visits = Int32().is_optional()

            both = coalesce(years, 0) + coalesce(order, 0)

        return Joined

    return make


def visits(directory: Path) -> FeatureView[Any]:
    @feature_view(
        name="visits",
        source=InMemorySource.from_values(
            {
                "customer": ["a", "a", "b", None],
                "at": [NOON - dt.timedelta(1), NOON + dt.timedelta(4), NOON, NOON],
                "visits": [1, 2, 3, 4],
            }
        ),
    )
    class Visits:
        customer = String().as_entity()
        at = EventTimestamp()
        visits = Int32()

    return Visits


def totals(directory: Path) -> FeatureView[Any]:
    @feature_view(
        name="totals",
        source=orders(directory),
        materialized_source=FileSource.parquet_at(str(directory / "totals.parquet")),
        on_violation="quarantine",
    )
    class Totals:
        customer = String().as_entity()
        amount = Float().is_optional()
        is_large = Bool()

        orders = is_large.aggregate().count()
        large = is_large.aggregate().sum()
        mean = amount.aggregate().mean()
        spread = amount.aggregate().std()
        share = (large / orders).bounded_between(0, 1)

    return Totals


def of_late(directory: Path) -> FeatureView[Any]:
    @feature_view(
        name="of_late",
        source=orders(directory),
        materialized_source=FileSource.partitioned_parquet_at(str(directory / "of_late"), ["customer"]),
        materialize_from=dt.date(2026, 1, 1),
        every="daily",
    )
    class OfLate:
        customer = String().as_entity()
        at = EventTimestamp()
        amount = Float().is_optional()

        bought2d = amount.aggregate().over(days=2).len()
        sum_2d = amount.aggregate().over(days=2).sum()
        worst_3d = amount.aggregate().over(days=3).max()

    return OfLate


def daily(directory: Path) -> FeatureView[Any]:
    @feature_view(
        name="daily",
        source=orders(directory),
        materialized_source=FileSource.partitioned_parquet_at(str(directory / "daily"), ["customer"]),
        materialize_from=dt.date(2026, 1, 1),
        every="daily",
        on_violation="warn",
    )
    class Daily:
        customer = String().as_entity()
        at = EventTimestamp()
        amount = Float().is_optional()

        total = amount.aggregate().sum()

    return Daily


def plain(directory: Path) -> FeatureView[Any]:
    return orders(directory, target=FileSource.parquet_at(str(directory / "orders.parquet")))


def by_customer(directory: Path) -> FeatureView[Any]:
    return orders(
        directory, target=FileSource.partitioned_parquet_at(str(directory / "by_customer"), ["customer"])
    )


CASES: dict[str, Make] = {
    "derived, with a default, quarantined and warned": plain,
    "partitioned": by_customer,
    "filtered": small,
    "renamed": renamed,
    **{f"{how} join": joined(how) for how in ("inner", "left", "full", "semi", "anti", "asof")},
    "aggregated": totals,
    "hostile names": hostile,
    "hostile names in partitions": hostile_in_partitions,
    "hostile names, aggregated": hostile_together,
}


def on(view: FeatureView[Any], engine: Engine) -> FeatureView[Any]:
    return ContractStore([view]).with_engine(engine, spark=SPARK).view(view.name)


def told(publication: Publication) -> list[tuple[Any, ...]]:
    return [
        (o.name, o.status, o.rows, o.broken, sorted(o.sample.rows(), key=repr) if o.broken < 10 else [])
        for o in publication.report.outcomes
    ]


def rows(view: FeatureView[Any]) -> pl.DataFrame:
    found = view.read().collect()
    plain = [name for name, dtype in found.schema.items() if not dtype.is_nested()]
    return found.sort(plain)


def assert_alike(
    ours: tuple[FeatureView[Any], Publication], truth: tuple[FeatureView[Any], Publication]
) -> None:
    (view, found), (expected_view, expected) = ours, truth
    assert told(found) == told(expected)
    assert found.rows == expected.rows
    assert_frame_equal(rows(view), rows(expected_view), rel_tol=1e-9, abs_tol=0)
    assert [one.nulls for one in found.report.statistics] == [one.nulls for one in expected.report.statistics]
    kept = [
        None if (frame := one.materialized_source.read_quarantine("run")) is None else frame.collect()  # type: ignore[union-attr]  # all are stored
        for one in (view, expected_view)
    ]
    assert (kept[0] is None) == (kept[1] is None)
    if kept[0] is not None and kept[1] is not None:
        assert_frame_equal(kept[0], kept[1], check_row_order=False, rel_tol=1e-9, abs_tol=0)


def published(
    make: Make, directory: Path, engine: Engine, **options: Any
) -> tuple[FeatureView[Any], Publication]:
    view = on(make(directory), engine)
    return view, publish(view, run_id="run", **options)


@pytest.mark.parametrize("case", CASES)
def test_what_is_published_is_what_polars_publishes(case: str, engine: Engine, tmp_path: Path) -> None:
    found = published(CASES[case], tmp_path / engine, engine)
    truth = published(CASES[case], tmp_path / "polars", "polars")
    assert_alike(found, truth)
    assert (found[1].engine, found[1].audited_on) == (engine, engine)
    assert (truth[1].engine, truth[1].audited_on) == ("polars", "polars")
    assert not [path for path in tmp_path.rglob("*staging*") if path.is_dir()]


@pytest.mark.parametrize("make", [twins, joined_twins])
def test_spark_tells_names_apart_by_case(make: Make, spark: EngineSession, tmp_path: Path) -> None:
    found = published(make, tmp_path / spark.name, "spark")
    assert_alike(found, published(make, tmp_path / "polars", "polars"))


@pytest.mark.parametrize("make", [of_late, daily], ids=["windows that look back", "whole entities of a day"])
def test_partitions_are_those_of_polars(make: Make, engine: Engine, tmp_path: Path) -> None:
    day = dt.timedelta(days=1)
    start = NOON.replace(hour=0)
    cells = (Window(start + day, start + 2 * day), Window(start + 2 * day, start + 4 * day))
    of_time = PartitionSlice((Window(cells[0].start, cells[1].end),), cells=cells)
    of_keys = PartitionSlice(keys=((("customer", "a"),), (("customer", "b"),)))
    of_both = PartitionSlice((Window(start, start + day),), ((("customer", "c"),), (("customer", None),)))
    stored = []
    for name in (engine, "polars"):
        view = on(make(tmp_path / name), name)
        known = replace(view, on_violation="quarantine")
        found = [
            publish(known, part=part, run_id=f"run {n}") for n, part in enumerate([of_time, of_keys, of_both])
        ]
        stored.append((rows(view), [told(one) for one in found], [one.rows for one in found]))
    (ours, ours_told, ours_rows), (truth, truth_told, truth_rows) = stored
    assert_frame_equal(ours, truth, rel_tol=1e-9, abs_tol=0)
    assert (ours_told, ours_rows) == (truth_told, truth_rows)
    assert truth.height > 7


def chain(directory: Path, first: Engine | None) -> FeatureView[Any]:
    """A stored contract that reads a virtual one that reads a stored one, and refers to another stored one."""
    bought = orders(directory, engine=first)
    stored = customers(
        directory, materialized_source=FileSource.parquet_at(str(directory / "customers.parquet"))
    )
    publish(stored)

    @feature_view(
        name="chain",
        source=bought.join(stored, on="customer"),
        materialized_source=FileSource.parquet_at(str(directory / "chain.parquet")),
    )
    class Chain:
        order = Int64().as_entity()
        customer = String().reference_to(stored().customer)
        cents = Float().is_optional()
        years = Int64().is_optional()

    return Chain


@pytest.mark.parametrize("first", [None, "polars"], ids=["on the reader's engine", "that states polars"])
def test_what_is_read_may_be_stored_or_computed_on_either(
    first: Engine | None, engine: Engine, tmp_path: Path
) -> None:
    views = [on(chain(tmp_path / name, first), name) for name in (engine, "polars")]  # type: ignore[arg-type]  # both are engines
    ours, truth = [(view, publish(view, run_id="run")) for view in views]
    assert_alike(ours, truth)
    assert truth[1].rows > 20
    assert views[0].upstream_views["orders"].engine == (first or engine)


def test_a_virtual_contract_is_audited_where_it_is_computed(engine: Engine, tmp_path: Path) -> None:
    ours, truth = (publish(on(orders(tmp_path), name)) for name in (engine, "polars"))  # type: ignore[arg-type]  # both are engines
    assert told(ours) == told(truth)
    assert (ours.published, ours.audited_on, ours.rows) == (None, engine, truth.rows)


def test_a_broken_rule_leaves_the_old_rows_and_no_file_behind(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    monkeypatch.setenv(SPOOL, str(spool))
    view = on(plain(tmp_path), engine)
    publish(view)
    before = rows(view)
    strict = replace(view, on_violation="block", compiled=stricter(tmp_path).compiled)
    with pytest.raises(AuditError, match="amount must be at most 10") as caught:
        publish(strict, run_id="run")
    assert caught.value.quarantine is not None and caught.value.report.blocking
    assert pl.read_parquet(caught.value.quarantine)["amount"].min() > 10  # type: ignore[operator]  # it is a number
    assert_frame_equal(rows(view), before)
    assert list(spool.iterdir()) == []


def stricter(directory: Path) -> FeatureView[Any]:
    @feature_view(name="orders", source=orders(directory))
    class Orders:
        order = Int64().as_entity()
        customer = String().is_optional()
        at = EventTimestamp()
        amount = Float().is_optional().upper_bound(10)
        channel = String().is_optional()

    source = orders(directory)
    return replace(Orders, source=source.source)


def test_rows_beside_others_are_audited_with_them(engine: Engine, tmp_path: Path) -> None:
    for mode in ("insert", "upsert"):
        stored = []
        for name in (engine, "polars"):
            directory = tmp_path / f"{mode} {name}"
            view = on(plain(directory), name)  # type: ignore[arg-type]  # both are engines
            publish(view)
            extra = pl.read_parquet(directory / "raw" / "orders.parquet").with_columns(
                order=pl.col("order") + (40 if mode == "insert" else 20), amount=pl.col("amount") + 1
            )
            extra.write_parquet(directory / "raw" / "orders.parquet")
            found = publish(view, mode=mode, run_id="run")  # type: ignore[arg-type]  # one of the modes
            stored.append((view, found))
        assert_alike(*stored)
        assert (stored[0][1].engine, stored[0][1].audited_on) == (engine, "polars")


def test_a_source_that_fails_is_an_error_of_ours(engine: Engine, tmp_path: Path) -> None:
    view = on(plain(tmp_path), engine)
    publish(view)
    before = rows(view)
    (tmp_path / "raw" / "orders.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(SourceError, match="orders"):
        publish(view)
    assert_frame_equal(rows(view), before)
    assert not [path for path in tmp_path.rglob("*staging*") if path.is_dir()]


# --- what cannot be --------------------------------------------------------------------------------------


def impossible(directory: Path, **options: Any) -> FeatureView[Any]:
    source = orders(directory)

    @feature_view(name="impossible", source=source, **options)
    class Impossible:
        order = Int64().as_entity()
        amount = Float().is_optional()
        is_large = Bool()
        number = order.hash_value()
        twice = amount.transform_polars(lambda x: x * 2, as_dtype=Float())

    return Impossible


def test_what_an_engine_cannot_compute_is_told_when_it_is_loaded(tmp_path: Path) -> None:
    store = ContractStore([impossible(tmp_path), small(tmp_path)])
    with pytest.raises(UnsupportedError) as caught:
        store.with_engine("spark")
    lines = str(caught.value).splitlines()
    assert lines[0] == "This cannot be computed on Spark:"
    assert lines[1].startswith("  impossible.number: ") and "test_views.py" in lines[1]
    assert lines[2].startswith("  impossible.twice: ")
    assert '@feature_view(engine="polars")' in lines[-1] and len(lines) == 4
    with pytest.raises(UnsupportedError, match=r"impossible\.twice"):
        impossible(tmp_path, engine="duckdb")
    assert impossible(tmp_path, engine="polars").engine == "polars"


def test_a_contract_may_stay_on_polars(tmp_path: Path) -> None:
    store = ContractStore([impossible(tmp_path, engine="polars"), small(tmp_path)]).with_engine("duckdb")
    assert {name: view.engine for name, view in store.views.items()} == {
        "impossible": "polars",
        "small": "duckdb",
    }
    assert store.view("small").upstream_views["domestic"].engine == "duckdb"


def test_what_is_computed_through_a_virtual_contract_counts_too(tmp_path: Path) -> None:
    @feature_view(name="reader", source=impossible(tmp_path), engine=None)
    class Reader:
        order = Int64().as_entity()
        twice = Float().is_optional()

    with pytest.raises(UnsupportedError, match=r"impossible\.twice"):
        ContractStore([Reader]).with_engine("spark")


def test_a_cast_between_contracts_that_can_fail_is_told(tmp_path: Path) -> None:
    @feature_view(name="narrow", source=orders(tmp_path))
    class Narrow:
        order = Int8().as_entity()

    with pytest.raises(UnsupportedError, match=r"narrow\.order: it is int64 in orders and int8 here"):
        ContractStore([Narrow]).with_engine("duckdb")


def test_an_engine_that_is_none_is_told() -> None:
    with pytest.raises(ContractError, match=r"got 'sprak'\. Did you mean 'spark'"):
        ContractStore().with_engine("sprak")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ContractError, match=r"engine of customers is one of .*got 'ray'"):
        customers(Path(), engine="ray")


# --- what an engine is not -----------------------------------------------------------------------------


def test_an_engine_changes_no_version_and_is_in_the_json_only_if_stated(tmp_path: Path) -> None:
    view, spark = customers(tmp_path), customers(tmp_path, engine="spark")
    assert (view.version, view.code_version) == (spark.version, spark.code_version)
    assert "engine" not in view.to_json() and spark.to_json()["engine"] == "spark"
    read = ContractStore.from_json(ContractStore([spark]).to_json()).view("customers")
    assert read.engine == "spark"
    assert ContractStore.from_json(ContractStore([view]).to_json()).view("customers").engine is None
