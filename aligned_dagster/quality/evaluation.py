"""How good predictions are, once it is known what became true. The figures are scikit-learn's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from aligned_dagster.errors import ContractError, UnsupportedError, did_you_mean

Task = Literal["classification", "regression"]
BINS = 10


@dataclass(frozen=True)
class Metric:
    """One figure of an evaluation.

    Args:
        name: what it is called.
        task: what it is a figure of.
        better: whether more of it is better, or less, or what is nearer to 0.
        of_probabilities: whether it is computed from probabilities.
    """

    name: str
    task: Task
    better: Literal["more", "less", "nearer 0"]
    of_probabilities: bool = False

    def is_acceptable(self, value: float, worst: float) -> bool:
        """Whether a value is no worse than another one.

        >>> METRICS["roc_auc"].is_acceptable(0.7, 0.6), METRICS["rmse"].is_acceptable(7.0, 6.0)
        (True, False)
        """
        if self.better == "more":
            return value >= worst
        return (value if self.better == "less" else abs(value)) <= worst

    def promise(self, worst: float) -> str:
        """What is promised of it, in words: "roc_auc of at least 0.6"."""
        bound = {"more": "of at least", "less": "of at most", "nearer 0": "no further from 0 than"}
        return f"{self.name} {bound[self.better]} {worst:g}"


_ALL = (
    Metric("accuracy", "classification", "more"),
    Metric("precision", "classification", "more"),
    Metric("recall", "classification", "more"),
    Metric("f1", "classification", "more"),
    Metric("roc_auc", "classification", "more", of_probabilities=True),
    Metric("log_loss", "classification", "less", of_probabilities=True),
    Metric("brier", "classification", "less", of_probabilities=True),
    Metric("rmse", "regression", "less"),
    Metric("mae", "regression", "less"),
    Metric("r2", "regression", "more"),
    Metric("bias", "regression", "nearer 0"),
)
METRICS = {metric.name: metric for metric in _ALL}


@dataclass(frozen=True)
class Evaluation:
    """What predictions were worth.

    Args:
        task: what was predicted.
        rows: number of predictions.
        known: number of those of which the truth is known.
        metrics: name to figure; one that these rows cannot tell is not there, such as the ROC AUC of a single class.
        base_rate: share of the rows in which the positive class is true; None where there is none.
        confusion: number of rows for each `actual` and `predicted`; None for regressions.
        calibration: one row a bin of what was predicted: `from`, `to`, `rows`, and the means `predicted` and `actual`;
            None where no probability was predicted.
    """

    task: Task
    rows: int
    known: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    base_rate: float | None = None
    confusion: pl.DataFrame | None = None
    calibration: pl.DataFrame | None = None

    def unacceptable(self, worst: Mapping[str, float]) -> dict[str, float]:
        """The figures that are worse than a contract accepts.

        Args:
            worst: metric to its worst acceptable value.
        """
        return {
            name: self.metrics[name]
            for name, bound in worst.items()
            if name in self.metrics and not METRICS[name].is_acceptable(self.metrics[name], bound)
        }


def check_metrics(worst: Mapping[str, float], task: Task | None, probabilities: int, where: str) -> None:
    """Check that bounds are such as predictions can keep.

    Args:
        worst: metric to its worst acceptable value.
        task: what is predicted; None where there is no ground truth.
        probabilities: number of columns with a probability.
        where: whose they are, for the message.

    Raises:
        ContractError: a metric is not known, not one of this task, or its bound is no number.
    """
    if worst and task is None:
        raise ContractError(
            f"{where} has no ground truth to be evaluated with, so acceptable_metrics says nothing. Take the label from "
            "the view that has it: label = View().column.as_classification_target()."
        )
    fitting = [m.name for m in _ALL if m.task == task and (probabilities or not m.of_probabilities)]
    for name, bound in worst.items():
        if name not in METRICS:
            raise ContractError(
                f"{where} has no metric {name!r}.{did_you_mean(name, fitting)} Metrics of a {task}: {', '.join(fitting)}."
            )
        if name not in fitting and METRICS[name].task == task:
            raise ContractError(
                f"{where}: {name} is computed from probabilities, and none is predicted. Add a column such as "
                "chance = label.probability_of(True)."
            )
        if name not in fitting:
            raise ContractError(
                f"{where} predicts a {task}, and {name!r} is a metric of a {METRICS[name].task}. "
                f"Metrics: {', '.join(fitting)}."
            )
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
            raise ContractError(
                f"{where}: the bound of {name} must be a number, as in {{{name!r}: 0.5}}; got {bound!r}."
            )


def evaluate_regression(frame: pl.DataFrame, predicted: str, actual: str) -> Evaluation:
    """How good predicted numbers are.

    Args:
        frame: one row a prediction.
        predicted: column with what was predicted.
        actual: column with what became true; null where it is not known yet.

    Raises:
        UnsupportedError: scikit-learn is not installed.
    """
    metrics = _scikit_learn()
    known = frame.select(
        pl.col(predicted).cast(pl.Float64).fill_nan(None).alias("predicted"),
        pl.col(actual).cast(pl.Float64).fill_nan(None).alias("actual"),
    ).drop_nulls()
    if known.is_empty():
        return Evaluation("regression", frame.height, 0)
    guess, truth = known["predicted"].to_numpy(), known["actual"].to_numpy()
    found = {
        "rmse": metrics.root_mean_squared_error(truth, guess),
        "mae": metrics.mean_absolute_error(truth, guess),
        "bias": (known["predicted"] - known["actual"]).mean(),
    }
    if known.height > 1 and known["actual"].n_unique() > 1:
        found["r2"] = metrics.r2_score(truth, guess)
    return Evaluation(
        "regression", frame.height, known.height, _finite(found), calibration=_by_quantile(known)
    )


def evaluate_classification(
    frame: pl.DataFrame, predicted: str, actual: str, probabilities: Mapping[str, Any] | None = None
) -> Evaluation:
    """How good predicted classes are, and the probabilities of them.

    With two classes, precision, recall and F1 are those of the positive one: the class whose probability is predicted, or
    True, or 1, or the later one in order. With more they are the means over the classes.

    Args:
        frame: one row a prediction.
        predicted: column with the class that was predicted.
        actual: column with the one that became true; null where it is not known yet.
        probabilities: column with a probability to the class that it is of.

    Raises:
        UnsupportedError: scikit-learn is not installed.
    """
    metrics = _scikit_learn()
    chances = dict(probabilities or {})
    known = frame.drop_nulls([predicted, actual, *chances])
    if known.is_empty():
        return Evaluation("classification", frame.height, 0)
    guess, truth = known[predicted].to_list(), known[actual].to_list()
    classes = sorted({*guess, *truth, *chances.values()}, key=lambda value: (str(type(value)), value))
    if len(classes) == 1 and isinstance(classes[0], bool):
        classes = [False, True]
    codes = {value: number for number, value in enumerate(classes)}
    guessed, true = [codes[value] for value in guess], [codes[value] for value in truth]
    positive = _positive(classes, chances)
    averaged: dict[str, Any] = {"average": "macro", "labels": sorted({*guessed, *true})}
    one: dict[str, Any] = {"average": "binary", "pos_label": codes.get(positive)}
    how: dict[str, Any] = {**(averaged if positive is None else one), "zero_division": math.nan}
    found: dict[str, Any] = {
        "accuracy": metrics.accuracy_score(true, guessed),
        "precision": metrics.precision_score(true, guessed, **how),
        "recall": metrics.recall_score(true, guessed, **how),
        "f1": metrics.f1_score(true, guessed, **how),
    }
    calibration = None
    if chances:
        found |= _of_probabilities(metrics, known, truth, classes, positive, chances)
        about = {c: v for c, v in chances.items() if positive is None or v == positive}
        calibration = _by_probability(known, actual, about)
    base = None if positive is None else sum(value == positive for value in truth) / len(truth)
    return Evaluation(
        "classification",
        frame.height,
        known.height,
        _finite(found),
        base,
        _confusion(metrics, true, guessed, classes),
        calibration,
    )


def _of_probabilities(
    metrics: Any,
    known: pl.DataFrame,
    truth: list[Any],
    classes: list[Any],
    positive: Any,
    chances: Mapping[str, Any],
) -> dict[str, Any]:
    """ROC AUC, log loss and Brier score; of several classes those of each against the others, in the mean."""
    columns = {value: known[column].cast(pl.Float64).to_numpy() for column, value in chances.items()}
    found: dict[str, Any] = {}
    if positive is not None:
        is_true = [int(value == positive) for value in truth]
        chance = columns[positive]
        found["brier"] = metrics.brier_score_loss(is_true, chance, pos_label=1)
        found["log_loss"] = metrics.log_loss(is_true, chance, labels=[0, 1])
        if len(set(is_true)) == 2:
            found["roc_auc"] = metrics.roc_auc_score(is_true, chance)
        return found
    areas = []
    for value, chance in columns.items():
        is_true = [int(one == value) for one in truth]
        if len(set(is_true)) == 2:
            areas.append(metrics.roc_auc_score(is_true, chance))
    if areas:
        found["roc_auc"] = sum(areas) / len(areas)
    if set(classes) <= set(columns):
        table = pl.DataFrame({str(n): columns[value] for n, value in enumerate(classes)})
        whole = table.select(pl.all() / pl.sum_horizontal(pl.all())).to_numpy()
        numbers = {value: number for number, value in enumerate(classes)}
        codes = [numbers[value] for value in truth]
        found["log_loss"] = metrics.log_loss(codes, whole, labels=list(range(len(classes))))
        told = pl.DataFrame({str(n): [int(code == n) for code in codes] for n in range(len(classes))})
        found["brier"] = float(((whole - told.to_numpy()) ** 2).sum(axis=1).mean())
    return found


def _positive(classes: list[Any], chances: Mapping[str, Any]) -> Any:
    """The class that is asked about, where there are two; None where there are more."""
    if len(classes) > 2:
        return None
    asked = list(dict.fromkeys(chances.values()))
    if len(asked) == 1:
        return asked[0]
    return classes[-1]


def _confusion(metrics: Any, true: list[int], guessed: list[int], classes: list[Any]) -> pl.DataFrame:
    counted = metrics.confusion_matrix(true, guessed, labels=list(range(len(classes))))
    rows = [
        {"actual": str(classes[n]), "predicted": str(classes[m]), "rows": int(counted[n][m])}
        for n in range(len(classes))
        for m in range(len(classes))
    ]
    return pl.DataFrame(rows, schema={"actual": pl.String, "predicted": pl.String, "rows": pl.Int64})


def _by_probability(known: pl.DataFrame, actual: str, chances: Mapping[str, Any]) -> pl.DataFrame:
    """Bins of a tenth each: the mean probability, and how often it came true."""
    parts = [
        known.select(
            pl.col(column).cast(pl.Float64).alias("predicted"),
            pl.Series("actual", [float(one == value) for one in known[actual].to_list()]),
        )
        for column, value in chances.items()
    ]
    number = (pl.col("predicted") * BINS).floor().clip(0, BINS - 1)
    return (
        pl.concat(parts)
        .group_by((number / BINS).alias("from"), ((number + 1) / BINS).alias("to"))
        .agg(pl.len().cast(pl.Int64).alias("rows"), pl.col("predicted", "actual").mean())
        .sort("from")
    )


def _by_quantile(known: pl.DataFrame) -> pl.DataFrame:
    """Bins of a tenth of the rows each, by what was predicted; equal predictions stay together."""
    place = (pl.col("predicted").rank("min") - 1) * BINS // pl.len()
    return (
        known.group_by(place.alias("bin"))
        .agg(
            pl.col("predicted").min().alias("from"),
            pl.col("predicted").max().alias("to"),
            pl.len().cast(pl.Int64).alias("rows"),
            pl.col("predicted").mean(),
            pl.col("actual").mean(),
        )
        .sort("bin")
        .drop("bin")
    )


def _finite(found: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _scikit_learn() -> Any:
    try:
        import sklearn.metrics
    except ImportError as error:
        raise UnsupportedError(
            "Predictions are evaluated with scikit-learn, which is not installed: pip install scikit-learn."
        ) from error
    return sklearn.metrics
