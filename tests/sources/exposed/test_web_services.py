"""Models behind HTTP: a server on loopback that fails in every way, and never shows a secret."""

from __future__ import annotations

import datetime as dt
import pickle
import socket
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from aligned_dagster.errors import (
    AccessDeniedError,
    AlignedError,
    CastError,
    ConfigurationError,
    MissingColumnError,
    SourceError,
    UnavailableSourceError,
    UnreadableSourceError,
)
from aligned_dagster.sources.exposed import (
    ExposedModel,
    Outputs,
    exposed_from_json,
    exposed_to_json,
    web_service,
)

from .model_server import ModelServer, Reply, doubling, model_server, saying
from .predicting import answers, numbered

SECRET = "c4n4ry-s3cr3t"
ROWS = numbered(x=[1, 2, 3, 4, 5])
OUTPUTS = Outputs(label="y", dtype=pl.Int64(), version="model")


def failing(model: ExposedModel, rows: pl.DataFrame = ROWS, **options: Any) -> AlignedError:
    with pytest.raises(AlignedError) as found:
        answers(model, rows, OUTPUTS, **options)
    assert "model of 'delays', asked for rows 0 to" in str(found.value)
    assert SECRET not in str(found.getrepr(style="long"))
    return found.value


def test_batches_are_posted_in_order(server: ModelServer) -> None:
    found = answers(ExposedModel.http(server.url, version="v3"), ROWS, OUTPUTS, batch_rows=2)
    assert found.rows() == [(n, (n + 1) * 2, "v3") for n in range(5)]
    assert [question for question, _ in server.asked] == [
        {"columns": ["x"], "rows": rows, "outputs": ["y"]} for rows in ([[1], [2]], [[3], [4]], [[5]])
    ]
    assert {headers["Content-Type"] for _, headers in server.asked} == {"application/json"}


def test_the_service_may_tell_its_version(server: ModelServer) -> None:
    server.steps = [saying({"columns": ["y"], "rows": [[1]], "version": version}) for version in ("a", 2)]
    model = ExposedModel.http(server.url)
    found = answers(model, numbered(x=[1, 2, 3]), OUTPUTS, batch_rows=1)
    assert found["model"].to_list() == ["a", "2", model.version()]
    assert model.version().startswith("url-") and model.fingerprint().data_version == model.version()


def test_values_as_json(server: ModelServer) -> None:
    server.always = lambda question: Reply({"columns": ["y"], "rows": [[1]]})
    rows = pl.DataFrame(
        {
            "row": [0],
            "f": [float("nan")],
            "n": [None],
            "d": [Decimal("1.50")],
            "b": [True],
            "t": [dt.datetime(2013, 1, 2, tzinfo=dt.UTC)],
            "day": [dt.date(2013, 1, 2)],
            "s": [dt.timedelta(seconds=90)],
            "raw": [b"\x00"],
            "list": [[1, 2]],
            "struct": [{"day": dt.date(2013, 1, 2)}],
        }
    )
    answers(ExposedModel.http(server.url), rows, OUTPUTS)
    (row,) = server.asked[0][0]["rows"]
    moment, day = "2013-01-02T00:00:00+00:00", "2013-01-02"
    assert row == [None, None, 1.5, True, moment, day, 90.0, "AA==", [1, 2], {"day": day}]
    with pytest.raises(CastError, match="feature 'x' has an infinite value"):
        answers(ExposedModel.http(server.url), numbered(x=[float("inf")]), OUTPUTS)


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
def test_a_busy_service_is_asked_again(server: ModelServer, pauses: list[float], status: int) -> None:
    server.steps = [doubling, saying("busy", status), saying("busy", status, Retry_After="7"), doubling]
    told: list[str] = []
    found = answers(ExposedModel.http(server.url), ROWS, OUTPUTS, batch_rows=2, log=told.append)
    assert found["y"].to_list() == [2, 4, 6, 8, 10]
    assert len(pauses) == 2 and pauses[0] < 1 and pauses[1] == 7
    again = [line for line in told if "Trying" in line]
    assert again[0].startswith(f"rows 2 to 3: {server.url} answered {status}: busy Trying again in ")
    assert [question["rows"] for question, _ in server.asked[1:4]] == [[[3], [4]]] * 3


def test_a_broken_connection_is_tried_again(server: ModelServer, pauses: list[float]) -> None:
    half = saying('{"columns": ', Content_Length="1000", Connection="close")
    server.steps = [None, half]
    assert answers(ExposedModel.http(server.url), ROWS, OUTPUTS)["y"].to_list() == [2, 4, 6, 8, 10]
    assert len(pauses) == 2 and len(server.asked) == 3


