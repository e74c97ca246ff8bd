"""Point-in-time examples that people know from Feast's and aligned's documents, with the answers promised there."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from aligned_dagster import (
    Bool,
    ContractStore,
    CreatedTimestamp,
    EventTimestamp,
    FeatureView,
    Float,
    InMemorySource,
    Int32,
    Int64,
    String,
    feature_view,
)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]  # year, month, day, hour, ...


def store_of(*contracts: Any) -> ContractStore:
    views = [contract for contract in contracts if isinstance(contract, FeatureView)]
    assert len(views) == len(contracts)
    return ContractStore(views)


# --- Feast, "Quickstart" (docs.feast.dev/getting-started/quickstart): driver hourly stats ------------------------
# The feature repository is the one of the quickstart (ttl of a day), and so is the entity dataframe. The quickstart
# makes up its rates at random; these are four hours of them, with one row that came in late.

HOURS = [utc(2021, 4, 12, 7), utc(2021, 4, 12, 8), utc(2021, 4, 12, 10), utc(2021, 4, 12, 16)]
DRIVER_STATS = pl.DataFrame(
    {
        "driver_id": [driver for driver in (1001, 1002, 1003) for _ in HOURS],
        "event_timestamp": HOURS * 3,
        "created": [*HOURS * 2, *HOURS[:3], utc(2021, 4, 12, 17)],
        "conv_rate": [number / 10 for number in range(12)],
        "acc_rate": [number / 100 for number in range(12)],
        "avg_daily_trips": list(range(100, 112)),
    }
)


@feature_view(source=InMemorySource(DRIVER_STATS))
class DriverHourlyStats:
    driver_id = Int64().as_entity()
    event_timestamp = EventTimestamp(ttl=dt.timedelta(days=1))
    created = CreatedTimestamp()
    conv_rate = Float()
    acc_rate = Float()
    avg_daily_trips = Int64()


ENTITY_DF = {
    "driver_id": [1001, 1002, 1003],
    "event_timestamp": [
        dt.datetime(2021, 4, 12, 10, 59, 42),
        dt.datetime(2021, 4, 12, 8, 12, 10),
        dt.datetime(2021, 4, 12, 16, 40, 26),
    ],
    "label_driver_reported_satisfaction": [1, 5, 3],
    "val_to_add": [1, 2, 3],
    "val_to_add_2": [10, 20, 30],
}
STATS = [f"driver_hourly_stats:{name}" for name in ("conv_rate", "acc_rate", "avg_daily_trips")]


def test_feast_quickstart_training_data() -> None:
    import pandas as pd

    job = store_of(DriverHourlyStats).features_for(pd.DataFrame(ENTITY_DF), STATS)
    found = job.collect()
    assert found.columns == [*ENTITY_DF, "conv_rate", "acc_rate", "avg_daily_trips"]
    assert found.select(list(ENTITY_DF)).to_dict(as_series=False) == ENTITY_DF
    # 10:59 gets the row of 10:00, 08:12 that of 08:00; that of 16:00 was written at 17:00, so 16:40 gets 10:00's.
    assert found["avg_daily_trips"].to_list() == [102, 105, 110]
    assert found["conv_rate"].to_list() == [0.2, 0.5, 1.0]
    assert job.report().leaked == 0


def test_feast_quickstart_batch_scoring_with_the_time_of_now() -> None:
    # The quickstart: entity_df["event_timestamp"] = pd.to_datetime("now", utc=True); past the ttl nothing is left.
    for now, trips in ((utc(2021, 4, 13, 1), [103, 107, 111]), (utc(2021, 4, 14), [None] * 3)):
        facts = pl.DataFrame(ENTITY_DF).with_columns(event_timestamp=pl.lit(now))
        found = store_of(DriverHourlyStats).features_for(facts, STATS).collect()
        assert found["avg_daily_trips"].to_list() == trips


def test_feast_quickstart_online_features() -> None:
    # get_online_features(entity_rows=[{"driver_id": 1004}, {"driver_id": 1005}]) of the quickstart, and a known one.
    rows = [{"driver_id": 1004}, {"driver_id": 1001}]
    found = store_of(DriverHourlyStats).features_for(rows, STATS).collect()
    assert found["avg_daily_trips"].to_list() == [None, 103]


def test_feast_point_in_time_joins_and_their_ttl() -> None:
    # Feast, "Point-in-time joins" (docs.feast.dev/getting-started/concepts/point-in-time-joins): a ttl of two hours
    # reaches back from the time of each row of the entity dataframe, and rows outside of it give null.
    hours = dt.timedelta(hours=2)
    facts = {
        "driver_id": [1001] * 4,
        "event_timestamp": [HOURS[2], HOURS[2] + hours, HOURS[3], utc(2021, 4, 12, 13)],
    }
    found = store_of(DriverHourlyStats).features_for(facts, STATS, max_age=hours).collect()
    assert found["avg_daily_trips"].to_list() == [102, 102, 103, None]


# --- aligned, README: the titanic passengers -----------------------------------------------------------------------
# store.features_for({"passenger_id": [1, 50, 110]}, ...) of the README, with these passengers of the data set.

PASSENGERS = pl.DataFrame(
    {
        "passenger_id": [110, 1, 50],
        "age": [None, 22.0, 18.0],
        "name": [
            "Moran, Miss. Bertha",
            "Braund, Mr. Owen Harris",
            "Arnold-Franchi, Mrs. Josef (Josefine Franchi)",
        ],
        "sex": ["female", "male", "female"],
        "survived": [True, False, False],
        "sibsp": [1, 1, 1],
        "cabin": [None, None, None],
    },
    schema_overrides={"cabin": pl.String},
)


@feature_view(source=InMemorySource(PASSENGERS))
class Titanic:
    passenger_id = Int32().as_entity()
    age = Float().is_optional().lower_bound(0).upper_bound(110)
    name = String()
    sex = String().accepted_values(["male", "female"])
    survived = Bool()
    sibsp = Int32().lower_bound(0)
    cabin = String().is_optional()
    has_siblings = sibsp > 0
    is_male, is_female = sex.one_hot_encode(["male", "female"])
    is_mr = name.contains(r"Mr\.")


def test_aligned_titanic_features_of_three_passengers() -> None:
    features = [
        f"titanic:{name}" for name in ("age", "is_male", "is_female", "is_mr", "has_siblings", "survived")
    ]
    found = store_of(Titanic).features_for({"passenger_id": [1, 50, 110]}, features).collect()
    assert found.rows() == [
        (1, 22.0, True, False, True, True, False),
        (50, 18.0, False, True, False, True, False),
        (110, None, False, True, False, True, True),
    ]
    assert isinstance(Titanic, FeatureView)
    alone = Titanic.query().select("age", "is_mr").features_for({"passenger_id": [50, 1, 7]}).collect()
    assert alone.rows() == [(50, 18.0, False), (1, 22.0, True), (7, None, None)]


# --- Feast, "Real-time credit scoring on AWS" (github.com/feast-dev/feast-aws-credit-scoring-tutorial) --------------
# The feature views with their ttl (90 days of credit history by dob_ssn, ten years of zip codes), the loan table with
# both entities, and the loan request of the tutorial.

ZIPCODES = pl.DataFrame(
    {
        "zipcode": [76104, 76104, 94109],
        "event_timestamp": [utc(2017, 1, 1), utc(2021, 1, 1), utc(2017, 1, 1)],
        "created_timestamp": [utc(2017, 1, 1), utc(2021, 1, 1), utc(2017, 1, 1)],
        "city": ["FORT WORTH", "FORT WORTH", "SAN FRANCISCO"],
        "population": [10534, 10999, 43543],
    }
)
CREDIT = pl.DataFrame(
    {
        "dob_ssn": ["19630621_4278", "19630621_4278", "19790429_9552"],
        "event_timestamp": [utc(2020, 4, 26, 18, 1, 4), utc(2020, 8, 26), utc(2020, 4, 26, 18, 1, 4)],
        "created_timestamp": [utc(2020, 4, 26, 18, 1, 4), utc(2020, 8, 27), utc(2020, 4, 26, 18, 1, 4)],
        "credit_card_due": [8419, 3343, 5944],
        "missed_payments_1y": [0, 1, 3],
        "bankruptcies": [0, 0, 1],
    }
)


@feature_view(source=InMemorySource(ZIPCODES))
class ZipcodeFeatures:
    zipcode = Int64().as_entity()
    event_timestamp = EventTimestamp(ttl=dt.timedelta(days=3650))
    created_timestamp = CreatedTimestamp()
    city = String()
    population = Int64()


@feature_view(source=InMemorySource(CREDIT))
class CreditHistory:
    dob_ssn = String().as_entity()
    event_timestamp = EventTimestamp(ttl=dt.timedelta(days=90))
    created_timestamp = CreatedTimestamp()
    credit_card_due = Int64()
    missed_payments_1y = Int64()
    bankruptcies = Int64()


LOANS = pl.DataFrame(
    {
        "loan_id": [10000, 10001, 10002, 10003, 10001],
        "dob_ssn": ["19630621_4278", "19790429_9552", "19630621_4278", "19630621_4278", "19790429_9552"],
        "zipcode": [76104, 94109, 76104, 11963, 94109],
        "event_timestamp": [
            utc(2020, 8, 25, 20, 34, 41),
            utc(2020, 7, 25, 18, 1, 4),
            utc(2020, 8, 26, 12),
            utc(2021, 1, 2),
            utc(2020, 7, 25, 18, 1, 4),
        ],
        "loan_status": [1, 0, 0, 0, 0],
    }
)
CREDIT_SCORING = [
    "zipcode_features:city",
    "zipcode_features:population",
    "credit_history:credit_card_due",
    "credit_history:missed_payments_1y",
    "credit_history:bankruptcies",
]


def test_feast_credit_scoring_training_data() -> None:
    job = store_of(ZipcodeFeatures, CreditHistory).features_for(LOANS, CREDIT_SCORING)
    found = job.collect()
    # Feast's default store drops loans without a match, and one of two loans that share keys and time; here all stay.
    assert found.select(LOANS.columns).equals(LOANS)
    assert found.drop(LOANS.columns).rows() == [
        ("FORT WORTH", 10534, None, None, None),  # its credit history is older than 90 days
        ("SAN FRANCISCO", 43543, 5944, 3, 1),  # the 90th day to the second
        ("FORT WORTH", 10534, None, None, None),  # the new history happened, but was not written yet
        (None, None, None, None, None),  # an unknown zip code, an old history
        ("SAN FRANCISCO", 43543, 5944, 3, 1),
    ]
    turned = store_of(ZipcodeFeatures, CreditHistory).features_for(LOANS, CREDIT_SCORING[::-1]).collect()
    assert turned.select(found.columns).equals(found)
    report = job.report()
    assert (report.leaked, report.rows_in, report.rows_out) == (0, 5, 5)
    assert [view.matched for view in report.views] == [4, 2]


def test_feast_credit_scoring_of_a_loan_request() -> None:
    request = {
        "zipcode": [76104],
        "dob_ssn": ["19630621_4278"],
        "person_age": [133],
        "person_income": [59000],
    }
    found = store_of(ZipcodeFeatures, CreditHistory).features_for(request, CREDIT_SCORING).collect()
    assert found.drop(*request).rows() == [("FORT WORTH", 10999, 3343, 1, 0)]
