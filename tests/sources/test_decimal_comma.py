"""Numbers as most of Europe writes them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from aligned_dagster import CsvConfig, Decimal, FileSource, Float, Int32, feature_view
from aligned_dagster.errors import CastError

TEXT = "id;amount;total\n1;-3,5;1.234,50\n2;;12,00\n"


def test_a_decimal_comma_is_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(TEXT)
    config = CsvConfig(separator=";", decimal=",", thousands=".")

    @feature_view(
        source=FileSource.csv_at(str(tmp_path / "in.csv"), csv_config=config),
        materialized_source=FileSource.csv_at(str(tmp_path / "out.csv"), csv_config=config),
    )
    class Sale:
        id = Int32().as_entity()
        amount = Float().is_optional()
        total = Decimal(10, 2)

    rows = Sale.compute().collect()
    assert rows["amount"].to_list() == [-3.5, None]
    assert rows["total"].cast(pl.Float64).to_list() == [1234.5, 12.0]
    Sale.query().overwrite(rows)
    assert (tmp_path / "out.csv").read_text() == "id;amount;total\n1;-3,5;1234,50\n2;;12,00\n"
    assert Sale.query().all().collect().equals(rows)


def test_without_the_setting_the_error_names_it(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(TEXT)

    @feature_view(source=FileSource.csv_at(str(tmp_path / "in.csv"), csv_config=CsvConfig(separator=";")))
    class Sale:
        id = Int32().as_entity()
        amount = Float().is_optional()

    with pytest.raises(CastError, match=r"-3,5.*CsvConfig\(decimal=','\)"):
        Sale.query().all().collect()


def test_a_wrong_separator_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(TEXT)

    @feature_view(source=FileSource.csv_at(str(tmp_path / "in.csv")))
    class Sale:
        id = Int32().as_entity()

    with pytest.raises(Exception, match=r"separated by ';': use csv_config=CsvConfig\(separator=';'\)"):
        Sale.query().all().collect()


def test_a_typo_in_a_mapping_of_an_optional_column_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,Coupon\n1,SPRING\n")

    @feature_view(source=FileSource.csv_at(str(tmp_path / "in.csv"), mapping_keys={"Coupn": "coupon"}))
    class Sale:
        id = Int32().as_entity()
        coupon = Float().is_optional()

    with pytest.raises(Exception, match="Did you mean 'Coupon'"):
        Sale.query().all().collect()
