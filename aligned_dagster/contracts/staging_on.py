"""Rows that an engine computes, keeps in files beside the target, audits there, and hands over to be published."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.engines import TITLES
from aligned_dagster.contracts.reading_on import Reader
from aligned_dagster.errors import ConfigurationError, PublishError
from aligned_dagster.features.constraints import Reference
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.quality.audit import Split, broken_rules_column
from aligned_dagster.quality.audit_on import audit_on, split_on
from aligned_dagster.sources import publishing
from aligned_dagster.sources.engines.session import (
    SPOOL,
    EngineSession,
    SessionName,
    StagedFiles,
    Types,
    engine_session,
)
from aligned_dagster.sources.engines.spark_config import SparkConfig
from aligned_dagster.sources.local_location import LocalLocation

if TYPE_CHECKING:
    import narwhals as nw

    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.quality.report import AuditReport
    from aligned_dagster.request.partition import PartitionSlice


@dataclass(frozen=True)
class RowsOn:
    """The rows of a contract on an engine.

    Args:
        view: the contract.
        reader: reads what it refers to on the engine.
        rows: the rows, computed when they are asked for.
        place: of their files.
        references: rows of the views that references point to, where they are at hand.
    """

    view: FeatureView[Any]
    reader: Reader
    rows: nw.LazyFrame[Any]
    place: _Place
    references: Mapping[str, pl.LazyFrame] = field(default_factory=dict)

    @property
    def engine(self) -> SessionName:
        """The engine that holds them."""
        return self.reader.session.name

    @cached_property
    def staged(self) -> StagedFiles:
        """The rows in files of the engine; they are computed once."""
        return self._stage(self.rows, _types(self.view), "rows")

    def frame(self) -> pl.LazyFrame:
        """The rows for polars, from the files."""
        return self.staged.scan()

    def audit(self) -> AuditReport:
        """Check every promise of the contract, on the engine: of the files where there are some, else of the rows."""
        view, session = self.view, self.reader.session
        rows = self.rows if view.is_virtual else self.staged.read()
        with session.explained(view.name):
            return audit_on(
                rows,
                view.stored_request.schema,
                contract=view.name,
                engine=self.engine,
                on_violation=view.on_violation,
                references=self._references(),
            )

    def split(self, report: AuditReport) -> Split:
        """The rows that break what the audit found broken, and the others, each in files of the engine."""
        view, types = self.view, _types(self.view)
        with self.reader.session.explained(view.name):
            parts = split_on(
                self.staged.read(),
                view.stored_request.schema,
                engine=self.engine,
                contract=view.name,
                on_violation=view.on_violation,
                references=self._references(),
                include_blocking=bool(report.blocking),
                checks=[outcome.name for outcome in (*report.blocking, *report.quarantined)],
            )
        names = broken_rules_column(types)
        bad = self._stage(parts.bad, {**types, names: DataType.from_text("list(string)")}, "bad")
        return Split(self._stage(parts.good, types, "good").scan(), bad.scan())

    def _references(self) -> dict[str, nw.LazyFrame[Any]]:
        """The rows of every view that a reference points to, on the engine."""
        reader = self.reader
        found = {}
        for name in sorted(self.view.references() - {self.view.name}):
            view = self.view.upstream_views[name]
            at_hand = {**reader.frames, **self.references}
            found[name] = Reader(reader.session, at_hand).read(view, self._referred(name))
        return found

    def _referred(self, name: str) -> list[str]:
        rules = (rule for column in self.view.schema.columns for rule in column.constraints)
        return list(dict.fromkeys(r.column for r in rules if isinstance(r, Reference) and r.view == name))

    def _stage(self, rows: nw.LazyFrame[Any], types: Types, name: str) -> StagedFiles:
        return self.reader.session.stage(rows, types, self.place.directory / name, contract=self.view.name)


@contextmanager
def rows_on(
    view: FeatureView[Any],
    engine: SessionName,
    *,
    frames: Mapping[str, pl.LazyFrame] | None = None,
    part: PartitionSlice | None = None,
    references: Mapping[str, pl.LazyFrame] | None = None,
) -> Iterator[RowsOn]:
    """The rows of a contract on an engine; their files are gone after the block.

    Args:
        view: the contract.
        engine: which one.
        frames: rows of upstream views that are at hand, by name; what is stored is read by the engine otherwise.
        part: the partitions to compute; everything if not given.
        references: rows of the views that references point to, where they are at hand.

    Raises:
        ConfigurationError: the engine is not installed or cannot be reached.
        SourceError: a source cannot be read.
    """
    if (
        engine == "spark"
        and not view.is_virtual
        and not (view.spark or SparkConfig.from_environment()).is_local
    ):
        _need_spool(view)  # before Spark is started
    session = engine_session(engine, view.spark)
    place = _Place(view, session)
    try:
        reader = Reader(session, frames or {})
        with session.holding(lambda: place.directory):
            yield RowsOn(view, reader, reader.compute(view, part=part), place, references or {})
    finally:
        place.remove()


def _types(view: FeatureView[Any]) -> Types:
    return {column.name: column.dtype for column in view.schema.columns}


@dataclass(frozen=True)
class _Place:
    """Where the files of rows on their way are.

    Args:
        view: whose rows they are.
        session: the engine.
    """

    view: FeatureView[Any]
    session: EngineSession

    @cached_property
    def directory(self) -> Path:
        """A new directory: in the named one, or beside local files, or in that of temporary files.

        Where no other machine must see it, it is this user's alone.

        Raises:
            ConfigurationError: the engine runs on other machines too, and no directory is named.
            PublishError: it cannot be made.
        """
        base = os.environ.get(SPOOL) if self.session.is_local else _need_spool(self.view)
        location = getattr(self.view.materialized_source, "location", None)
        if base is None and isinstance(location, LocalLocation):
            place = location.resolved()
            place = place.with_name(f"{place.name}.rows")
        else:
            place = Path(base or tempfile.gettempdir()) / f"aligned_dagster.{self.view.name}.rows"
        try:
            made = publishing.new_staging(place)
            if self.session.is_local:
                made.chmod(0o700)
        except OSError as error:
            raise PublishError(
                f"{TITLES[self.session.name]} has no place to put the rows of {self.view.name!r}: {error}. Name a directory "
                f"that can be written, and that every executor sees, by the environment variable {SPOOL}."
            ) from error
        return made

    def remove(self) -> None:
        """Remove the files, if there are any."""
        made: Path | None = self.__dict__.get("directory")
        if made is not None:
            publishing.remove(made)


def _need_spool(view: FeatureView[Any]) -> str:
    base = os.environ.get(SPOOL)
    if base is None:
        raise ConfigurationError(
            f"Spark runs on other machines too, and the rows of {view.name!r} need a directory that each of them sees on "
            f"their way to {view.storage.uri}. Name it by the environment variable {SPOOL}."
        )
    return base
