"""A Python function as a model."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from aligned_dagster.errors import ConfigurationError, UnreadableSourceError, UnsupportedError
from aligned_dagster.sources.exposed import ExposedModel, Outputs, exposed_from_json, exposed_to_json

from .predicting import Times, answers, doubled, numbered

ROWS = numbered(x=[1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "function",
    [
        lambda f: f.select(y=pl.col("x") * 2, more=1),
        lambda f: f.lazy().select(y=pl.col("x") * 2),
        lambda f: f["x"] * 2,
        lambda f: (f["x"] * 2).to_list(),
        lambda f: tuple(f["x"] * 2),
        lambda f: f["x"].to_numpy() * 2,
        lambda f: f.to_numpy() * 2,
        lambda f: f["x"].to_numpy().astype(object) * 2,
        lambda f: f.to_pandas()["x"] * 2,
        lambda f: f.to_pandas() * 2,
        lambda f: pd.DataFrame({"y": f["x"].to_numpy() * 2}),
        lambda f: {"y": f["x"].to_numpy() * 2},
        lambda f: [{"y": x * 2} for x in f["x"]],
        lambda f: f.select(y=pl.col("x") * 2).to_arrow(),
        doubled,
        Times(2.0),
    ],
)
def test_what_a_function_may_return(function: Callable[[pl.DataFrame], Any]) -> None:
    found = answers(ExposedModel.python(function), ROWS, Outputs(label="y", dtype=pl.Float64()))
    assert found.rows() == [(0, 2.0), (1, 4.0), (2, 6.0)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "answered with NoneType"),
        ("abc", "answered with str"),
        (np.ones((3, 2)), "an array of 3 x 2, which names no columns"),
        ([1, "a", 2.0], r"several types: 1 \(int\), 'a' \(str\), 2.0 \(float\)"),
        ({"y": [1], "z": [1, 2]}, "is no table"),
    ],
)
def test_what_is_no_table_is_refused(answer: Any, words: str) -> None:
    with pytest.raises(UnreadableSourceError, match=words):
        answers(ExposedModel.python(lambda _: answer), ROWS, Outputs(label="y"))


def test_one_column_cannot_be_two_probabilities() -> None:
    outputs = Outputs(probabilities={"p0": 0, "p1": 1})
    with pytest.raises(UnreadableSourceError, match="one column without a name, and 'p0', 'p1' are asked"):
        answers(ExposedModel.python(doubled), ROWS, outputs)


def test_a_function_may_tell_its_own_version() -> None:
    model = ExposedModel.python(lambda f: {"y": f["x"], "model": ["a", "b", "c"]})
    assert answers(model, ROWS, Outputs(label="y", version="model"))["model"].to_list() == ["a", "b", "c"]


def test_json_and_pickle() -> None:
    model = ExposedModel.python(doubled, version="3")
    form = exposed_to_json(model)
    assert form == {"type": "python", "version_name": "3", "function": f"{doubled.__module__}:doubled"}
    assert exposed_from_json(form) == model == pickle.loads(pickle.dumps(model))
    assert hash(exposed_from_json(form)) == hash(model)
    assert model.kind == "function" and model.label == "doubled" and model.uri.endswith("predicting.doubled")


def test_a_lambda_has_no_json_form() -> None:
    with pytest.raises(UnsupportedError, match="no JSON form"):
        exposed_to_json(ExposedModel.python(lambda features: features["x"]))
    with pytest.raises(UnsupportedError, match="no JSON form"):
        exposed_to_json(ExposedModel.python(Times(2.0)))


def test_what_cannot_be_called_is_refused() -> None:
    async def later(features: pl.DataFrame) -> pl.DataFrame:
        return features

    with pytest.raises(ConfigurationError, match="takes a function, and got 3"):
        ExposedModel.python(3)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigurationError, match="is async"):
        ExposedModel.python(later)
    with pytest.raises(ConfigurationError, match=r"'no\.such:thing' cannot be imported"):
        exposed_from_json({"type": "python", "function": "no.such:thing"})
    with pytest.raises(ConfigurationError, match=r"'pyton'. Did you mean 'python'\?"):
        exposed_from_json({"type": "pyton"})


def defined(source: str) -> ExposedModel:
    names: dict[str, Any] = {"__name__": "made"}
    exec(source, names)
    return ExposedModel.python(names["predict"])


def test_the_version_follows_the_code() -> None:
    text = "def predict(features, limit=3):\n    return [x > 0.5 for x in features['x'] if x not in {'a', 'b', 'c'}]"
    version = defined(text).version()
    assert len(version) == 12
    assert defined(text).version() == version == defined(f"# a comment\n{text}").version()
    for old, new in [
        ("0.5", "0.6"),
        ("limit=3", "limit=4"),
        ("'b'", "'d'"),
        ("x >", "x <"),
        ("['x']", "['y']"),
    ]:
        assert defined(text.replace(old, new)).version() != version
    assert ExposedModel.python(doubled, version="mine").version() == "mine"
    assert defined(text).fingerprint().data_version == version


def test_the_version_is_the_same_in_other_processes() -> None:
    source = "def predict(f):\n    return [x for x in f['x'] if x in {'a', 'b', 'c', 'd', 'e'}]"
    code = (
        "from aligned_dagster.sources.exposed import ExposedModel\n"
        f"names = {{'__name__': 'made'}}\nexec({source!r}, names)\n"
        "import sys; sys.stdout.write(ExposedModel.python(names['predict']).version())"
    )
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env={**__import__("os").environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout == defined(source).version()


def test_importing_the_namespace_is_light() -> None:
    code = (
        "import sys, aligned_dagster.sources.exposed, aligned_dagster.sources.exposed.batches as b\n"
        "from aligned_dagster.sources.exposed import ExposedModel as M\n"
        "M.sklearn_at('a.pkl'), M.mlflow('a'), M.mlflow_server('http://a'), M.http('http://a'), M.python(len)\n"
        "heavy = {'sklearn', 'mlflow', 'joblib', 'numpy', 'pandas', 'boto3', 'pyarrow'}\n"
        "sys.exit(', '.join(heavy & {*sys.modules}) or None)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
