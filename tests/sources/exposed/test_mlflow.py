"""Models of MLflow, in this process and behind its own scoring server."""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from aligned_dagster.errors import (
    SchemaMismatchError,
    SourceError,
    UnavailableSourceError,
    UnreadableSourceError,
    UnsupportedError,
)
from aligned_dagster.sources.exposed import ExposedModel, Outputs, exposed_from_json, exposed_to_json
from aligned_dagster.sources.exposed.mlflow_model import _pyfunc
from tools.servers.process import LOOPBACK, ServerProcess, accepts_connections, on_free_port

from .predicting import answers, numbered

ROWS = numbered(age=[2, None, 40, 70], fare=[1.0, 2.0, 3.0, 4.0])
OUTPUTS = Outputs(label="survived", dtype=pl.Int8(), version="model")
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """MLflow tells nobody of its use."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with a signature of two doubles, the first of which may be missing."""
    _pyfunc()
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    features = pd.DataFrame({"fare": [1.0, 2.0, 3.0, 4.0], "age": [2.0, 50.0, 40.0, 7.0]})
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(features, [1, 0, 0, 1])
    path = tmp_path_factory.mktemp("mlflow") / "model"
    mlflow.sklearn.save_model(
        model,
        path,
        signature=infer_signature(features, model.predict(features)),
        pip_requirements=[],
        serialization_format="pickle",
    )
    return path


def expected(saved: Path) -> list[int]:
    model = pickle.loads((saved / "model.pkl").read_bytes())
    found: list[int] = model.predict(ROWS.select("fare", "age").to_pandas()).tolist()
    return found


class TestInProcess:
    def test_it_predicts(self, saved: Path) -> None:
        model = ExposedModel.mlflow(str(saved))
        found = answers(model, ROWS, OUTPUTS, batch_rows=3)
        assert found["survived"].to_list() == expected(saved)
        assert set(found["model"]) == {model.version()} and len(model.version()) == 12
        assert model.kind == "mlflow" and model.uri == str(saved)

    def test_json_pickle_version_and_fingerprint(self, saved: Path) -> None:
        model = ExposedModel.mlflow(str(saved))
        assert exposed_from_json(exposed_to_json(model)) == model == pickle.loads(pickle.dumps(model))
        state = model.fingerprint()
        assert state.data_version.startswith(model.version()) and state.modified is not None
        assert ExposedModel.mlflow(str(saved), version="champion").version() == "champion"

    def test_a_model_of_the_registry(
        self, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", tmp_path.as_uri())
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database would need all of mlflow
        import mlflow

        mlflow.register_model(str(saved), "delay")
        model = ExposedModel.mlflow("models:/delay/1")
        found = answers(model, ROWS, OUTPUTS)
        assert found["survived"].to_list() == expected(saved)
        assert set(found["model"]) == {ExposedModel.mlflow(str(saved)).version()}

    def test_features_that_are_not_of_the_signature(self, saved: Path) -> None:
        model = ExposedModel.mlflow(str(saved))
        with pytest.raises(
            SchemaMismatchError, match=r"trained with the feature 'fare', .* Did you mean 'fares'\?"
        ):
            answers(model, ROWS.rename({"fare": "fares"}), OUTPUTS)

    def test_types_that_are_not_of_the_signature(self, saved: Path) -> None:
        rows = ROWS.with_columns(fare=pl.lit("cheap"))
        with pytest.raises(SourceError, match=r"(?s)asked for rows 0 to 3, failed: MlflowException.*fare"):
            answers(ExposedModel.mlflow(str(saved)), rows, OUTPUTS)

    def test_a_model_that_is_not_there(self, tmp_path: Path) -> None:
        for model in (ExposedModel.mlflow(str(tmp_path / "none")), ExposedModel.mlflow(str(tmp_path))):
            with pytest.raises(UnreadableSourceError, match="MLflow cannot load the model"):
                answers(model, ROWS, OUTPUTS)
            with pytest.raises(UnreadableSourceError, match="MLflow cannot load the model"):
                model.fingerprint()

    def test_without_mlflow(self, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "mlflow", None)
        with pytest.raises(UnsupportedError, match="pip install mlflow"):
            answers(ExposedModel.mlflow(str(saved)), ROWS, OUTPUTS)


@pytest.fixture(scope="module")
def scoring(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `mlflow models serve --env-manager local` starts, without its environment's checks."""
    log = tmp_path_factory.mktemp("scoring") / "log"

    def start(port: int) -> tuple[int, ServerProcess]:
        command: list[Any] = [sys.executable, "-m", "uvicorn", "mlflow.pyfunc.scoring_server.app:app"]
        server = ServerProcess(
            "MLflow's scoring server",
            [*command, "--host", LOOPBACK, "--port", str(port)],
            log=log,
            ready=lambda _: accepts_connections(port),
            environ={**os.environ, **QUIET, "__pyfunc_model_path__": str(saved)},
        )
        return port, server

    port, server = on_free_port(start)
    yield f"http://{LOOPBACK}:{port}"
    server.stop()


class TestScoringServer:
    def test_it_predicts(self, scoring: str, saved: Path) -> None:
        model = ExposedModel.mlflow_server(scoring, version="7")
        rows = ROWS.with_columns(pl.col("age").cast(pl.Float64))
        found = answers(model, rows, OUTPUTS, batch_rows=3)
        assert found["survived"].to_list() == expected(saved)
        assert set(found["model"]) == {"7"}

    def test_what_it_refuses(self, scoring: str) -> None:
        with pytest.raises(
            SourceError, match=r"(?s)asked for rows 0 to 3, failed: .* answered 400: .*fare"
        ) as found:
            answers(ExposedModel.mlflow_server(scoring), ROWS.drop("fare"), OUTPUTS)
        assert not isinstance(found.value, UnavailableSourceError)
