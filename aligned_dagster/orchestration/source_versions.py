"""The data version of a raw source or a model: that of its content, which is read only when it may have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from aligned_dagster.sources.exposed.base import ExposedModel
    from aligned_dagster.sources.fingerprint import Fingerprint
    from aligned_dagster.sources.source import DataSource

DATA_VERSION_TAG = "dagster/data_version"
RECORDED = "version"
"""Metadata of an observation that has no data version, as that would have started what is downstream."""
_STATE = "state"


@dataclass(frozen=True)
class SourceVersion:
    """A source as it is now.

    Args:
        uri: its address.
        version: its data version. Two states with the same bytes have one version.
        found: its fingerprint.
        is_recorded: whether Dagster's last observation has this version.
    """

    uri: str
    version: str
    found: Fingerprint
    is_recorded: bool

    @property
    def metadata(self) -> dict[str, Any]:
        """What an observation tells; unknown figures are left out."""
        told: dict[str, Any] = {"dagster/uri": self.uri, _STATE: self.found.data_version}
        if self.found.rows is not None:
            told["dagster/row_count"] = self.found.rows
        if self.found.bytes is not None:
            told["dagster/size_bytes"] = self.found.bytes
        if self.found.modified is not None:
            told["modified"] = dg.MetadataValue.timestamp(self.found.modified)
        return told

    def observation(self, key: dg.AssetKey) -> dg.AssetObservation:
        """The event that records this version."""
        return dg.AssetObservation(key, metadata=self.metadata, tags={DATA_VERSION_TAG: self.version})


def source_version(
    source: DataSource | ExposedModel,
    key: dg.AssetKey,
    instance: dg.DagsterInstance,
    limit: int,
    before: SourceVersion | None = None,
) -> SourceVersion:
    """The version of a source, compared with the last observation of its asset.

    If its fingerprint is the one that was observed last, nothing is read. Otherwise its bytes decide, as a file that is
    written again with the same content is the same data.

    Args:
        source: what is looked at.
        key: its asset.
        instance: knows the observations.
        limit: the most bytes that are read; of more data the fingerprint decides.
        before: what was found last, if that is known: bytes that were read then are not read again.

    Raises:
        SourceError: the source is not there.
    """
    found = source.fingerprint()
    records = instance.fetch_observations(key, limit=1).records
    last = records[0].asset_observation if records else None
    recorded = None if last is None else _recorded(last)
    state = None if last is None else last.metadata.get(_STATE)
    if recorded is not None and state is not None and state.value == found.data_version:
        return SourceVersion(source.uri, recorded, found, is_recorded=True)
    if before is not None and before.found.data_version == found.data_version:
        version = before.version
    else:
        version = source.content(limit) or found.data_version
    return SourceVersion(source.uri, version, found, is_recorded=version == recorded)


def _recorded(last: dg.AssetObservation) -> str | None:
    told = last.metadata.get(RECORDED)
    return (last.tags or {}).get(DATA_VERSION_TAG) or (None if told is None else str(told.value))
