from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligned_dagster.errors import ContractError, UnsupportedError
from aligned_dagster.quality.evaluation import check_metrics, evaluate_classification, evaluate_regression

chances = st.lists(
    st.tuples(st.floats(0, 1).map(lambda chance: round(chance, 3)), st.booleans()), min_size=1, max_size=50
)


def naive_auc(rows: list[tuple[float, bool]]) -> float:
    """The share of pairs of a true and a false row in which the true one has the greater chance; ties count half."""
    yes, no = [c for c, true in rows if true], [c for c, true in rows if not true]
    return sum((a > b) + (a == b) / 2 for a in yes for b in no) / (len(yes) * len(no))


@settings(deadline=None)  # the first one imports scikit-learn
@given(chances)
def test_a_classification_is_judged_as_by_hand(rows: list[tuple[float, bool]]) -> None:
    frame = pl.DataFrame({"chance": [c for c, _ in rows], "true": [true for _, true in rows]}).with_columns(
        guess=pl.col("chance") > 0.5
    )
    found = evaluate_classification(frame, "guess", "true", {"chance": True})
    pairs = list(zip(frame["guess"].to_list(), frame["true"].to_list(), strict=True))
    hits, guessed, true = pairs.count((True, True)), sum(g for g, _ in pairs), sum(t for _, t in pairs)
    told = found.metrics
    assert (found.rows, found.known) == (len(rows), len(rows))
    assert told["accuracy"] == pytest.approx(sum(g == t for g, t in pairs) / len(rows))
    assert told.get("precision") == (pytest.approx(hits / guessed) if guessed else None)
    assert told.get("recall") == (pytest.approx(hits / true) if true else None)
    assert told["brier"] == pytest.approx(sum((c - t) ** 2 for c, t in rows) / len(rows))
    safe = [(min(max(c, 1e-15), 1 - 1e-15), t) for c, t in rows]
    loss = -sum(math.log(c if t else 1 - c) for c, t in safe) / len(rows)
    assert told["log_loss"] == pytest.approx(loss, rel=0.1)
    both = 0 < true < len(rows)
    assert told.get("roc_auc") == (pytest.approx(naive_auc(rows)) if both else None)
    assert found.base_rate == pytest.approx(true / len(rows))
    assert found.confusion is not None and found.confusion["rows"].sum() == len(rows)
    assert found.calibration is not None and found.calibration["rows"].sum() == len(rows)
    for low, high, number, mean, share in found.calibration.rows():
        inside = [(c, t) for c, t in rows if low - 1e-9 <= c <= high + 1e-9]
        assert low - 1e-9 <= mean <= high + 1e-9 and 0 <= share <= 1 and number <= len(inside)


def test_the_bins_of_a_calibration_are_tenths() -> None:
    frame = pl.DataFrame(
        {
            "chance": [0.05, 0.0, 0.15, 0.1, 1.0, 0.95],
            "guess": [False, False, False, False, True, True],
            "true": [False, False, True, False, True, True],
        }
    )
    found = evaluate_classification(frame, "guess", "true", {"chance": True}).calibration
    assert found is not None
    assert found.with_columns(pl.all().round(6)).rows() == [
        (0.0, 0.1, 2, 0.025, 0.0),
        (0.1, 0.2, 2, 0.125, 0.5),
        (0.9, 1.0, 2, 0.975, 1.0),
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=60))
def test_a_regression_is_judged_as_by_hand(rows: list[tuple[float, float]]) -> None:
    frame = pl.DataFrame({"guess": [g for g, _ in rows], "true": [t for _, t in rows]})
    found = evaluate_regression(frame, "guess", "true")
    guess, true = np.array(frame["guess"]), np.array(frame["true"])
    assert found.metrics["rmse"] == pytest.approx(math.sqrt(((guess - true) ** 2).mean()))
    assert found.metrics["mae"] == pytest.approx(abs(guess - true).mean())
    assert found.metrics["bias"] == pytest.approx((guess - true).mean(), abs=1e-9)
    if true.std() > 1e-3:
        assert found.metrics["r2"] == pytest.approx(1 - ((guess - true) ** 2).mean() / true.var(), rel=1e-6)
    calibration = found.calibration
    assert calibration is not None and calibration["rows"].sum() == len(rows)
    assert calibration["predicted"].is_sorted()
    weighted = (calibration["actual"] * calibration["rows"]).sum() / len(rows)
    assert weighted == pytest.approx(true.mean(), abs=1e-9)


