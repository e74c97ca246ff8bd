"""Mistakes in a project: its settings, its files, and the command line."""

from __future__ import annotations

from tests.mistakes.mistake import IMPORTS, SALES, Mistake

SETTINGS = '[tool.aligned_dagster]\ncontracts = "contracts.py"\n'
VIEW = """
        @feature_view(
            source=FileSource.csv_at("sales.csv"),
            materialized_source=FileSource.parquet_at("sales.parquet"),
        )
        class Sales:
            order_id = Int64().as_entity()
            amount = Float()
"""
PROJECT = {"pyproject.toml": SETTINGS, "sales.csv": SALES}
READS_THE_OTHER = """\
{0}
from shop_{1} import {2}


@feature_view(source={2})
class {3}:
    order_id = Int64().as_entity()
"""

PROJECTS = (
    Mistake(
        "A directory that is no project",
        VIEW,
        "",
        ("pyproject.toml", "[tool.aligned_dagster]", 'contracts = "contracts/*.py"'),
        command=("list",),
    ),
    Mistake(
        "A typo in the settings",
        VIEW,
        "",
        ("[tool.aligned_dagster]", "/pyproject.toml", "'contract'", "Did you mean 'contracts'?"),
        files={"pyproject.toml": SETTINGS.replace("contracts =", "contract =")},
        command=("list",),
    ),
    Mistake(
        "Settings that name no file",
        VIEW,
        "",
        ("contracts = 'contrats.py'", "/pyproject.toml", "relative to that file"),
        files={"pyproject.toml": SETTINGS.replace("contracts.py", "contrats.py")},
        command=("list",),
    ),
    Mistake(
        "A file without contracts",
        """
        class Sales:
            order_id = Int64().as_entity()
        """,
        "",
        ("no contract", "@feature_view(source=...)", "[tool.aligned_dagster]"),
        files=PROJECT,
        command=("materialize",),
    ),
    Mistake(
        "A contract that is called otherwise",
        VIEW,
        "",
        ("'sale'", "Did you mean 'sales'?", "Contracts: sales"),
        files=PROJECT,
        command=("query", "sale"),
    ),
    Mistake(
        "A command that is called otherwise",
        VIEW,
        "",
        ("'materialise'", "Did you mean 'materialize'?"),
        files=PROJECT,
        command=("materialise",),
    ),
    Mistake(
        "Two contracts of one name",
        VIEW + "\n\n        ContractStore.discover('*.py')\n",
        "DuplicateNameError",
        ("'sales'", "contracts.py:", "more.py:4", "@feature_view(name=...)"),
        files={
            "more.py": f'{IMPORTS}\n\n\n@feature_view(source=FileSource.csv_at("sales.csv"))\nclass Sales:\n'
            "    order_id = Int64().as_entity()\n"
        },
    ),
    Mistake(
        "A name that is not imported",
        """
        ContractStore.discover("shops.py")
        """,
        "ContractImportError",
        ("/shops.py:6", "NameError", "'Flaot'", "Did you mean 'Float'?"),
        files={
            "shops.py": f"{IMPORTS}\n\n@feature_view(source=FileSource.csv_at('shops.csv'))\nclass Shops:\n"
            "    shop = String().as_entity()\n    revenue = Flaot()\n"
        },
        needs_cause=True,
    ),
    Mistake(
        "A package that is not installed",
        """
        ContractStore.discover("shops.py")
        """,
        "ContractImportError",
        ("/shops.py:1", "'pandaz'", "Install it"),
        files={"shops.py": "import pandaz\n"},
        needs_cause=True,
    ),
    Mistake(
        "Two files that read each other",
        """
        ContractStore.discover("shop_*.py")
        """,
        "ContractImportError",
        ("/shop_a.py:", "circular import", "a third file"),
        files={
            "shop_a.py": READS_THE_OTHER.format(IMPORTS, "b", "B", "A"),
            "shop_b.py": READS_THE_OTHER.format(IMPORTS, "a", "A", "B"),
        },
        needs_cause=True,
    ),
    Mistake(
        "A cron expression that is none",
        VIEW.replace("materialized_source=", 'schedule="every day",\n            materialized_source=')
        + """

        from aligned_dagster.orchestration import build_definitions

        build_definitions(ContractStore([Sales]))
        """,
        "ContractError",
        ("'sales'", "'every day'", "five fields", "'0 6 * * *'", "contracts.py:3"),
        files=PROJECT,
    ),
)
