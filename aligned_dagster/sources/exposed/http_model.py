"""A web service that takes rows as JSON and answers with rows.

A batch is one POST, with as many rows as the batch has:

    {"columns": ["age", "sex"], "rows": [[40.0, "male"], [2.0, null]], "outputs": ["survived"]}

`outputs` names the columns that the contract asks for. The answer has status 200 and one row a row, in their order:

    {"columns": ["survived"], "rows": [[0], [1]], "version": "2024-05"}

`version` may be left out; it fills the contract's model version column. 408, 425, 429, 502, 503 and 504 say "not now": the
batch is sent again, after `Retry-After` seconds where the service tells. Any other status ends the prediction with what
the service said. See `json_rows` for how values are written.
"""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from aligned_dagster.errors import UnreadableSourceError
from aligned_dagster.sources.exposed.answers import plain_series
from aligned_dagster.sources.exposed.base import ExposedModel, Outputs
from aligned_dagster.sources.exposed.json_rows import json_rows
from aligned_dagster.sources.exposed.web_service import WebServiceModel

_EXPECTED = '{"columns": [...], "rows": [[...], ...]}, a list of as many values as columns for each row'


class HttpModel(WebServiceModel):
    """A web service that takes rows as JSON. Make it with `ExposedModel.http`."""

    type: Literal["http"] = "http"

    __hash__ = ExposedModel.__hash__

    @property
    def kind(self) -> str:
        """http."""
        return "http"

    def _question(self, features: pl.DataFrame, outputs: Outputs) -> Any:
        return {
            "columns": features.columns,
            "rows": json_rows(features, self.label),
            "outputs": list(outputs.asked),
        }

    def _read(self, answer: Any, outputs: Outputs) -> pl.DataFrame:
        columns, rows = (
            (answer.get("columns"), answer.get("rows")) if isinstance(answer, dict) else (None, None)
        )
        if not (
            isinstance(columns, list)
            and all(isinstance(name, str) for name in columns)
            and len(set(columns)) == len(columns)
            and isinstance(rows, list)
            and all(isinstance(row, list) and len(row) == len(columns) for row in rows)
        ):
            raise self._strange(answer, _EXPECTED)
        found = {}
        for place, name in enumerate(columns):
            if name in (*outputs.asked, outputs.version):
                found[name] = self._column(name, [row[place] for row in rows])
        version = answer.get("version")
        if version is not None and outputs.version is not None and outputs.version not in found:
            found[outputs.version] = pl.Series([str(version)] * len(rows), dtype=pl.String)
        return pl.DataFrame(found) if found else pl.DataFrame(height=len(rows))

    def _column(self, name: str, values: list[Any]) -> pl.Series:
        try:
            return plain_series(values)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            raise UnreadableSourceError(
                f"{self.uri} answered with a column {name!r} that is none: {error}."
            ) from error
