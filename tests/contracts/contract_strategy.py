"""Contracts of hypothesis' own choice: columns of every type with constraints, defaults, words and derivations."""

from __future__ import annotations

import datetime as dt
from keyword import iskeyword
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

import aligned_dagster as ad
from aligned_dagster.features.feature import Feature

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not iskeyword(name)) | (
    st.sampled_from(["when", "rule", "datetime", "feature_view", "decimal"])
)
ZONES = st.sampled_from([dt.UTC, ZoneInfo("UTC"), ZoneInfo("Europe/Oslo"), ZoneInfo("America/New_York")])
VIOLATIONS = st.sampled_from([None, None, "block", "quarantine", "warn"])
PATTERNS = st.sampled_from(["^[A-Z]{2}$", "a|b", r"^\d+\.\d$", "x'\"\\\\y", "ø"])
FLAT: dict[str, Any] = {
    "bool": ad.Bool,
    "uuid": ad.UUID,
    "date": ad.Date,
    "time": ad.Time,
    "duration": ad.Duration,
    "json": ad.Json,
    "string": ad.String,
    "float": ad.Float,
    "float32": ad.Float32,
    "naive": lambda: ad.Timestamp(time_zone=None),
    "zoned": lambda: ad.Timestamp(time_zone="Europe/Oslo"),
    "utc": ad.Timestamp,
    "decimal": lambda: ad.Decimal(9, 2),
    **{name.lower(): getattr(ad, name) for name in ad.__all__ if name.lstrip("U").startswith("Int")},
}
NESTED: dict[str, Any] = {
    "list": lambda: ad.List(ad.Int32()),
    "struct": lambda: ad.Struct({"a b": ad.String(), "at": ad.List(ad.Timestamp(time_zone=None))}),
    "embedding": lambda: ad.Embedding(2, ad.Float64()),
    "integers": lambda: ad.Embedding(3, ad.Int32()),
}


def value(draw: Any, kind: str) -> Any:
    """A value that fits a type."""
    if "int" in kind:
        return draw(st.integers(0, 100))
    found: dict[str, Any] = {
        "bool": st.booleans(),
        "date": st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
        "time": st.times().map(lambda t: t.replace(fold=0)),
        "duration": st.timedeltas(dt.timedelta(0), dt.timedelta(days=9)),
        "naive": st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)),
        "float": st.floats(-1e9, 1e9),
        "float32": st.floats(-1e6, 1e6, width=32),
        "decimal": st.decimals("-99", "99", places=2) | st.integers(0, 9),
        "utc": st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1), timezones=ZONES).map(
            lambda t: t.replace(fold=0)
        ),
    }
    found["zoned"] = found["utc"]
    return draw(found.get(kind, WORDS))


@st.composite
def columns(draw: Any) -> Feature:
    """A stored column."""
    kind = draw(st.sampled_from([*FLAT, *NESTED]))
    made: Any = {**FLAT, **NESTED}[kind]()
    if kind in FLAT and kind not in {"bool", "json", "uuid"}:
        if draw(st.booleans()):
            made = made.lower_bound(value(draw, kind), draw(st.booleans()), on_violation=draw(VIOLATIONS))
        elif draw(st.booleans()):
            made = made.upper_bound(value(draw, kind), draw(st.booleans()), on_violation=draw(VIOLATIONS))
    if kind == "string":
        for method, argument in (
            ("validate_regex", PATTERNS),
            ("validate_starts_with", WORDS),
            ("validate_ends_with", WORDS),
            ("min_length", st.integers(0, 3)),
            ("max_length", st.integers(3, 9)),
        ):
            if draw(st.integers(0, 4)) == 0:
                made = getattr(made, method)(draw(argument), on_violation=draw(VIOLATIONS))
    if kind == "list" and draw(st.booleans()):
        made = made.max_length(draw(st.integers(0, 9)), on_violation=draw(VIOLATIONS))
    if kind in FLAT and draw(st.integers(0, 4)) == 0:
        values = [value(draw, kind) for _ in range(draw(st.integers(1, 3)))]
        made = made.accepted_values(values, on_violation=draw(VIOLATIONS))
    if kind in FLAT and draw(st.integers(0, 4)) == 0:
        made = made.is_unique(on_violation=draw(VIOLATIONS))
    if kind in FLAT and draw(st.integers(0, 4)) == 0:
        made = made.default_value(value(draw, kind))
    if draw(st.booleans()):
        made = made.is_optional()
    if draw(st.booleans()):
        made = made.description(draw(WORDS))
    if draw(st.integers(0, 3)) == 0:
        made = made.with_tag(
            *draw(st.lists(WORDS | st.just("classification:secret"), min_size=1, max_size=3))
        )
    return made  # type: ignore[no-any-return]