def test_a_service_that_stays_busy(server: ModelServer, pauses: list[float]) -> None:
    server.steps = [doubling]
    server.always = saying("overloaded", 503, Retry_After="9999")
    with pytest.raises(UnavailableSourceError) as found:
        answers(ExposedModel.http(server.url), ROWS, OUTPUTS, batch_rows=2, retries=2)
    assert "asked for rows 2 to 3, gave no answer in 3 tries" in str(found.value)
    assert "answered 503: overloaded" in str(found.value)
    assert pauses == [60.0, 60.0] and len(server.asked) == 4


def test_a_service_that_is_not_there(pauses: list[float]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        found = failing(ExposedModel.http(url), retries=1)
    assert isinstance(found, UnavailableSourceError) and "refused" in str(found)
    assert len(pauses) == 1


def test_a_service_that_never_answers(pauses: list[float]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        found = failing(ExposedModel.http(url, timeout=0.2), retries=1)
    assert isinstance(found, UnavailableSourceError) and "timed out" in str(found)


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (saying("no such route", 404), SourceError, "answered 404: no such route"),
        (saying("Traceback", 500), SourceError, "answered 500: Traceback"),
        (
            saying("", 302, Location="http://127.0.0.1:1/"),
            ConfigurationError,
            "answered 302 and points elsewhere",
        ),
        (saying("<html>"), UnreadableSourceError, "no JSON: <html>"),
        (saying(""), UnreadableSourceError, "no JSON"),
        (saying("[" * 100_000), UnreadableSourceError, "no JSON"),
        (saying([1, 2, 3, 4, 5]), UnreadableSourceError, r"with \[1, 2, 3, 4, 5\]. It should answer with"),
        (saying({"columns": "y", "rows": [[1]]}), UnreadableSourceError, "It should answer with"),
        (
            saying({"columns": ["y", "y"], "rows": [[1, 2]] * 5}),
            UnreadableSourceError,
            "It should answer with",
        ),
        (saying({"columns": ["y"], "rows": [[1, 2]] * 5}), UnreadableSourceError, "It should answer with"),
        (saying({"columns": ["y"], "rows": [1] * 5}), UnreadableSourceError, "It should answer with"),
        (saying({"columns": ["y"], "rows": [[1]] * 4}), UnreadableSourceError, "answered with 4 rows for 5"),
        (saying({"columns": [], "rows": []}), UnreadableSourceError, "answered with 0 rows for 5"),
        (saying({"columns": ["z"], "rows": [[1]] * 5}), MissingColumnError, "gave no column 'y'"),
        (saying({"columns": ["y"], "rows": [[1]] * 4 + [["a"]]}), UnreadableSourceError, r"'a' \(str\)"),
        (
            saying({"columns": ["y"], "rows": [["a"]] * 5}),
            CastError,
            "gave 'a' in column 'y', which is no Int64",
        ),
        (saying({"columns": ["y"], "rows": [[1.5]] * 5}), CastError, "gave 1.5 in column 'y'"),
        (
            saying({"columns": ["y"], "rows": [[2**70]] * 5}),
            AlignedError,
            "1180591620717411303424|column 'y'",
        ),
    ],
)
def test_other_answers_end_it(
    server: ModelServer, pauses: list[float], reply: Any, error: type[AlignedError], words: str
) -> None:
    server.always = reply
    found = failing(ExposedModel.http(server.url))
    assert isinstance(found, error)
    with pytest.raises(AlignedError, match=words):
        raise found
    assert len(server.asked) == 1 and not pauses, "only what may pass is tried again"


def test_an_answer_without_end_is_not_read_whole(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_service, "LARGEST_ANSWER", 1000)
    server.always = saying({"columns": ["y"], "rows": [[1]] * 5, "padding": "." * 1000})
    assert "more than 1,000 bytes" in str(failing(ExposedModel.http(server.url)))


