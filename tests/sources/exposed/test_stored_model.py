"""scikit-learn estimators in files, on this machine and in S3."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from aligned_dagster.errors import (
    ConfigurationError,
    RequestError,
    SchemaMismatchError,
    SourceError,
    SourceNotFoundError,
    UnreadableSourceError,
    UnsupportedError,
)
from aligned_dagster.sources.aws_s3 import AwsS3Config
from aligned_dagster.sources.exposed import ExposedModel, Outputs, exposed_from_json, exposed_to_json
from aligned_dagster.sources.local import FileSource
from tools.servers.s3 import S3Server

from .predicting import answers, numbered

SECRET = "c4n4ry-s3cr3t"
ROWS = numbered(
    age=[2.0, None, 40.0, 70.0, 5.0, 33.0], sex=["f", "m", "f", "m", "m", "f"], fare=[1, 2, 3, 4, 5, 6]
)
FEATURES = ROWS.select("age", "sex", "fare").to_pandas()
SURVIVED = np.array(["yes", "no", "yes", "no", "yes", "yes"])
OUTPUTS = Outputs(
    label="survived", dtype=pl.String(), probabilities={"no": "no", "yes": "yes"}, version="model"
)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    prepared = make_column_transformer(
        (SimpleImputer(), ["age", "fare"]), (OneHotEncoder(handle_unknown="ignore"), ["sex"])
    )
    return make_pipeline(prepared, LogisticRegression()).fit(FEATURES, SURVIVED)


def same_as(pipeline: Pipeline, found: pl.DataFrame) -> None:
    assert found["survived"].to_list() == pipeline.predict(FEATURES).tolist()
    expected = pipeline.predict_proba(FEATURES)
    assert pipeline.classes_.tolist() == ["no", "yes"]
    assert np.array_equal(found.select("no", "yes").to_numpy(), expected)


@pytest.mark.parametrize("name", ["model.pkl", "model.pickle", "model.joblib", "model.joblib.gz"])
def test_a_pipeline_in_a_file(tmp_path: Path, pipeline: Pipeline, name: str) -> None:
    path = tmp_path / name
    if "joblib" in name:
        joblib.dump(pipeline, path)
    else:
        path.write_bytes(pickle.dumps(pipeline))
    shuffled = ROWS.select("row", "fare", "sex", "age")
    for model in (
        ExposedModel.sklearn_at(path),
        ExposedModel.sklearn_at(FileSource.directory(tmp_path).at(name)),
    ):
        found = answers(model, shuffled, OUTPUTS, batch_rows=4)
        assert found.columns == ["row", "survived", "no", "yes", "model"]
        same_as(pipeline, found)
        assert set(found["model"]) == {model.version()}
        assert exposed_from_json(exposed_to_json(model)) == model == pickle.loads(pickle.dumps(model))
        assert model.uri == str(path) and model.kind == "sklearn"


def test_a_pipeline_in_s3(
    s3_conditional: S3Server, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_conditional.new_bucket()
    monkeypatch.setenv("TEST_MODEL_KEY", s3_conditional.access_key)
    monkeypatch.setenv("TEST_MODEL_SECRET", SECRET)
    config = AwsS3Config(
        access_token_env="TEST_MODEL_KEY",
        secret_token_env="TEST_MODEL_SECRET",
        bucket=bucket,
        region=s3_conditional.region,
        endpoint_url=s3_conditional.endpoint,
    )
    model = ExposedModel.sklearn_at(config.directory("models").at("delay.joblib"))
    with pytest.raises(SourceNotFoundError, match=f"s3://{bucket}/models/delay.joblib"):
        model.version()
    joblib.dump(pipeline, tmp_path / "delay.joblib")
    client = s3_conditional.client()
    client.upload_file(str(tmp_path / "delay.joblib"), bucket, "models/delay.joblib")
    found = answers(model, ROWS, OUTPUTS)
    same_as(pipeline, found)
    assert (
        model.version() == ExposedModel.sklearn_at(tmp_path / "delay.joblib").version() == found["model"][0]
    )
    before = model.fingerprint()
    client.put_object(Bucket=bucket, Key="models/delay.joblib", Body=pickle.dumps([1]))
    assert model.fingerprint() != before and model.version() != found["model"][0]
    form = exposed_to_json(model)
    assert exposed_from_json(form) == model == pickle.loads(pickle.dumps(model))
    assert SECRET not in f"{form} {model!r} {model} {pickle.dumps(model)!r}"
    with pytest.raises(UnreadableSourceError, match="holds a list, which has no predict") as refused:
        answers(model, ROWS, OUTPUTS)
    assert SECRET not in str(refused.getrepr(style="long"))


def test_version_and_fingerprint_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(LinearRegression()))
    model = ExposedModel.sklearn_at(path)
    version, fingerprint = model.version(), model.fingerprint()
    assert len(version) == 12 and fingerprint.bytes == path.stat().st_size
    assert (model.version(), model.fingerprint()) == (version, fingerprint)
    path.write_bytes(pickle.dumps(LinearRegression(fit_intercept=False)))
    assert model.version() != version and model.fingerprint() != fingerprint
    assert ExposedModel.sklearn_at(path, version="2024-05").version() == "2024-05"


def stored(tmp_path: Path, estimator: Any) -> ExposedModel:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(estimator))
    return ExposedModel.sklearn_at(tmp_path / "model.pkl")


def test_a_regressor_without_names_gets_the_features_in_their_order(tmp_path: Path) -> None:
    model = stored(tmp_path, LinearRegression().fit(np.array([[0, 0], [1, 0], [0, 1]]), np.array([1, 3, 11])))
    rows = pl.DataFrame({"row": [0, 1], "a": [1, 0], "b": pl.Series([0, 2], dtype=pl.Decimal(10, 2))})
    found = answers(model, rows, Outputs(label="y", dtype=pl.Float32()))
    assert found["y"].round(3).to_list() == [3.0, 21.0]
    with pytest.raises(SchemaMismatchError, match="trained with 2 features without names, and is given 1: a"):
        answers(model, rows.drop("b"), Outputs(label="y"))
    with pytest.raises(UnsupportedError, match="LinearRegression without predict_proba"):
        answers(model, rows, Outputs(probabilities={"p": 1}))


def test_a_regressor_with_names_gets_the_features_as_it_was_trained(tmp_path: Path) -> None:
    trained = pd.DataFrame({"b": [0, 1, 0], "a": [0, 0, 1]})
    model = stored(tmp_path, LinearRegression().fit(trained, np.array([1, 3, 11])))
    rows = pl.DataFrame({"row": [0, 1], "a": [1, 0], "b": [0, 2]})
    assert answers(model, rows, Outputs(label="y"))["y"].round(3).to_list() == [11.0, 5.0]


def test_a_regressor_of_a_column(tmp_path: Path) -> None:
    model = stored(tmp_path, LinearRegression().fit(np.array([[0], [1]]), np.array([[1], [3]])))
    assert answers(model, numbered(x=[2.0]), Outputs(label="y"))["y"].round(3).to_list() == [5.0]
    several = stored(tmp_path, LinearRegression().fit(np.array([[0], [1]]), np.array([[1, 2], [3, 4]])))
    with pytest.raises(UnreadableSourceError, match="an array of 1 x 2"):
        answers(several, numbered(x=[2.0]), Outputs(label="y"))


def test_classes_are_told_apart(tmp_path: Path) -> None:
    x = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]})
    estimator = LogisticRegression().fit(x, [0, 0, 1, 1, 2, 2])
    model = stored(tmp_path, estimator)
    rows = numbered(x=[0.0, 5.0])
    outputs = Outputs(label="y", dtype=pl.Int8(), probabilities={"two": 2, "zero": 0})
    found = answers(model, rows, outputs)
    assert found["y"].to_list() == [0, 2]
    proba = estimator.predict_proba(x.iloc[[0, 5]])
    assert found["two"].to_list() == proba[:, 2].tolist() and found["zero"].to_list() == proba[:, 0].tolist()
    with pytest.raises(
        RequestError, match=r"knows no class 3, whose probability 'p' should be. It knows: 0, 1, 2"
    ):
        answers(model, rows, Outputs(probabilities={"p": 3}))
    booleans = stored(tmp_path, LogisticRegression().fit(x, [False, False, True, True, True, True]))
    found = answers(booleans, rows, Outputs(label="y", dtype=pl.Boolean(), probabilities={"p": True}))
    assert found["y"].to_list() == [False, True] and found["p"][1] > 0.5
    without = stored(tmp_path, LinearSVC().fit(x, [0, 0, 1, 1, 2, 2]))
    with pytest.raises(UnsupportedError, match="LinearSVC without predict_proba"):
        answers(without, rows, outputs)


def test_features_that_are_not_those_of_the_training(tmp_path: Path, pipeline: Pipeline) -> None:
    model = stored(tmp_path, pipeline)
    with pytest.raises(
        SchemaMismatchError, match=r"trained with the feature 'fare', .* Did you mean 'fares'\?"
    ):
        answers(model, ROWS.rename({"fare": "fares"}), OUTPUTS)
    with pytest.raises(
        SchemaMismatchError, match="was not trained with the feature 'extra', which it is given"
    ):
        answers(model, ROWS.with_columns(extra=1), OUTPUTS)


def test_what_the_estimator_refuses_names_the_batch(tmp_path: Path) -> None:
    model = stored(tmp_path, LinearRegression().fit(np.array([[0], [1]]), np.array([1, 3])))
    with pytest.raises(SourceError, match=r"(?s)asked for rows 2 to 3, failed: ValueError: .*NaN"):
        answers(model, numbered(x=[1.0, 2.0, 3.0, None]), Outputs(label="y"), batch_rows=2)


def test_files_that_are_no_model(tmp_path: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(pipeline)[:-100])
    with pytest.raises(SourceNotFoundError, match=r"Did you mean 'model.pkl'\?"):
        answers(ExposedModel.sklearn_at(tmp_path / "mode.pkl"), ROWS, OUTPUTS)
    with pytest.raises(UnreadableSourceError, match=r"model.pkl cannot be loaded: .*Is the file whole"):
        answers(ExposedModel.sklearn_at(tmp_path / "model.pkl"), ROWS, OUTPUTS)
    (tmp_path / "model.joblib").write_bytes(b"garbage")
    with pytest.raises(UnreadableSourceError, match=r"model.joblib cannot be loaded"):
        answers(ExposedModel.sklearn_at(tmp_path / "model.joblib"), ROWS, OUTPUTS)
    with pytest.raises(ConfigurationError, match="tells not how the model was written"):
        ExposedModel.sklearn_at("model.onnx")
    (tmp_path / "trainers.py").write_text("class Model:\n    def predict(self, rows):\n        return rows\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import trainers  # type: ignore[import-not-found]  # the module was written a line above

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(trainers.Model()))
    monkeypatch.setitem(sys.modules, "trainers", None)
    with pytest.raises(UnsupportedError, match=r"needs a package that is not installed here: .*trainers"):
        answers(ExposedModel.sklearn_at(tmp_path / "model.pkl"), ROWS, OUTPUTS)
