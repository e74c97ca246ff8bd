"""What contracts and stores of contracts show of themselves in a notebook. Nothing is read for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aligned_dagster.contracts.feature_view import title_of
from aligned_dagster.contracts.freshness import Freshness, FreshnessStatus
from aligned_dagster.contracts.lineage_drawing import LineageDrawing, drawing_of, short
from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.contracts.view_source import FilterSource
from aligned_dagster.features.durations import in_words
from aligned_dagster.features.html import (
    Html,
    Look,
    Part,
    bold,
    code,
    folded,
    joined,
    line,
    marked,
    muted,
    page,
    table,
    whole,
)
from aligned_dagster.features.schema_html import schema_table

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.publish import Publication
    from aligned_dagster.contracts.store import ContractStore

MOST_DRAWN = 60
"""Boxes of a drawing that is shown unasked; `plot_lineage()` draws any number."""
_LOOKS: dict[FreshnessStatus, Look] = {"fresh": "good", "warn": "look", "stale": "bad", "unknown": "plain"}


def contract_page(view: FeatureView[Any]) -> str:
    """A contract: what it is, whence its rows are, its columns, and a drawing of what it reads.

    Args:
        view: of any kind.
    """
    facts = [(name, value) for name, value in _facts(view) if value]
    told = joined(line(muted(f"{name}:"), value) for name, value in facts)
    parts: list[Part] = [
        line(bold(title_of(view)), muted(_kind(view))),
        line(view.description) if view.description else "",
        told,
    ]
    parts.append(schema_table(view.schema))
    if view.upstream_views:
        parts.append(_drawn(drawing_of([view]), "what it reads"))
    return page(*parts)


def store_page(store: ContractStore) -> str:
    """A store: its contracts, and how they hang together.

    Args:
        store: of any number of contracts.
    """
    views = list(store.views.values())
    number = f"{len(views):,} contract{'' if len(views) == 1 else 's'}"
    if not views:
        return page(line(bold("contract store"), muted("empty; add contracts by store.add(View)")))
    rows = [
        [
            bold(view.name),
            whole(_kind(view)),
            len(view.schema.columns),
            _from(view, short),
            _kept(view),
            view.description,
        ]
        for view in views
    ]
    head = ["contract", "kind", "columns", "rows from", "kept in", "description"]
    return page(
        line(bold("contract store"), muted(number)),
        table(head, rows, ["columns"]),
        _drawn(drawing_of(views), "lineage"),
    )


def publication_page(found: Publication) -> str:
    """What was published, where, and how its audit went; rows that are not counted yet are not counted for this.

    Args:
        found: what `publish` gives.
    """
    number = f"{found.counted:,} rows" if isinstance(found.counted, int) else "rows"
    done = "published" if found.published is not None else "audited; of a virtual view nothing is stored"
    place = [muted("in"), code(found.uri)] if found.published is not None else []
    parts = [line(bold(done), number, *place)]
    if found.quarantine is not None:
        parts.append(line(marked("rows that broke a rule are in", "look"), code(found.quarantine)))
    return page(*parts, Html(found.report._repr_html_()))


def freshness_part(found: Freshness) -> Html:
    """How fresh a contract is, in a colour, a word and a sentence."""
    return joined([marked(found.status, _LOOKS[found.status]), found.words], "  ")


def freshness_page(found: Freshness) -> str:
    """How fresh one contract is."""
    return page(line(freshness_part(found)))


def freshness_table(found: Mapping[str, Freshness]) -> str:
    """How fresh contracts are.

    Args:
        found: name of a contract to its freshness.
    """
    rows = [[bold(name), marked(one.status, _LOOKS[one.status]), one.words] for name, one in found.items()]
    return page(table(["contract", "freshness", ""], rows))


def _drawn(drawing: LineageDrawing, words: str) -> Html:
    if len(drawing.nodes) > MOST_DRAWN:
        boxes = f"{len(drawing.nodes)} boxes are too many to be drawn here:"
        return line(muted(boxes), code("plot_lineage()"), muted("draws them."))
    return folded(words, Html(drawing._repr_html_()), is_open=True)


def _kind(view: FeatureView[Any]) -> str:
    if isinstance(view, ModelContract):
        return "model contract"
    return "training set" if isinstance(view, TrainingSet) else "feature view"


def _from(view: FeatureView[Any], shorten: Callable[[str], str] = str) -> str:
    if isinstance(view.source, FilterSource):
        return view.source.label
    names = sorted(view.depends_on())
    sources = [source.label for source in view.raw_sources if source.kind != "model"]
    return ", ".join([*names, *map(shorten, sources)])


def _kept(view: FeatureView[Any]) -> Html:
    return muted("computed when it is read") if view.is_virtual else code(view.storage.uri)


def _facts(view: FeatureView[Any]) -> Iterable[tuple[str, Part]]:
    """What a contract says of itself, by name."""
    yield "rows from", _from(view)
    yield "kept in", _kept(view)
    if isinstance(view, ModelContract):
        taken = [f"{want.view.name}: {', '.join(want.columns)}" for want in view.wanted]
        target = "" if view.target is None else f", measured by {view.target[0].name}.{view.target[1]}"
        yield "predicts", f"{view.label.name}{target}" if view.label else ""
        yield "takes", "; ".join(taken)
        yield "input versions", ", ".join(view.input_versions) if len(view.input_versions) > 1 else ""
        yield "model", code(view.exposed_model.label) if view.exposed_model is not None else ""
    if isinstance(view, TrainingSet):
        yield "target", view.target or ""
        yield "features", ", ".join(view.features)
        yield "split", view.splits.words() if view.splits is not None else ""
    yield "schedule", f"{view.schedule} ({view.time_zone})" if view.schedule else ""
    yield "partitions", "" if view.materialize_from is None else f"from {view.materialize_from} on"
    ages = (("fresh for", view.acceptable_freshness), ("stale after", view.unacceptable_freshness))
    yield "freshness", ", ".join(f"{words} {in_words(age)}" for words, age in ages if age is not None)
    yield "tags", ", ".join(view.tags)
    yield "contacts", ", ".join(view.contacts)