def test_what_is_not_known_yet_is_left_out() -> None:
    frame = pl.DataFrame({"guess": [1.0, 2.0, math.nan], "true": [2.0, None, 1.0]})
    found = evaluate_regression(frame, "guess", "true")
    assert (found.rows, found.known, found.metrics["mae"]) == (3, 1, 1.0)
    assert "r2" not in found.metrics  # of a single row
    none = evaluate_regression(frame.with_columns(true=pl.lit(None, pl.Float64)), "guess", "true")
    assert (none.known, none.metrics, none.calibration) == (0, {}, None)
    classes = pl.DataFrame({"guess": [True], "true": pl.Series([None], dtype=pl.Boolean)})
    assert evaluate_classification(classes, "guess", "true").known == 0


def test_several_classes() -> None:
    frame = pl.DataFrame(
        {
            "guess": ["a", "b", "c", "a"],
            "true": ["a", "b", "b", "c"],
            "pa": [0.8, 0.1, 0.2, 0.5],
            "pb": [0.1, 0.8, 0.3, 0.2],
            "pc": [0.1, 0.1, 0.5, 0.3],
        }
    )
    found = evaluate_classification(frame, "guess", "true", {"pa": "a", "pb": "b", "pc": "c"})
    assert found.metrics["accuracy"] == 0.5 and found.base_rate is None
    assert found.metrics["recall"] == pytest.approx((1 + 0.5 + 0) / 3)
    loss = -(math.log(0.8) + math.log(0.8) + math.log(0.3) + math.log(0.3)) / 4
    assert found.metrics["log_loss"] == pytest.approx(loss)
    one_against_rest = [naive_auc(list(zip(frame[f"p{c}"], frame["true"] == c, strict=True))) for c in "abc"]
    assert found.metrics["roc_auc"] == pytest.approx(sum(one_against_rest) / 3)
    squares = [(0.2, 0.1, 0.1), (0.1, 0.2, 0.1), (0.2, 0.7, 0.5), (0.5, 0.2, 0.7)]
    assert found.metrics["brier"] == pytest.approx(sum(v * v for row in squares for v in row) / 4)
    some = evaluate_classification(frame, "guess", "true", {"pa": "a"})
    assert "log_loss" not in some.metrics and "roc_auc" in some.metrics


def test_the_positive_class_is_the_one_whose_chance_is_told() -> None:
    frame = pl.DataFrame(
        {"guess": ["no", "no", "yes"], "true": ["no", "yes", "no"], "chance": [0.9, 0.6, 0.3]}
    )
    found = evaluate_classification(frame, "guess", "true", {"chance": "no"})
    assert found.metrics["precision"] == found.metrics["recall"] == 0.5
    assert found.base_rate == pytest.approx(2 / 3) and found.metrics["roc_auc"] == 0.5
    assert evaluate_classification(frame, "guess", "true").metrics["precision"] == 0.0  # of "yes"


def test_a_single_class_has_no_area_under_a_curve() -> None:
    frame = pl.DataFrame({"guess": [False], "true": [False], "chance": [0.2]})
    found = evaluate_classification(frame, "guess", "true", {"chance": True})
    assert found.metrics["accuracy"] == 1.0
    assert not {"roc_auc", "precision", "recall"} & set(found.metrics)
    assert found.unacceptable({"roc_auc": 0.9, "accuracy": 1.0}) == {}
    assert found.confusion is not None and found.confusion.rows()[0] == ("False", "False", 1)


def test_what_is_worse_than_accepted() -> None:
    frame = pl.DataFrame({"guess": [1.0, 3.0], "true": [2.0, 5.0]})
    found = evaluate_regression(frame, "guess", "true")
    assert found.unacceptable({"bias": 1.0, "mae": 1.5, "r2": 0.9}) == {
        "bias": -1.5,
        "r2": found.metrics["r2"],
    }


@pytest.mark.parametrize(
    ("worst", "task", "chances", "message"),
    [
        ({"roc_acu": 0.6}, "classification", 1, "has no metric 'roc_acu'. Did you mean 'roc_auc'"),
        (
            {"roc_auc": 0.6},
            "classification",
            0,
            "roc_auc is computed from probabilities, and none is predicted",
        ),
        (
            {"rmse": 2.0},
            "classification",
            1,
            "predicts a classification, and 'rmse' is a metric of a regression",
        ),
        ({"rmse": math.nan}, "regression", 0, "the bound of rmse must be a number"),
        ({"rmse": "low"}, "regression", 0, "the bound of rmse must be a number"),
        ({"rmse": 2.0}, None, 0, "has no ground truth"),
    ],
)
def test_bounds_that_cannot_be_kept_are_refused(
    worst: dict[str, Any], task: Any, chances: int, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        check_metrics(worst, task, chances, "delay")


def test_without_scikit_learn_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UnsupportedError, match="pip install scikit-learn"):
        evaluate_regression(pl.DataFrame({"g": [1.0], "t": [1.0]}), "g", "t")
