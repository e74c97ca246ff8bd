from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

import aligned_dagster as ad
from aligned_dagster.contracts.odcs import problems, to_yaml
from aligned_dagster.contracts.odcs_import import contracts_from_odcs
from aligned_dagster.errors import ContractError

from .contract_strategy import contracts

FOREIGN = Path(__file__).parent / "odcs"
LEAST = "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: '1'\n"


def compiled(text: str) -> dict[str, ad.FeatureView[Any]]:
    namespace: dict[str, Any] = {}
    exec(compile(text, "skeleton.py", "exec"), namespace)
    return {view.name: view for view in namespace.values() if isinstance(view, ad.FeatureView)}


def imported(name: str) -> tuple[str, dict[str, ad.FeatureView[Any]]]:
    text = contracts_from_odcs((FOREIGN / name).read_text(), name)
    return text, compiled(text)


def types(view: ad.FeatureView[Any]) -> dict[str, str]:
    return {column.name: column.dtype.text for column in view.schema.columns}


def rules(view: ad.FeatureView[Any], name: str) -> set[str]:
    return {rule.words(name) for rule in view.schema.column(name).constraints}


# --- ours, out and in ------------------------------------------------------------------------------------


@given(view=contracts())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_exported_is_valid_and_comes_back_the_same(view: ad.FeatureView[Any]) -> None:
    form = view.to_odcs()
    assert problems(form) == []
    text = contracts_from_odcs(to_yaml([form]))
    [again] = compiled(text).values()
    assert again.to_odcs() == form
    assert again.version == view.version


def test_the_demo_is_exported_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMO_STORAGE", raising=False)
    store = ad.ContractStore.discover(str(Path(ad.__file__).parent / "demo" / "contracts" / "**" / "*.py"))
    forms = {view.name: view.to_odcs() for view in store.views.values()}
    assert [problems(form) for form in forms.values()] == [[]] * len(forms)
    text = contracts_from_odcs(to_yaml(list(forms.values())), "demo.yaml")
    again = compiled(text)
    assert again.keys() == forms.keys()
    for name in ("airlines", "airports"):
        assert again[name].to_odcs() == forms[name]
    for name in ("flights", "weather", "departures", "planes"):
        assert again[name].version == forms[name]["version"]
    assert again["flights"].schema.derivations == store.view("flights").schema.derivations


def test_what_only_polars_can_compute_is_told_beside_the_contract() -> None:
    @ad.feature_view(source=ad.FileSource.csv_at("orders.csv"))
    class Orders:
        id = ad.Int64().as_entity()
        amount = ad.Float()
        twice = amount.transform_polars(lambda x: x * 2, as_dtype=ad.Float())

    text = contracts_from_odcs(to_yaml([Orders.to_odcs()]))
    assert "twice = polars(amount)" in " ".join(text.replace("#", "").split())


def test_no_secret_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "postgresql://me:hunter2@db.example/shop")
    monkeypatch.setenv("KEY", "hunter2")
    shop, lake = (
        ad.PostgreSQLConfig("SHOP_URL"),
        ad.AwsS3Config(bucket="lake", access_token_env="KEY", secret_token_env="KEY"),
    )

    @ad.feature_view(source=shop.table("orders"), materialized_source=lake.parquet_at("orders.parquet"))
    class Orders:
        id = ad.Int64().as_entity()

    text = to_yaml([Orders.to_odcs()])
    assert "hunter2" not in text and "SHOP_URL" in text
    servers = Orders.to_odcs()["servers"]
    assert [(one["server"], one["type"]) for one in servers] == [("source", "postgres"), ("storage", "s3")]
    assert servers[1]["location"] == "s3://lake/orders.parquet"


def test_the_words_of_the_standard() -> None:
    @ad.feature_view(
        source=ad.FileSource.csv_at("sales.csv", mapping_keys={"Order": "order_id"}),
        materialized_source=ad.FileSource.partitioned_parquet_at("sales", partition_keys=["shop"]),
        acceptable_freshness=dt.timedelta(hours=1),
        contacts=["ann@example.com"],
        tags=["gold"],
    )
    class Sales:
        """Every sale."""

        order_id = ad.Int32().as_entity().with_tag("classification:internal")
        shop = ad.String().accepted_values(["oslo", "rome"])
        at = ad.EventTimestamp()
        amount = ad.Decimal(9, 2).lower_bound(0, on_violation="warn")
        code = ad.String().is_optional().validate_regex("^[A-Z]+$").max_length(9).is_unique()
        weekday = at.weekday()

    form = Sales.to_odcs()
    assert problems(form) == []
    assert (form["id"], form["version"], form["status"]) == ("sales", Sales.version, "active")
    assert form["description"] == {"purpose": "Every sale."}
    assert form["team"]["members"] == [{"username": "ann@example.com"}]
    assert (form["slaProperties"][0]["property"], form["slaProperties"][0]["value"]) == ("latency", 3600)
    order_id, shop, at, amount, code, weekday = form["schema"][0]["properties"]
    assert (order_id["primaryKey"], order_id["primaryKeyPosition"], order_id["physicalName"]) == (
        True,
        1,
        "Order",
    )
    assert (order_id["classification"], order_id["required"]) == ("internal", True)
    assert order_id["logicalTypeOptions"] == {"format": "i32"}
    assert (shop["partitioned"], shop["enum"]) == (True, [{"value": "oslo"}, {"value": "rome"}])
    assert at["customProperties"] == [{"property": "role", "value": "event_timestamp"}]
    assert (amount["logicalTypeOptions"], amount["quality"][0]["severity"]) == ({"minimum": 0}, "warn")
    assert code["logicalTypeOptions"] == {"pattern": "^[A-Z]+$", "maxLength": 9} and code["unique"] is True
    assert (weekday["transformLogic"], weekday["transformSourceObjects"]) == (
        "at.weekday()",
        ["sales.csv.at"],
    )


