"""A lazy frame with a contract: rows that were asked for and that nobody has read yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from aligned_dagster.errors import RequestError
from aligned_dagster.features.constraints import OnViolation
from aligned_dagster.features.schema import Schema
from aligned_dagster.quality.audit import audit
from aligned_dagster.quality.report import AuditReport
from aligned_dagster.request.explain import explained
from aligned_dagster.request.progress import progress
from aligned_dagster.request.waiting import awaited

if TYPE_CHECKING:
    import pandas as pd

Engine = Literal["auto", "in-memory", "streaming"]


@dataclass(frozen=True, repr=False)
class Rows:
    """Rows of a contract, to be read in one of the usual forms.

    Args:
        name: the contract, for messages.
        schema: the columns that `load` delivers, and what they promise.
        load: makes the lazy frame.
        references: makes the frames of the views that the schema's references name, for audits.
        on_violation: what a broken rule does that says nothing itself.
    """

    name: str
    schema: Schema
    load: Callable[[], pl.LazyFrame]
    references: Callable[[], Mapping[str, pl.LazyFrame]] | None = None
    on_violation: OnViolation = "block"

    def lazy(self) -> pl.LazyFrame:
        """The rows as a lazy frame."""
        with explained(self.name):
            return self.load()

    def collect(self, engine: Engine = "streaming") -> pl.DataFrame:
        """The rows as a polars frame.

        Args:
            engine: polars' engine; "streaming" needs the least memory.

        Raises:
            SourceError: a source cannot be read, or a value does not fit its dtype.
        """
        with progress(f"reading {self.name}"), explained(self.name):
            return self.load().collect(engine=engine)

    def collect_pandas(self) -> pd.DataFrame:
        """The rows as a pandas frame.

        Raises:
            RequestError: pandas or pyarrow is not installed.
        """
        try:
            import pandas  # noqa: F401  # is it there?
            import pyarrow  # noqa: F401  # is it there?
        except ImportError as error:
            raise RequestError(
                f"pandas frames need {error.name}, which is not installed: "
                "pip install 'aligned-dagster[pandas]'."
            ) from error
        return self.collect().to_pandas()

    @awaited(".collect()")
    async def to_polars(self) -> pl.DataFrame:
        """`collect`, to be awaited."""
        import asyncio

        return await asyncio.to_thread(self.collect)

    @awaited(".lazy()")
    async def to_lazy_polars(self) -> pl.LazyFrame:
        """`lazy`, to be awaited."""
        import asyncio

        return await asyncio.to_thread(self.lazy)

    @awaited(".collect_pandas()")
    async def to_pandas(self) -> pd.DataFrame:
        """`collect_pandas`, to be awaited."""
        import asyncio

        return await asyncio.to_thread(self.collect_pandas)

    def describe(self) -> pl.DataFrame:
        """Counts, nulls, extremes and quartiles of every column."""
        with progress(f"describing {self.name}"), explained(self.name):
            return self.load().describe()

    def audit(self) -> AuditReport:
        """Check the rows against every promise of the contract; nothing is raised for broken ones."""
        with progress(f"auditing {self.name}"), explained(self.name):
            return self._audit(self.load())

    def _audit(self, frame: pl.LazyFrame) -> AuditReport:
        return audit(
            frame,
            self.schema,
            contract=self.name,
            on_violation=self.on_violation,
            references=self._known(),
        )

    def _known(self) -> Mapping[str, pl.LazyFrame]:
        return self.references() if self.references is not None else {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {', '.join(self.schema.names)}; nothing is read yet>"

    def _repr_html_(self) -> str:
        from aligned_dagster.features.html import bold, code, line, muted, page
        from aligned_dagster.features.schema_html import schema_table

        asked = line("The rows:", code("await job.to_polars()"), "or", code("job.collect()"))
        title = line(bold(self.name), muted(f"{type(self).__name__}; nothing is read yet"))
        return page(title, asked, schema_table(self.schema))
