"""Base classes that tell mypy what the decorators make of a class; to pyright and at run time they are empty.

mypy takes no notice of what a decorator of a class returns, so `Titanic.query()` is unknown to it. Their metaclass,
which only mypy sees, has the methods of a contract. Pyright knows what the decorators return.
"""

from __future__ import annotations

from typing import Any, TypeVar

MYPY = False
"""What mypy, and mypy alone, takes for true."""

if MYPY:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.model import ModelContract

    C = TypeVar("C")

    class _ViewClass(FeatureView[Any], type):
        def __call__(cls: type[C]) -> C: ...

    class _ModelClass(ModelContract[Any], type):
        def __call__(cls: type[C]) -> C: ...

    class TypedView(metaclass=_ViewClass):
        """A class for `@feature_view` that mypy knows the methods of."""

    class TypedModel(metaclass=_ModelClass):
        """A class for `@model_contract` that mypy knows the methods of."""

else:

    class TypedView:
        """A base class that tells mypy the methods of a feature view; optional, and without effect at run time.

        >>> from aligned_dagster import InMemorySource, Int32, TypedView, feature_view
        >>> @feature_view(source=InMemorySource.from_values({"passenger_id": [1, 2]}))
        ... class Titanic(TypedView):
        ...     passenger_id = Int32().as_entity()
        >>> Titanic.query().all().collect().height
        2
        """

    class TypedModel:
        """A base class that tells mypy the methods of a model contract; optional, and without effect at run time."""