def test_a_view_of_a_view_and_a_reference_come_back_together() -> None:
    @ad.feature_view(source=ad.FileSource.csv_at("shops.csv"))
    class Shops:
        shop = ad.String().as_entity()

    @ad.feature_view(source=Shops)
    class Copies:
        shop = ad.String().as_entity().reference_to(Shops().shop, on_violation="warn")

    forms = [Copies.to_odcs(), Shops.to_odcs()]
    again = compiled(contracts_from_odcs(to_yaml(forms)))
    assert [again["copies"].to_odcs(), again["shops"].to_odcs()] == forms
    alone = contracts_from_odcs(to_yaml(forms[:1]))
    assert "source: shops" in alone and "copies" in compiled(alone)


# --- contracts of others ---------------------------------------------------------------------------------


def test_orders() -> None:
    _, views = imported("orders.odcs.yaml")
    orders, lines = views["orders"], views["order_lines"]
    assert types(orders) == {
        "order_id": "int64",
        "ordered_at": "timestamp(us,UTC)",
        "status": "string",
        "total": "decimal(12,2)",
        "coupon": "string",
        "customer_id": "int32",
    }
    assert orders.source == ad.PostgreSQLConfig("PRODUCTION_DB_URL").table("orders_v1", schema="sales")
    assert (orders.description, orders.tags) == ("One row for each order.", ("sales", "gold", "orders"))
    assert orders.contacts == ("ann@shop.example", "bob@shop.example")
    assert orders.acceptable_freshness == dt.timedelta(hours=4)
    assert rules(orders, "status") >= {"status must be one of 'new', 'paid', 'shipped'"}
    assert rules(orders, "total") >= {"total must be at least 0", "total must be less than 100000"}
    assert [rule.kind for rule in orders.schema.column("coupon").constraints] == [
        "max_length",
        "regex",
        "unique",
    ]
    assert (lines.schema.entities, types(lines)["class_"]) == (("order_id", "line"), "string")


def test_customers() -> None:
    _, views = imported("customers.odcs.yaml")
    customers = views["customers"]
    assert types(customers) == {
        "id": "uuid",
        "address": "struct(street:string,geo:struct(lat:float64,lon:float64))",
        "emails": "list(string)",
        "visits": "list(struct(at:timestamp(us,Europe/Oslo),pages:uint16))",
        "extra": "json",
        "signed_up": "timestamp(us,UTC)",
        "name_length": "int64",
    }
    assert customers.source.uri == "s3://shop-lake/customers/customers.parquet"


def test_physical_types_alone() -> None:
    _, views = imported("physical_only.odcs.yaml")
    [stock] = views.values()
    assert list(types(stock).values()) == [
        "string", "decimal(9,0)", "float64", "timestamp(us,)", "bool", "string", "json", "string", "int16",
        "time", "duration", "uuid",
    ]  # fmt: skip


def test_maps_vectors_and_references() -> None:
    _, views = imported("modern.odcs.yaml")
    products, reviews = views["products"], views["reviews"]
    assert types(products)["embedding"] == "embedding(3,float32)"
    assert types(products)["attributes"] == "json"
    assert products.schema.column("price").nullable is False
    assert reviews.references() == {"products"}
    assert products.source == ad.FileSource.csv_at("./data/products.csv")


