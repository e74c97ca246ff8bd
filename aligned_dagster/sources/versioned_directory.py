"""A directory of schema versions, and the constructors of the sources in it."""

from __future__ import annotations

import os

from pydantic import ConfigDict

from aligned_dagster.sources.constructors import Constructors, PathText
from aligned_dagster.sources.local_location import LocalLocation
from aligned_dagster.sources.locations import AnyLocation
from aligned_dagster.sources.schema_versioned import SchemaVersionedSource
from aligned_dagster.sources.settings import Settings
from aligned_dagster.sources.stored_versions import VersionedFile


class VersionedDirectory(Settings, Constructors[SchemaVersionedSource, SchemaVersionedSource]):
    """A directory with a directory for every schema version: the same constructors, below each of them.

    Args:
        location: where it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: AnyLocation

    def at(self, path: PathText) -> LocalLocation:
        """The path below the directory of each version, wherever that is."""
        return LocalLocation(path=os.fspath(path))

    def _file(self, source: VersionedFile) -> SchemaVersionedSource:
        return SchemaVersionedSource(location=self.location, file=source)

    def _tree(self, source: VersionedFile) -> SchemaVersionedSource:
        return self._file(source)