SOURCES = st.sampled_from(
    [
        ad.FileSource.csv_at("a b.csv", csv_config=ad.CsvConfig(separator=";")),
        ad.FileSource.csv_at("x.csv", date_formatter=ad.DateFormatter.unix_timestamp("ms")),
        ad.FileSource.parquet_at("data/x.parquet", config=ad.ParquetConfig(compression="lz4")),
        ad.AwsS3Config(bucket="lake", region_env="AWS_REGION").parquet_at("raw/x.parquet"),
        ad.AzureBlobConfig(container="c", account_name_env="ACCOUNT").csv_at("x.csv"),
        ad.PostgreSQLConfig("SHOP_URL").table("Orders", schema="Sales"),
        ad.PostgreSQLConfig("SHOP_URL").fetch("SELECT 'it''s' AS a"),
        ad.PostgreSQLConfig.localhost("shop", user="me", password_env="PASSWORD").table("orders"),
        ad.RedshiftSQLConfig(env_var="REDSHIFT").table("orders", sort_keys=["id"]),
    ]
)


@st.composite
def contracts(draw: Any) -> ad.FeatureView[Any]:
    """A contract on a source of files or tables, with an entity, perhaps derived columns and a rule."""
    body: dict[str, Any] = {"id": ad.Int64().as_entity()}
    for name in draw(st.lists(NAMES, unique=True, max_size=5)):
        body.setdefault(name, draw(columns()))
    if draw(st.booleans()):
        ttl = draw(st.none() | st.timedeltas(dt.timedelta(seconds=1), dt.timedelta(days=400)))
        body["happened_at"] = ad.EventTimestamp(ttl=ttl)
    if draw(st.booleans()):
        body["doubled"] = (body["id"] * 2 + 1).description("twice")
        body["is_large"] = ((body["doubled"] > 10) & ~body["id"].is_null()).is_required()
        body["size"] = (
            ad.when(body["is_large"]).then("large").otherwise("small").accepted_values(["large", "small"])
        )
        share = draw(st.sampled_from([1.0, 0.9]))
        body["grows"] = ad.rule(body["doubled"] >= body["id"], draw(WORDS), mostly=share)
    made = type("Made", (), body)
    return ad.feature_view(
        name=draw(st.sampled_from(["made", "some_rows", "Rows2"])),
        source=draw(SOURCES),
        materialized_source=draw(st.none() | st.just(ad.FileSource.parquet_at("out.parquet"))),
        description=draw(WORDS),
        tags=draw(st.lists(WORDS, max_size=2, unique=True)),
        contacts=draw(st.lists(WORDS, max_size=2)),
        acceptable_freshness=draw(st.none() | st.timedeltas(dt.timedelta(0), dt.timedelta(days=9))),
        unacceptable_freshness=draw(st.none() | st.just(dt.timedelta(hours=3))),
        on_violation=draw(st.sampled_from(["block", "quarantine", "warn"])),
        schedule=draw(st.none() | st.just("0 6 * * *")),
        automation=draw(st.none() | st.just("eager")),
        time_zone=draw(st.sampled_from(["UTC", "Europe/Oslo"])),
    )(made)