@pytest.mark.parametrize("name", sorted(file.name for file in FOREIGN.glob("*.yaml")))
def test_nothing_is_lost_without_a_word(name: str) -> None:
    """Each text and number of the document stands in the Python text, in a comment if nowhere else."""
    text, _ = imported(name)
    flat = "".join(text.replace("#", "").split())
    known = {"string", "integer", "number", "object", "array", "date", "timestamp", "boolean", "time", "map"}
    known |= {
        "vector",
        "library",
        "invalidValues",
        "Etc/UTC",
        "local",
        "s3",
        "postgres",
        "csv",
        "parquet",
        "table",
    }
    known |= {
        "active",
        "orders.ordered at",
        "latency",
        "h",
        "nullValues",
        "ordered at",
        "order-lines",
        "sales",
    }
    known |= {
        "production",
        "lake",
        "local",
        "s3://shop-lake/customers/customers.parquet",
        "uuid",
        "u16",
        "i32",
    }
    known |= {
        "f32",
        "float32",
        "8",
        "08:00:00",
        "2020-01-01",
        "2020-01-01T00:00:00Z",
        "[crm.customers]",
        "crm.customers",
    }
    known |= {
        "v3.0.0",
        "v3.0.2",
        "v3.1.0",
        "v3.2.0",
        "DataContract",
        "products.sku",
        "conformity",
        "name_length",
    }
    known |= {"class", "2nd", "STOCK LEVELS 2024", "4", "bigint", "timestamptz", "text"}
    physical = {
        "NUMBER(9, 0)",
        "DOUBLE PRECISION",
        "TIMESTAMP WITHOUT TIME ZONE",
        "jsonb",
        "smallint",
        "interval",
    }
    known |= physical | {"uniqueidentifier", "decimal(12,2)", "^[A-Z]{4}\\d{2}$", "boolean"}

    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [leaf for inner in value.values() for leaf in leaves(inner)]
        if isinstance(value, list):
            return [leaf for inner in value for leaf in leaves(inner)]
        return [] if isinstance(value, bool) else [str(value)]

    loaded = yaml.load((FOREIGN / name).read_text(), yaml.BaseLoader)
    told = [leaf for leaf in leaves(loaded) if leaf not in known | {"true", "false"}]
    assert [leaf for leaf in told if "".join(leaf.replace("#", "").split()) not in flat] == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "is empty"),
        ("a: [", "is no YAML"),
        ("a: 1\na: 2", "the key 'a' stands twice"),
        ("[1]", "kind: DataContract"),
        ("kind: DataContract\napiVersion: v2.2.2", "versions v3.0 to v3.2 are read"),
        (LEAST, "schema is missing or empty"),
        (f"{LEAST}schema: 1", "schema must be a list of mappings, not 1"),
        (f"{LEAST}schema: [{{name: a}}]", r"schema\[0\].properties is missing"),
        (f"{LEAST}schema: [{{properties: [{{name: a}}]}}]", r"schema\[0\].name is missing"),
        (f"{LEAST}schema: [{{name: a, properties: [{{}}]}}]", r"schema\[0\].properties\[0\].name is missing"),
        (
            f"{LEAST}schema: [{{name: a, properties: [{{name: b, logicalType: money}}]}}]",
            r"properties\[0\].logicalType is 'money'",
        ),
        (
            f"{LEAST}schema: [{{name: a, properties: [{{name: b, required: 'yes'}}]}}]",
            r"properties\[0\].required must be true or false, not 'yes'",
        ),
        (
            f"{LEAST}schema: [{{name: a, properties: [{{name: b, logicalType: date, "
            "logicalTypeOptions: {minimum: soon}}]}]",
            r"properties\[0\].logicalTypeOptions.minimum is 'soon', which is no date",
        ),
        (
            f"{LEAST}schema: [{{name: a, properties: [{{name: b, logicalType: integer, "
            "logicalTypeOptions: {minimum: 9, maximum: 1}}]}]",
            r"schema\[0\]: .*Are the two swapped",
        ),
        (
            f"{LEAST}schema: [{{name: a, properties: [{{name: b}}, {{name: b}}]}}]",
            r"schema\[0\].properties names 'b' twice",
        ),
    ],
)
def test_errors_name_the_path(document: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        contracts_from_odcs(document, "orders.yaml")


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    bad = '"""\nimport os; os.mkdir("bad")\n# \u2028import os\r\x00\\'
    form = {
        "apiVersion": "v3.2.0", "kind": "DataContract", "id": bad, "name": bad, "version": bad, "status": bad,
        "description": {"purpose": bad, bad.replace("\x00", ""): 1},
        "tags": [bad],
        "servers": [{"server": bad, "type": "local", "path": bad, "format": "csv"}],
        "schema": [{"name": bad, "properties": [
            {"name": bad, "logicalType": "string", "description": bad, "enum": [{"value": bad}], bad: bad},
            {"name": "d", "transformLogic": bad, "customProperties": [
                {"property": "derivation", "value": {"nodes": [
                    {"column": "x; os"}, {"call": "__class__", "args": [{"node": 0}]},
                ]}},
            ]},
        ]}],
    }  # fmt: skip
    text = contracts_from_odcs(json.dumps(form), bad)
    (tmp_path / "skeleton.py").write_text(text, "utf-8")
    subprocess.run(
        [sys.executable, "skeleton.py"], cwd=tmp_path, check=True, env={"PYTHONPATH": str(Path.cwd())}
    )
    assert [file.name for file in tmp_path.iterdir()] == ["skeleton.py"]
    [view] = compiled(text).values()
    assert view.description == bad.strip() or view.description == bad


def test_a_function_is_not_imported_from_a_document() -> None:
    form = ad.feature_view(source=ad.FileSource.csv_at("a.csv"))(
        type("A", (), {"id": ad.Int64().as_entity()})
    ).to_odcs()
    form["servers"][0]["customProperties"][0]["value"] = {"type": "custom", "all_data": "os:getcwd"}
    text = contracts_from_odcs(to_yaml([form]))
    assert "os:getcwd" not in text.partition("from __future__")[2].partition("class")[0].replace("# ", "")
    assert "a.csv" in text
