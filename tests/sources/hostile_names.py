"""Names that break out of what holds them: the same assertions on this machine and in every store.

A class that inherits `HostileNames` has a fixture `place` of its module: a directory, or a config of a store.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aligned_dagster.errors import ConfigurationError, SourceNotFoundError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.azure_location import AzureLocation
from aligned_dagster.sources.local_location import LocalLocation

from .behaviours import same
from .conftest import column

NASTY = [
    *(
        "..",
        ".",
        "...",
        "%2F",
        "a%2Fb",
        "%",
        "%zz",
        "'",
        '"',
        "`",
        " x ",
        " ",
        "=",
        "a=b",
        "line\nend",
        "\r",
        "\t",
    ),
    *(
        "",
        "😀",
        "Ä",
        "ä",
        "A",
        "a",
        "#",
        "a?b=c&d",
        "[a]",
        "*",
        "{a,b}",
        "\\",
        "+",
        "a b",
        ";--",
        ":",
        "s3://x",
    ),
    *("~", "\x7f", "\u202e", "e\u0301", "é", "__HIVE_DEFAULT_PARTITION__", "_a", ".a", "x" * 300, "æ" * 130),
]
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.sampled_from("./\\=%~_*[]?#+& 0aA\n'\"é😀"), max_size=12),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)
FEW = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""What the name of an object cannot have."""

FORBIDDEN = re.compile(r"^$|^\.|^_HIVE|[=/%\\\x00-\x1f]")
"""What a partition key cannot have: all other keys can be written."""

NUMBER = itertools.count()


def table(names: list[str], keys: int = 0) -> tuple[RetrievalRequest, pl.DataFrame, dict[str, str]]:
    """A contract with one column for each stored name, the last of them text, rows of it, and which is which."""
    dtypes = ["int64"] * (len(names) - keys) + ["string"] * keys
    columns = [column(f"c{i}", dtype) for i, dtype in enumerate(dtypes)]
    request = RetrievalRequest("t", Schema((column("id", "int64", "entity"), *columns)))
    rows = pl.DataFrame(
        {
            "id": range(3),
            **{f"c{i}": [f"{i}", "b", "c"] if d == "string" else [i, 10, 20] for i, d in enumerate(dtypes)},
        },
        schema=request.polars,
    )
    return request, rows, {name: f"c{i}" for i, name in enumerate(names)}


def written(source: Any, request: RetrievalRequest, rows: pl.DataFrame) -> None:
    source.overwrite(rows.head(2).lazy(), request)
    source.upsert(rows.tail(2).lazy(), request)
    same(source.all_data(request), rows)


class HostileNames:
    """Columns, partition keys, partition values, files and directories with names of any kind."""

    @FEW
    @given(names=st.lists(TEXTS.filter(lambda name: name != "id"), min_size=1, max_size=6, unique=True))
    @example(names=NASTY)
    def test_columns(self, place: Any, names: list[str]) -> None:
        request, rows, mapping = table(names)
        below = place.directory(f"columns-{next(NUMBER)}")
        written(below.parquet_at("rows.parquet", mapping_keys=mapping), request, rows)
        written(below.csv_at("rows.csv", mapping_keys=mapping), request, rows)

    @FEW
    @given(keys=st.lists(TEXTS.filter(lambda name: name != "id"), min_size=1, max_size=3, unique=True))
    @example(keys=["Key", "key", "KEY"])
    @example(keys=["_key", "'", " "])
    @example(keys=["😀 é?#&+", '"[*]{a}', "\u202e"])
    @example(keys=["../x"])
    @example(keys=["x" * 300])
    def test_partition_keys(self, place: Any, keys: list[str]) -> None:
        request, rows, mapping = table(["v", *keys], len(keys))
        stored = {name: feature for name, feature in mapping.items() if name != "v"}
        below = place.directory(f"keys-{next(NUMBER)}")
        source = below.partitioned_parquet_at("rows", list(stored.values()), mapping_keys=mapping)
        if any(FORBIDDEN.search(key) or len(key.encode()) > 50 for key in keys):
            with pytest.raises(ConfigurationError, match="cannot be a partition key"):
                written(source, request, rows)
        else:
            written(source, request, rows)

    @FEW
    @given(values=st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    @example(values=NASTY)
    def test_partition_values(self, place: Any, values: list[str]) -> None:
        request, _, _ = table(["c0"], 1)
        rows = pl.DataFrame({"id": range(len(values)), "c0": values}, schema=request.polars)
        source = place.directory(f"values-{next(NUMBER)}").partitioned_parquet_at("rows", ["c0"])
        source.overwrite(rows.lazy(), request)
        same(source.all_data(request), rows)
        assert len(source.files()) == len(values), "two values share a directory"
        for row in rows.tail(2).iter_slices(1):
            part = pl.col("c0") == row["c0"][0]
            same(source.all_data(request).filter(part), row)
            source.replace(row.lazy(), request, part)
        same(source.all_data(request), rows)

    @FEW
    @given(name=TEXTS.filter(lambda name: "/" not in name and name.strip() not in ("", ".", "..")))
    @example(name="a%2Fb")
    @example(name="what?#&+ [*].parquet")
    @example(name="line\nend")
    @example(name="'\"é😀")
    @example(name="__HIVE_DEFAULT_PARTITION__")
    @example(name="k=v")
    @example(name="CamelCase")
    @example(name="a\\b")
    @example(name="x" * 180)
    def test_files_and_directories(self, place: Any, name: str) -> None:
        request, rows, _ = table(["c0"], 1)
        below = place.directory(f"files-{next(NUMBER)}")
        names = list(dict.fromkeys([name, name.swapcase()]))
        if CONTROL.search(name) and not isinstance(below.at("x"), LocalLocation):
            with pytest.raises(ConfigurationError, match="has a control character"):
                below.parquet_at(name)
            return
        if "\\" in name and isinstance(below.at("x"), AzureLocation):
            with pytest.raises(ConfigurationError, match="has a backslash"):
                below.parquet_at(name)
            return
        for number, one in enumerate(names):
            written(below.parquet_at(one), request, rows.with_columns(pl.col("id") + number))
            tree = below.partitioned_parquet_at(f"{one}.d", ["c0"])
            written(tree, request, rows.with_columns(pl.col("id") - number))
        for number, one in enumerate(names):
            same(below.parquet_at(one).all_data(request), rows.with_columns(pl.col("id") + number))
            tree = below.partitioned_parquet_at(f"{one}.d", ["c0"])
            same(tree.all_data(request), rows.with_columns(pl.col("id") - number))
        with pytest.raises(SourceNotFoundError) as missing:
            below.parquet_at(f"{name}3").all_data(request)
        assert f"{name}3" in str(missing.value)
