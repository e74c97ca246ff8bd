"""The asset that trains the delay model and keeps it where its contract looks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from aligned_dagster.demo.contracts.models.delay_training import DelayTraining
from aligned_dagster.demo.contracts.models.departure_delay import MODEL, DepartureDelay
from aligned_dagster.orchestration import model_key


@dg.asset(
    key=model_key(DepartureDelay),
    ins={"rows": dg.AssetIn("delay_training")},
    group_name="models",
    kinds={"scikitlearn", "model"},
    owners=["flights@example.com"],
)
def departure_delay_model(rows: pl.DataFrame) -> dg.MaterializeResult[Any]:
    """Gradient-boosted trees over the training set; missing values, such as those of unknown planes, are its own business."""
    import joblib
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    features, target = list(DelayTraining.features), "is_late"
    parts = rows.partition_by("split", as_dict=True)
    train, test = (parts[name,] for name in ("train", "test"))
    model = HistGradientBoostingClassifier(random_state=0, max_iter=150)
    model.fit(train.select(features), train[target].to_numpy())
    chance = model.predict_proba(test.select(features))[:, 1]
    place = Path(MODEL)
    place.parent.mkdir(parents=True, exist_ok=True)
    staged = place.with_suffix(".new")
    joblib.dump(model, staged)
    staged.replace(place)
    return dg.MaterializeResult(
        metadata={
            "trained_on_rows": train.height,
            "september_roc_auc": round(float(roc_auc_score(test[target].to_numpy(), chance)), 4),
            "features": ", ".join(features),
        }
    )
