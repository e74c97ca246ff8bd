"""Every public method of the types answers on Spark and DuckDB as it does on polars, or says beforehand that it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from aligned_dagster.errors import ConfigurationError, ContractError, DerivationError, UnsupportedError
from aligned_dagster.features import truth, types
from aligned_dagster.features.aggregation import Aggregation
from aligned_dagster.features.compiling import Compiled, compile_class
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import carried, engine_type_name
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.gaps import gaps
from aligned_dagster.features.engines.names import Engine, check_engine
from aligned_dagster.features.engines.native import import_narwhals
from aligned_dagster.features.engines.replay import replay_on, with_derived_on
from aligned_dagster.features.expression import Call, ColumnRef, Expression, replay, text
from aligned_dagster.features.misuse import NoValue
from aligned_dagster.features.plan import with_derived
from aligned_dagster.features.types import EventTimestamp, Float, Int32, String
from aligned_dagster.sources.engines.session import EngineSession
from tests.engines.derivation_cases import CASES, COLUMNS, DUCKDB_GAPS, GAPS, rows

STATEMENTS = frozenset(
    {
        "accepted_values", "agg", "aggregate", "as_classification_label", "as_classification_target", "as_entity",
        "as_model_version", "as_regression_label", "as_regression_target", "bounded_between", "copy_with", "default_value",
        "description", "is_optional", "is_required", "is_unique", "lower_bound", "max_length", "min_length", "probability_of",
        "reference_to", "referencing", "regex", "upper_bound", "validate_ends_with", "validate_endswith", "validate_regex",
        "validate_starts_with", "validate_startswith", "with_constraint", "with_tag",
    }
)  # fmt: skip
"""Public methods that state something about a column, and derive nothing."""
PYTHONS_OWN = frozenset({"__init__", "__hash__", "__bool__", "__repr__", "__setattr__", "__getattr__"}) | {
    name for name, value in vars(NoValue).items() if callable(value)
}
ENGINES: tuple[Engine, ...] = ("spark", "duckdb")


def compiled(cases: Mapping[str, list[Any]]) -> Compiled:
    named = {
        f"{method.replace('.', '_')}_{number}": feature
        for method, features in cases.items()
        for number, feature in enumerate(features)
    }
    return compile_class(type("Rows", (), {**COLUMNS, **named}), "rows")


EVERY = compiled(CASES)
TYPES = {column.name: column.dtype for column in EVERY.schema.columns}
STORED = {column.name: column.dtype for column in EVERY.schema.stored}
DERIVATIONS = EVERY.schema.derivations


def on_polars(frame: pl.DataFrame, schema: Mapping[str, DataType], what: Compiled) -> pl.DataFrame:
    derived = with_derived(frame.lazy(), what.schema.derivations)
    return derived.select(pl.col(name).cast(dtype.polars) for name, dtype in schema.items()).collect()


def differences(session: EngineSession, frame: pl.DataFrame, what: Compiled, width: int = 1000) -> list[str]:
    """What differs from polars: each derived column with its derivation and the first rows."""
    schema = {column.name: column.dtype for column in what.schema.columns}
    stored = [column.name for column in what.schema.stored]
    expected = on_polars(frame, schema, what)
    base = session.from_polars(frame.lazy(), {name: schema[name] for name in stored})
    names = list(what.schema.derivations)
    found = []
    for start in range(0, len(names), width):
        some = {name: what.schema.derivations[name] for name in names[start : start + width]}
        derived = with_derived_on(base, some, session.name, schema)
        wanted = {name: schema[name] for name in (*(stored if start == 0 else ["id"]), *some)}
        answer = session.collect(derived, wanted).sort("id")
        for name in answer.columns:
            short = "float32" in schema[name].text
            tolerance = 1e-6 if short else 1e-11
            # A sum depends on the order of its rows, the more so where great ones cancel each other.
            order = (1e-4 if short else 1e-12) if name.startswith("Aggregation") else 0.0
            try:
                assert_series_equal(expected[name], answer[name], rel_tol=tolerance, abs_tol=order)
            except AssertionError:
                pairs = zip(expected[name].to_list(), answer[name].to_list(), strict=True)
                unlike = [(one, other) for one, other in pairs if repr(one) != repr(other)][:4]
                tree = what.schema.derivations.get(name)
                found.append(f"{name} = {text(tree) if tree else 'stored'}: {unlike}")
    return found


def test_every_public_method_has_a_case() -> None:
    tried = {method.split(".")[-1] for method in (*CASES, *GAPS)}
    classes = {base for name in types.__all__ for base in getattr(types, name).__mro__[:-1]} | {Aggregation}
    methods = {
        name
        for owner in classes
        for name, value in vars(owner).items()
        if callable(value) and (not name.startswith("_") or name.startswith("__"))
    }
    functions = {
        name
        for name, value in vars(truth).items()
        if callable(value)
        and not name.startswith("_")
        and value.__module__ == truth.__name__
        and name.islower()
    }
    assert methods | functions == tried - {"concat"} | STATEMENTS | PYTHONS_OWN


def test_duckdb_answers_as_polars(duckdb_session: EngineSession) -> None:
    assert differences(duckdb_session, rows(), EVERY) == []


@settings(max_examples=10, deadline=None, phases=[Phase.generate])  # to shrink a seed says nothing
@given(st.integers(0, 2**32))
def test_duckdb_answers_as_polars_on_any_rows(seed: int) -> None:
    from aligned_dagster.sources.engines.session import engine_session

    assert differences(engine_session("duckdb"), rows(60, seed), EVERY) == []


@pytest.fixture
def interpreted(spark: EngineSession) -> Iterator[EngineSession]:
    """Spark that compiles no Java for each of hundreds of columns, which few rows are not worth."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    modes = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    for name, mode in modes.items():
        session.conf.set(name, mode)
    yield spark
    for name in modes:
        session.conf.unset(name)


