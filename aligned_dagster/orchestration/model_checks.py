"""What became of predictions, and whether features drift: checks of a model contract that never block.

Each is an op of its own, which runs after the materialisation and can be run again, alone, whenever more of the ground
truth is known: from the page of the check, or by a job over `AssetSelection.checks(...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from aligned_dagster.contracts.facts import facts_frame
from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.contracts.model_inputs import TrainedOn, input_rows, training_sets_of
from aligned_dagster.errors import AlignedError
from aligned_dagster.orchestration.automation import check_condition
from aligned_dagster.orchestration.partition_runs import Part
from aligned_dagster.orchestration.plots import bars, calibration_bars, calibration_plot
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.tables import table_value
from aligned_dagster.orchestration.translator import ContractTranslator
from aligned_dagster.quality.drift import ColumnDrift, drift
from aligned_dagster.quality.evaluation import (
    METRICS,
    Evaluation,
    evaluate_classification,
    evaluate_regression,
)

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.orchestration.partitions import Partitions

EVALUATION, DRIFT = "evaluation", "drift"
Found = tuple[bool, str, dict[str, Any]]
"""Whether a check is passed, what is to be said, and its metadata, whose numbers the UI plots over time."""


def model_checks(
    views: Iterable[FeatureView[Any]], registry: ContractRegistry, translator: ContractTranslator
) -> list[dg.AssetChecksDefinition]:
    """`evaluation` of every model contract that has a ground truth, `drift` of every one that has a training set.

    Where a model has several training sets, there is a `drift_<training set>` for each.

    Args:
        views: the contracts that are defined here.
        registry: finds their assets.
        translator: says how many rows are compared.
    """
    checks = []
    for view in views:
        if not isinstance(view, ModelContract):
            continue
        if view.task is not None:
            checks.append(_evaluation_check(view, registry))
        trained = training_sets_of(view, registry.views.values()) if view.facts_view is not None else ()
        for one in trained:
            name = DRIFT if len(trained) == 1 else f"{DRIFT}_{one.rows.name}"
            checks.append(_drift_check(view, one, name, registry, translator.settings.max_drift_rows))
    return checks


def _evaluation_check(model: ModelContract[Any], registry: ContractRegistry) -> dg.AssetChecksDefinition:
    target = model.target
    assert target is not None
    bounds = [METRICS[name].promise(worst) for name, worst in model.acceptable_metrics.items()]
    promised = f" Accepted is {', '.join(bounds)}." if bounds else ""

    def found(part: Part | None) -> Found:
        evaluation = evaluated(model, part)
        return _evaluation_found(model, evaluation)

    return _check(
        model,
        EVALUATION,
        f"Predictions against what became true, {target[0].name}.{target[1]}, as far as it is known.{promised}",
        [registry.key_of(target[0].name)],
        registry,
        found,
    )


def evaluated(model: ModelContract[Any], part: Part | None = None) -> Evaluation:
    """How good the predictions of a model contract are, as far as the ground truth is known.

    Args:
        model: a contract with a ground truth.
        part: the partitions; all predictions if not given.

    Raises:
        SourceError: the predictions or the ground truth cannot be read.
        UnsupportedError: scikit-learn is not installed.
    """
    label, chances = model.label, model.outputs.probabilities
    assert label is not None
    rows = model.read()
    if part is not None:
        rows = rows.filter(part.partitions.predicate(part.keys, model.schema))
    actual = f"actual_{label.name}"
    both = facts_frame(model.query().with_target(rows)).select(label.name, actual, *chances)
    frame = both.collect(engine="streaming")
    if model.task == "regression":
        return evaluate_regression(frame, label.name, actual)
    return evaluate_classification(frame, label.name, actual, chances)


def _evaluation_found(model: ModelContract[Any], found: Evaluation) -> Found:
    metadata: dict[str, Any] = {"predictions": found.rows, "with_ground_truth": found.known}
    if not found.known:
        unknown = f"The ground truth of none of {found.rows:,} predictions is known yet."
        return True, unknown if found.rows else "There are no predictions.", metadata
    figures = {name: float(f"{value:.6g}") for name, value in found.metrics.items()}
    if found.base_rate is not None:
        figures["base_rate"] = float(f"{found.base_rate:.6g}")
    metadata |= figures
    if found.calibration is not None:
        chances = found.task == "classification"
        metadata["calibration_plot"] = dg.MetadataValue.md(
            calibration_plot(found.calibration, of_probabilities=chances)
        )
        drawn = calibration_bars(found.calibration, of_probabilities=chances)
        metadata["calibration"] = table_value(drawn.with_columns(pl.col(pl.Float64).round_sig_figs(4)))
    if found.confusion is not None:
        metadata["confusion_matrix"] = table_value(_confusion_table(found.confusion))
    bad = found.unacceptable(model.acceptable_metrics)
    silent = [name for name in model.acceptable_metrics if name not in found.metrics]
    said = ", ".join(f"{name} {value:.4g}" for name, value in found.metrics.items())
    words = f"{said} over {found.known:,} of {found.rows:,} predictions, whose ground truth is known."
    if silent:
        words += f" {', '.join(silent)} cannot be told from these rows."
    if bad:
        accepted = (METRICS[name].promise(model.acceptable_metrics[name]) for name in bad)
        told = ", ".join(f"{name} is {value:.4g}" for name, value in bad.items())
        words = f"{told}; accepted is {', '.join(accepted)}. {words}"
    return not bad, words, metadata


def _confusion_table(confusion: pl.DataFrame) -> pl.DataFrame:
    wide = confusion.pivot(on="predicted", index="actual", values="rows", maintain_order=True)
    names = {name: f"predicted {name}" for name in wide.columns if name != "actual"}
    return wide.rename({**names, "actual": ""}).with_columns(pl.format("actual {}", pl.col("")).alias(""))


def _drift_check(
    model: ModelContract[Any], trained: TrainedOn, name: str, registry: ContractRegistry, most: int
) -> dg.AssetChecksDefinition:
    def found(part: Part | None) -> Found:
        return _drift_found(model, trained, part, most)

    bound = f"{model.acceptable_drift:g}"
    return _check(
        model,
        name,
        f"The features against those of the training set {trained.rows.name}: the population stability index of each is "
        f"at most {bound}, or no more than chance does with so few rows.",
        [registry.key_of(trained.rows.name)],
        registry,
        found,
    )


def _drift_found(model: ModelContract[Any], trained: TrainedOn, part: Part | None, most: int) -> Found:
    everything = part is None or part.is_everything
    slice_ = None if everything or part is None else part.slice
    job = input_rows(model, None, slice_)
    if job is None:
        return True, "The facts cannot be told apart by these partitions, so nothing was compared.", {}
    facts = _height(job.facts)
    step = -(-facts // most) or 1
    sampled = job if step == 1 else input_rows(model, None, slice_, every=step)
    assert sampled is not None
    names = [name for want in model.wanted for name in want.columns]
    used = facts_frame(sampled).select(names).collect(engine="streaming")
    rows = trained.read()
    known = _height(rows)
    before = rows.gather_every(-(-known // most) or 1).select(names).collect(engine="streaming")
    metadata: dict[str, Any] = {
        "training_set": trained.rows.name,
        "training_rows": known,
        "compared_rows": facts,
        "acceptable_drift": f"{model.acceptable_drift:g}",
    }
    if not known or not facts:
        return True, f"There are {known:,} rows to compare with and {facts:,} to compare.", metadata
    found = drift(before, used, names)
    metadata["drift"] = table_value(_drift_table(found, model.acceptable_drift))
    figures = {f"{one.column}.psi": float(f"{one.psi:.6g}") for one in found if one.psi is not None}
    moved = [one for one in found if one.exceeds(model.acceptable_drift)]
    compared = sum(one.psi is not None for one in found)
    words = f"{compared:,} features of {facts:,} rows compared with {known:,} of {trained.rows.name}"
    if not moved:
        return True, f"{words}: none has moved.", metadata | figures
    told = ", ".join(f"{one.column} ({one.psi:.3g})" for one in moved)
    said = f"{words}: {len(moved):,} moved, by a population stability index of {told}."
    return False, said, metadata | figures


def _drift_table(found: Iterable[ColumnDrift], threshold: float) -> pl.DataFrame:
    rows = [
        {
            "feature": one.column,
            "moved": "not compared" if one.psi is None else "yes" if one.exceeds(threshold) else "no",
            "PSI": "" if one.psi is None else f"{one.psi:.4f}",
            "by chance": "" if one.psi is None else f"{one.by_chance:.4f}",
            "KS": "" if one.ks is None else f"{one.ks:.4f}",
            "mean": ""
            if one.trained_mean is None or one.used_mean is None
            else f"{one.trained_mean:.4g} → {one.used_mean:.4g}",
            "nulls": f"{one.trained[-1]:.1%} → {one.used[-1]:.1%}" if one.trained else "",
            "training": bars(one.trained[:-1], _top(one)),
            "now": bars(one.used[:-1], _top(one)),
        }
        for one in found
    ]
    return pl.DataFrame(rows)


def _top(one: ColumnDrift) -> float:
    return max((*one.trained[:-1], *one.used[:-1]), default=0.0) or 1.0


def _height(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def _check(
    model: ModelContract[Any],
    name: str,
    description: str,
    deps: list[dg.AssetKey],
    registry: ContractRegistry,
    find: Callable[[Part | None], Found],
) -> dg.AssetChecksDefinition:
    """An asset check in an op of its own, which only warns.

    It has no partitions, so that it can also be run over all predictions; in a run of partitions it is about these.
    """
    key, partitions = registry.key_of(model.name), registry.partitions.get(model.name)

    def compute(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        try:
            part = None if partitions is None else part_of_run(context, partitions)
            passed, words, metadata = find(part)
        except AlignedError as error:
            return dg.AssetCheckResult(
                passed=False, severity=dg.AssetCheckSeverity.WARN, description=str(error)
            )
        keys = () if part is None else part.keys
        if partitions is not None:
            metadata["partitions"] = _named(keys)
        return dg.AssetCheckResult(
            passed=passed, severity=dg.AssetCheckSeverity.WARN, description=words, metadata=metadata
        )

    # Dagster wants types, not their names.
    compute.__annotations__ |= {"context": dg.AssetCheckExecutionContext, "return": dg.AssetCheckResult}
    decorate: Any = dg.asset_check(
        asset=key,
        name=name,
        description=description,
        additional_deps=[dep for dep in deps if dep != key],
        automation_condition=check_condition(divided=partitions is not None),
    )
    check: dg.AssetChecksDefinition = decorate(compute)
    return check


def part_of_run(context: dg.AssetCheckExecutionContext, partitions: Partitions) -> Part | None:
    """The partitions of the run in which a check is made; None where it names none.

    Args:
        context: of the check.
        partitions: of the contract.
    """
    tags = context.run.tags
    if PARTITION_NAME_TAG in tags:
        return Part(partitions, (tags[PARTITION_NAME_TAG],))
    if ASSET_PARTITION_RANGE_START_TAG not in tags:
        return None
    span = dg.PartitionKeyRange(tags[ASSET_PARTITION_RANGE_START_TAG], tags[ASSET_PARTITION_RANGE_END_TAG])
    with partition_loading_context(dynamic_partitions_store=context.instance):
        return Part(partitions, tuple(partitions.definition.get_partition_keys_in_range(span)))


def _named(keys: tuple[str, ...]) -> str:
    if not keys:
        return "all"
    return keys[0] if len(keys) == 1 else f"{len(keys):,} from {keys[0]} to {keys[-1]}"
