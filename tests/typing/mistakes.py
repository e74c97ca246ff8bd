"""What type checkers must not accept; tests/test_typing.py holds that each line is a mistake at run time too.

An ignore that is not needed is an error itself, for mypy as for pyright.
"""

from __future__ import annotations

from aligned_dagster import (
    Bool,
    Duration,
    Float,
    InMemorySource,
    Int32,
    String,
    Timestamp,
    TypedView,
    feature_view,
)

amount, shop, at, span, flag = Float(), String(), Timestamp(), Duration(), Bool()


@feature_view(source=InMemorySource.from_values({"order_id": [1], "amount": [1.0]}))
class Sales(TypedView):
    """Sales."""

    order_id = Int32().as_entity()
    amount = Float()


mistakes = [
    lambda: amount + "a",  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: shop + 1,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: shop * 2,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: at + at,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: at + 1,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: flag + flag,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: shop & shop,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: ~amount,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: -shop,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: amount < "a",  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: span > 5,  # type: ignore[arg-type]  # pyright: ignore[reportOperatorIssue]
    lambda: amount.rond(),  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    lambda: amount.to_lowercase(),  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    lambda: shop.aggregate().std(),  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    lambda: float(amount),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lambda: amount[0],  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    lambda: len(shop),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lambda: "a" in shop,  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    lambda: Int32(5),  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    lambda: feature_view(sourc=None),  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    lambda: Sales.qery(),  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    lambda: Sales().amuont,  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    lambda: Sales.query().al(),  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    lambda: 1 if amount > 1 else 2,  # pyright: ignore[reportGeneralTypeIssues]  # mypy takes any object here
    lambda: not flag,  # pyright: ignore[reportGeneralTypeIssues]  # mypy takes any object here
]