def test_spark_answers_as_polars(interpreted: EngineSession) -> None:
    hostile, random = rows(), rows(90, seed=8).with_columns(id=pl.int_range(1000, 1090))
    assert differences(interpreted, pl.concat([hostile, random]), EVERY, width=120) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_no_case_is_called_a_gap(engine: Engine) -> None:
    assert {name: found for name, tree in DERIVATIONS.items() if (found := gaps(tree, engine, TYPES))} == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_engine_cannot_do_is_told_beforehand(engine: Engine) -> None:
    what = compiled(
        GAPS
        if engine == "spark"
        else {f"{n}.{k}": v for n, g in enumerate((GAPS, DUCKDB_GAPS)) for k, v in g.items()}
    )
    schema = {column.name: column.dtype for column in what.schema.columns}
    told = {text(tree): len(gaps(tree, engine, schema)) for tree in what.schema.derivations.values()}
    assert told == dict.fromkeys(told, 1)
    for name, tree in what.schema.derivations.items():
        assert gaps(tree, "polars", schema) == ()
        with pytest.raises(
            UnsupportedError, match=rf"^{name}: .+\. {engine} cannot compute it; use engine='polars'\.$"
        ):
            with_derived_on(None, {name: tree}, engine, schema)  # type: ignore[arg-type]  # it raises before it takes a frame


def test_what_duckdb_alone_cannot_do_spark_does(spark: EngineSession) -> None:
    assert differences(spark, rows(), compiled(DUCKDB_GAPS)) == []


class Grouped:
    t = String().as_entity()
    at = EventTimestamp()
    x, y = Int32(), Float()
    first, last, kept = x.aggregate().first(), x.aggregate().last(), x.aggregate().where(y > 0).first()
    latest, every = y.aggregate().where(x > 0).last(), x.aggregate().to_list()
    some, total = x.aggregate().where(y > 0).to_list(), x.aggregate().sum() + x.aggregate().count()


