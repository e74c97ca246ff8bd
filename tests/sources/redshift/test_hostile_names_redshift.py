"""Whatever a table, its columns, its contract and its values are called, in Redshift and on both roads to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from aligned_dagster import RedshiftSQLConfig

from ..sql.hostile_names import Names, hostile_names, some, stay_names


@pytest.mark.parametrize("road", ["warehouse", "staging"])
@settings(some, max_examples=15)
@given(names=hostile_names)
def test_names_stay_names(request: pytest.FixtureRequest, road: str, names: Names) -> None:
    config: RedshiftSQLConfig = request.getfixturevalue(road)
    stay_names(config, names, config.table)
