"""What is often changed about how contracts look in Dagster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aligned_dagster.orchestration.observation_intervals import Every


@dataclass(frozen=True)
class TranslatorSettings:
    """What is often changed without a subclass.

    Args:
        key_prefix: first parts of the asset key of every contract.
        source_prefix: first parts of the asset key of every raw source.
        model_prefix: first parts of the asset key of every model that predicts for a contract.
        group_name: the group of the contracts.
        source_group_name: the group of the raw sources.
        model_group_name: the group of the models.
        io_manager_key: the resource that reads the rows of all contracts; if not given, one for each kind of storage.
        preview_rows: rows shown with a materialisation; 0 shows none.
        max_statistics: the most figures of columns that are recorded with a materialisation, to be plotted
            over time.
        definition_lineage: whether column lineage is part of the definitions too. Schemas and lineage cost
            some 15 s at 5,000 contracts of 20 columns; runs record them in any case.
        max_broken_partitions: the most partitions that a broken check names, those with the most broken rows
            first.
        features_report: whether a materialisation of a model contract tells how well the features were found, for which
            they are joined once more.
        max_drift_rows: the most rows on either side in which drift is looked for; of more every n-th is taken.
        quarantine_days: how long rows that were kept aside are kept; a materialisation drops older ones of its contract.
            None keeps them.
        content_limit: the most bytes of a local raw source that are read to tell whether its content changed, which is
            done when its size or time of change did; of a larger one those decide. Object stores tell it by themselves.
        automation_running: whether schedules, the sensor that evaluates `automation`, and the one that observes sources are
            on from the start. Somebody turns them on in the UI otherwise.
        observe_every: how often raw sources and observed models are looked at: asset key or glob to seconds, a span of time,
            or False for never. "default" is for all others, 300 if it is not given.
    """

    key_prefix: tuple[str, ...] = ()
    source_prefix: tuple[str, ...] = ("raw",)
    model_prefix: tuple[str, ...] = ("models",)
    group_name: str = "contracts"
    source_group_name: str = "sources"
    model_group_name: str = "models"
    io_manager_key: str | None = None
    preview_rows: int = 5
    max_statistics: int = 48
    definition_lineage: bool = True
    max_broken_partitions: int = 100
    features_report: bool = True
    max_drift_rows: int = 1_000_000
    quarantine_days: float | None = None
    content_limit: int = 1 << 30
    automation_running: bool = False
    observe_every: Mapping[str, Every] = field(default_factory=dict)
