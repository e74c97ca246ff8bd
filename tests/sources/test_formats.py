from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aligned_dagster.errors import (
    CastError,
    ConfigurationError,
    PublishError,
    SourceNotFoundError,
    UnreadableSourceError,
)
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.local import CsvConfig, Directory, FileSource, ParquetConfig
from aligned_dagster.sources.source import source_from_json

from .conftest import column

REQUEST = RetrievalRequest(
    "people", Schema((column("id", "string", "entity"), column("age", "int32", optional=True)))
)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, config: CsvConfig | None = None) -> list[tuple[Any, ...]]:
    return FileSource.csv_at(path, csv_config=config).all_data(REQUEST).collect().rows()


def test_null_and_empty_text(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", 'id,age\n"",1\n,2\nNA,\nx,NA\n')
    config = CsvConfig(null_values="NA")  # type: ignore[arg-type]  # one text for a tuple of one
    assert read(path, config) == [("", 1), (None, 2), (None, None), ("x", None)]


def test_column_order_extra_columns_and_bom(tmp_path: Path) -> None:
    assert read(written(tmp_path / "p.csv", b"\xef\xbb\xbfage,other,id\r\n3,?,007\r\n")) == [("007", 3)]


def test_documented_spelling_of_separator() -> None:
    assert CsvConfig.model_validate({"seperator": ";"}) == CsvConfig(separator=";")


def test_encodings(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", "id;age\nÆrø;3\n".encode("latin-1"))
    assert read(path, CsvConfig(separator=";", encoding="latin-1")) == [("Ærø", 3)]
    with pytest.raises(UnreadableSourceError, match="people"), explained("people"):
        read(path, CsvConfig(separator=";"))
    source = FileSource.csv_at(path, csv_config=CsvConfig(encoding="ascii"))
    latin = FileSource.csv_at(path, csv_config=CsvConfig(encoding="latin-1"))
    with pytest.raises(CastError, match="does not exist in latin-1"):
        latin.overwrite(pl.LazyFrame({"id": ["中"]}), REQUEST)
    with pytest.raises(CastError, match="does not exist in ascii"):
        source.overwrite(pl.LazyFrame({"id": ["é"]}), REQUEST)
    assert read(path, CsvConfig(separator=";", encoding="latin-1")) == [("Ærø", 3)]
    with pytest.raises(ValueError, match="no encoding 'latin-99'"):
        CsvConfig(encoding="latin-99")


def test_no_header(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", "007,3\n")
    assert read(path, CsvConfig(header=False)) == [("007", 3)]
    with pytest.raises(UnreadableSourceError, match="3 columns and no header, and the contract has 2"):
        read(written(path, "007,3,4\n"), CsvConfig(header=False))


def test_zip_needs_one_member(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "id\n1\n")
        archive.writestr("b.csv", "id\n1\n")
    with pytest.raises(UnreadableSourceError, match=r"holds 2: a\.csv, b\.csv"):
        read(path)


def test_header_that_names_a_column_twice(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSourceError, match="names 'id' twice"):
        read(written(tmp_path / "p.csv", "id,id,age\n1,2,3\n"))


def test_text_that_would_become_null_is_not_written(tmp_path: Path) -> None:
    source = FileSource.csv_at(tmp_path / "p.csv", csv_config=CsvConfig(null_values=("NA",)))
    with pytest.raises(CastError, match=r"'NA'.*null_values"):
        source.overwrite(pl.LazyFrame({"id": ["NA"]}), REQUEST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "\x00\xff\x00", "id,age\n1,2,3\n"])
def test_damaged_csv(tmp_path: Path, content: str) -> None:
    path = written(tmp_path / "p.csv", content.encode("latin-1"))
    with pytest.raises(Exception, match=r"p\.csv|people") as error, explained("people"):
        read(path)
    assert type(error.value).__module__ == "aligned_dagster.errors"


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_damaged_parquet_is_an_error_and_stays(tmp_path: Path, mode: Any) -> None:
    path = written(tmp_path / "p.parquet", b"PAR1 nonsense PAR1")
    source = FileSource.parquet_at(path)
    with pytest.raises(UnreadableSourceError, match=r"p\.parquet"):
        source.all_data(REQUEST)
    with pytest.raises(UnreadableSourceError, match=r"p\.parquet"):
        source.stage(pl.LazyFrame({"id": ["1"]}), REQUEST, mode)
    assert path.read_bytes() == b"PAR1 nonsense PAR1"
    source.overwrite(pl.LazyFrame({"id": ["1"]}), REQUEST)
    assert source.all_data(REQUEST).collect().rows() == [("1", None)]


def test_missing_file(tmp_path: Path) -> None:
    written(tmp_path / "people.csv", "id\n")
    with pytest.raises(SourceNotFoundError, match=r"peple\.csv.*'people'.*Did you mean 'people\.csv'\?"):
        read(tmp_path / "peple.csv")
    with pytest.raises(SourceNotFoundError, match="is missing too"):
        read(tmp_path / "no" / "p.csv")
    with pytest.raises(UnreadableSourceError, match="is a directory"):
        read(tmp_path)
    query = FileSource.csv_at(tmp_path / "people.csv").all_data(REQUEST)
    (tmp_path / "people.csv").unlink()
    with pytest.raises(SourceNotFoundError, match="'people' cannot be read"), explained("people"):
        query.collect()


def test_insert_does_not_drop_stored_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", "id,age,email\n1,2,a@b\n")
    with pytest.raises(PublishError, match="would lose: email"):
        FileSource.csv_at(path).insert(pl.LazyFrame({"id": ["2"]}), REQUEST)
    assert path.read_text() == "id,age,email\n1,2,a@b\n"


def test_parquet_config(tmp_path: Path) -> None:
    source = FileSource.parquet_at(
        tmp_path / "p.pq", config=ParquetConfig(compression="gzip", row_group_size=2)
    )
    source.overwrite(pl.LazyFrame({"id": [str(n) for n in range(6)]}), REQUEST)
    import pyarrow.parquet as pq

    facts = pq.ParquetFile(tmp_path / "p.pq").metadata
    assert facts.row_group(0).column(0).compression == "GZIP"
    assert facts.num_row_groups == 3
    assert source.fingerprint().rows == 6


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "p.csv", "id\n1\n")
    source = FileSource.directory("~").sub_directory("deep").directory("..").csv_at("p.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "deep").mkdir()
    assert source.uri == str(tmp_path / "p.csv")
    relative = Directory.model_validate({"location": {"path": "."}}).csv_at("p.csv")
    monkeypatch.chdir(tmp_path)
    assert relative.all_data(REQUEST).collect().height == 1
    monkeypatch.chdir("/")
    monkeypatch.setenv("ALIGNED_PROJECT_ROOT", str(tmp_path))
    assert relative.all_data(REQUEST).collect().height == 1
    assert relative.label == "./p.csv"
    assert FileSource.csv_at(f"file://{tmp_path}/p.csv").all_data(REQUEST).collect().height == 1
    with pytest.raises(ConfigurationError, match="AwsS3Config"):
        FileSource.csv_at("s3://bucket/p.csv")


def test_mapping_and_types_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="'id' from both 'A' and 'B'"):
        FileSource.csv_at("p.csv", mapping_keys={"A": "id", "B": "id"})
    with pytest.raises(ConfigurationError, match=r"Did you mean 'file'\?"):
        source_from_json({"type": "fle"})


def test_link_is_followed_and_permissions_are_kept(tmp_path: Path) -> None:
    real = written(tmp_path / "real.csv", "id,age\n1,2\n")
    real.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(real)
    FileSource.csv_at(tmp_path / "link.csv").upsert(pl.LazyFrame({"id": ["2"]}), REQUEST)
    assert (tmp_path / "link.csv").is_symlink()
    assert read(real) == [("1", 2), ("2", None)]
    assert real.stat().st_mode & 0o777 == 0o640