def grouped_rows() -> pl.DataFrame:
    frame = rows().select(pl.col("t").fill_null("?"), x="i", y="f", number="id")
    at = pl.datetime(2013, 1, 1, time_zone="UTC") + pl.duration(minutes=(pl.col("number") * 37) % 61)
    return frame.with_columns(at.dt.cast_time_unit("us").alias("at")).drop("number")


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_taken_together_have_the_order_of_their_time(
    engine: Engine, request: pytest.FixtureRequest
) -> None:
    session: EngineSession = request.getfixturevalue("spark" if engine == "spark" else "duckdb_session")
    what = compile_class(Grouped, "grouped")
    schema = {column.name: column.dtype for column in (*what.inputs.columns, *what.schema.columns)}
    trees = {name: what.schema.derivations[name] for name, _ in what.groupings}
    frame = grouped_rows()
    expected = (
        frame.sort("at").group_by("t").agg(**{name: replay(tree) for name, tree in trees.items()}).sort("t")
    )
    base = session.from_polars(frame.lazy(), {name: schema[name] for name in ("t", "at", "x", "y")})
    values = {name: replay_on(tree, engine, schema, order_by="at") for name, tree in trees.items()}
    wanted = {name: schema[name] for name in ("t", *trees)}
    assert session.collect(base.group_by("t").agg(**values), wanted).sort("t").equals(expected)
    sql = Dialect(engine)
    over = f"PARTITION BY {sql.name('t')} ORDER BY {sql.name('at')}"
    window = f"{over} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    values = {
        name: replay_on(tree, engine, schema, order_by="at", window=window) for name, tree in trees.items()
    }
    each = session.collect(base.with_columns(**values), wanted).unique("t").sort("t")
    assert each.equals(expected)
    assert gaps(trees["first"], engine, schema) != () == gaps(trees["first"], engine, schema, order_by="at")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_long_chain_runs_in_steps(engine: Engine, request: pytest.FixtureRequest) -> None:
    session: EngineSession = request.getfixturevalue("spark" if engine == "spark" else "duckdb_session")
    number = ColumnRef("x")
    sums: Expression = Call("add", number, 0)
    quotients: Expression = Call("floordiv", number, 1)
    for _ in range(300):
        sums = Call("add", sums, 1)
    for _ in range(12):
        quotients = Call("floordiv", quotients, ColumnRef("one"))
    schema = dict.fromkeys(("x", "one", "sums", "quotients"), DataType("int64"))
    base = session.from_polars(
        pl.LazyFrame({"x": [1, -5], "one": [1, 1]}), {name: schema[name] for name in ("x", "one")}
    )
    derived = with_derived_on(base, {"sums": sums, "quotients": quotients}, engine, schema)
    assert derived.collect_schema().names() == list(schema)
    assert session.collect(derived, schema).sort("x").rows() == [(-5, 1, 295, -5), (1, 1, 301, 1)]


def test_a_column_that_is_not_there_is_told_by_name() -> None:
    with pytest.raises(DerivationError, match=r"There is no column 'distanse'\. Did you mean 'distance'"):
        replay_on(ColumnRef("distanse"), "duckdb", {"distance": DataType("float64")})


def test_an_engine_that_is_none_is_told() -> None:
    assert check_engine("duckdb") == "duckdb"
    with pytest.raises(
        ContractError, match=r"engine of Flights is one of .+; got 'sparc'\. Did you mean 'spark'"
    ):
        check_engine("sparc", "engine of Flights")
    with pytest.raises(ContractError, match="got 3"):
        check_engine(3)


def test_narwhals_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'aligned-dagster\[spark\]'"):
        import_narwhals("spark")


def test_gaps_are_told_without_an_engine() -> None:
    program = (
        "import sys\n"
        "from aligned_dagster.features.engines.gaps import gaps\n"
        "from aligned_dagster.features.dtypes import DataType\n"
        "from aligned_dagster.features.expression import Call, ColumnRef\n"
        "assert gaps(Call('hash', ColumnRef('x')), 'spark', {'x': DataType('int64')})\n"
        "assert not {'pyspark', 'narwhals', 'duckdb'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("dtype", "spark", "duckdb", "polars"),
    [
        ("uint64", "decimal(20,0)", "UBIGINT", pl.Decimal(20, 0)),
        ("time", "bigint", "BIGINT", pl.Int64()),
        ("timestamp(us,)", "timestamp_ntz", "TIMESTAMP", pl.Datetime("us")),
        ("timestamp(us,Europe/Oslo)", "timestamp", "TIMESTAMPTZ", pl.Datetime("us", "UTC")),
        ("embedding(3,float32)", "array<float>", "FLOAT[]", pl.List(pl.Float32())),
        (
            "struct(a b:uint8)",
            "struct<`a b`: smallint>",
            'STRUCT("a b" UTINYINT)',
            pl.Struct({"a b": pl.Int16()}),
        ),
    ],
)
def test_types_travel_in_what_the_engine_holds(
    dtype: str, spark: str, duckdb: str, polars: pl.DataType
) -> None:
    kind = DataType.from_text(dtype)
    assert (engine_type_name(kind, "spark"), engine_type_name(kind, "duckdb")) == (spark, duckdb)
    assert carried(kind, "spark") == polars
    assert carried(kind, "polars") == kind.polars