class TestSecrets:
    @pytest.fixture(autouse=True)
    def secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_MODEL_TOKEN", f"Bearer {SECRET}")

    def model(self, server: ModelServer) -> ExposedModel:
        return ExposedModel.http(server.url, headers_env={"Authorization": "TEST_MODEL_TOKEN"})

    def test_headers_are_sent_and_not_held(self, server: ModelServer) -> None:
        model = self.model(server)
        assert answers(model, ROWS, OUTPUTS)["y"].sum() == 30
        assert server.asked[0][1]["Authorization"] == f"Bearer {SECRET}"
        form = exposed_to_json(model)
        assert form["headers_env"] == {"Authorization": "TEST_MODEL_TOKEN"}
        assert exposed_from_json(form) == model == pickle.loads(pickle.dumps(model))
        assert SECRET not in f"{form} {model!r} {model} {pickle.dumps(model)!r}"

    @pytest.mark.parametrize("status", [200, 401, 404, 429])
    def test_a_service_that_says_them_back(
        self, server: ModelServer, pauses: list[float], status: int
    ) -> None:
        for said in (f"you are Bearer {SECRET}", {"token": SECRET}):
            server.always = saying(said, status)
            told: list[str] = []
            assert "***" in str(failing(self.model(server), log=told.append, retries=1))
            assert SECRET not in str(told)

    def test_refused(self, server: ModelServer) -> None:
        server.always = saying("who are you?", 403)
        found = failing(self.model(server))
        assert isinstance(found, AccessDeniedError) and "Look at TEST_MODEL_TOKEN" in str(found)

    def test_they_are_not_sent_on(self, server: ModelServer) -> None:
        with model_server() as other:
            server.always = saying("", 302, Location=other.url)
            assert "points elsewhere" in str(failing(self.model(server)))
            assert not other.asked

    def test_what_no_header_may_have(self, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
        for value in (f"{SECRET}\nX-Other: 1", f"{SECRET} é"):
            monkeypatch.setenv("TEST_MODEL_TOKEN", value)
            assert "TEST_MODEL_TOKEN, the header Authorization" in str(failing(self.model(server)))
        monkeypatch.delenv("TEST_MODEL_TOKEN")
        assert "is not set" in str(failing(self.model(server)))
        assert not server.asked

    @pytest.mark.parametrize(
        "make",
        [
            lambda: ExposedModel.http(f"http://user:{SECRET}@models.example/"),
            lambda: ExposedModel.http(f"http://models.example/?code={SECRET}"),
            lambda: ExposedModel.http(
                "http://models.example/", headers_env={"Authorization": f"Bearer {SECRET}"}
            ),
            lambda: ExposedModel.mlflow_server(f"http://user:{SECRET}@models.example/"),
            lambda: ExposedModel.mlflow(f"https://user:{SECRET}@models.example/model"),
            lambda: ExposedModel.http(f"{SECRET}"),
        ],
    )
    def test_they_cannot_be_given_in_the_open(self, make: Any) -> None:
        with pytest.raises(ConfigurationError) as found:
            make()
        assert SECRET not in str(found.value)


def test_only_http_is_asked() -> None:
    with pytest.raises(ConfigurationError, match="begins with http"):
        ExposedModel.http("file:///etc/passwd")


class TestMlflowProtocol:
    """What a scoring server of MLflow may say; a real one is asked in test_mlflow.py."""

    @pytest.mark.parametrize(
        "predictions", [[2, 4, 6, 8, 10], [[2], [4], [6], [8], [10]], [{"0": n} for n in (2, 4, 6, 8, 10)]]
    )
    def test_predictions(self, server: ModelServer, predictions: list[Any]) -> None:
        server.always = saying({"predictions": predictions})
        root = server.url.removesuffix("/predict")
        model = ExposedModel.mlflow_server(root, version="3")
        assert model.uri == f"{root}/invocations" == ExposedModel.mlflow_server(model.uri).uri
        found = answers(model, ROWS, OUTPUTS)
        assert found["y"].to_list() == [2, 4, 6, 8, 10] and set(found["model"]) == {"3"}
        split = {"columns": ["x"], "data": [[1], [2], [3], [4], [5]]}
        assert server.asked[0][0] == {"dataframe_split": split}
        assert exposed_from_json(exposed_to_json(model)) == model

    def test_named_predictions(self, server: ModelServer) -> None:
        server.always = saying({"predictions": [{"y": n, "p": 0.5} for n in range(5)]})
        found = answers(
            ExposedModel.mlflow_server(server.url), ROWS, Outputs(label="y", probabilities={"p": 1})
        )
        assert found["p"].to_list() == [0.5] * 5

    @pytest.mark.parametrize(
        ("said", "words"),
        [
            ({"outputs": [1]}, 'It should answer with {"predictions"'),
            ({"predictions": [1, 2]}, "answered with 2 rows for 5"),
            ({"predictions": [[1, 2]] * 5}, "which is no Int64"),
        ],
    )
    def test_other_answers(self, server: ModelServer, said: Any, words: str) -> None:
        server.always = saying(said)
        assert words in str(failing(ExposedModel.mlflow_server(server.url)))
