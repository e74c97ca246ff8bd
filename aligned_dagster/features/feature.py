"""A feature while a contract is written: immutable, hashable, and the start of derivations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, overload

from aligned_dagster.errors import ContractError
from aligned_dagster.features.constraints import Reference, Unique
from aligned_dagster.features.declared import Declared, Facts
from aligned_dagster.features.deriving import derive, resolve
from aligned_dagster.features.expression import Expression
from aligned_dagster.features.literals import Value, freeze
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.misuse import no_truth
from aligned_dagster.features.operators import Operators, binary
from aligned_dagster.features.prediction import Prediction, PredictionKind

if TYPE_CHECKING:
    from aligned_dagster.features.aggregation import Aggregation
    from aligned_dagster.features.numeric import Float64, UInt64
    from aligned_dagster.features.truth import Bool

F = TypeVar("F", bound="Feature")


class Feature(Operators, Declared):
    """One column of a contract, with what can be derived from a column of any type."""

    __slots__ = ()

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __bool__(self) -> NoReturn:
        raise no_truth()

    @property
    def expression(self) -> Expression:
        """The feature as an expression over the columns of the contract that it was taken from.

        Raises:
            DerivationError: it was not taken from a contract with `View().column`.
        """
        return resolve(self)

    # --- derivations that every type has ----------------------------------------------------------------

    def is_null(self) -> Bool:
        """Whether the value is missing."""
        return derive("is_null", self)

    def is_not_null(self) -> Bool:
        """Whether the value is there."""
        return derive("is_not_null", self)

    def fill_null(self, value: Value | Feature) -> Self:
        """Put a value, or another column's value, in place of null.

        Raises:
            DerivationError: its type does not fit.
        """
        if not isinstance(value, Feature):
            self._check_value(value, "fill_null")
        filled: Feature = derive("fill_null", self, value)
        return derive("cast", filled, self.dtype.text)

    def fill_na(self, value: Value | Feature) -> Self:
        """The name that `aligned` gives to `fill_null`."""
        return self.fill_null(value)

    def is_in(self, values: Iterable[Value]) -> Bool:
        """Whether the value is one of these."""
        frozen = tuple(freeze(value) for value in values)
        for value in frozen:
            self._check_value(value, "is_in")
        return derive("is_in", self, frozen)

    def cast(self, to: F) -> F:
        """The values in another type, as in `cast(Float32())`; a value that does not fit is an error when read."""
        return derive("cast", self, to.dtype.text)

    def hash_value(self) -> UInt64:
        """A 64-bit hash of the value, the same on every platform for one version of polars."""
        return derive("hash", self)

    @overload
    def transform_polars(self, expression: Any, as_dtype: F, using: Sequence[Feature] = ()) -> F: ...
    @overload
    def transform_polars(
        self, expression: Any, as_dtype: None = None, using: Sequence[Feature] = ()
    ) -> Any: ...
    def transform_polars(
        self, expression: Any, as_dtype: Feature | None = None, using: Sequence[Feature] = ()
    ) -> Any:
        """Derive by a function of polars expressions: the escape hatch. See `aligned_dagster.transform_polars`.

        Args:
            expression: takes this column (and those of `using`) as polars expressions and returns one.
            as_dtype: type of the result; asked of polars if not given.
            using: further columns that it reads, so that lineage knows them.
        """
        from aligned_dagster.features.escape import transform

        return transform([self, *using], expression, as_dtype)

    def aggregate(self) -> Aggregation[Self]:
        """Start an aggregation over the rows of an entity, a window or a group."""
        from aligned_dagster.features.aggregation import Aggregation

        return Aggregation(self)

    def agg(self) -> Aggregation[Self]:
        """Short for `aggregate`."""
        return self.aggregate()

    # --- in a model contract ----------------------------------------------------------------------------

    def as_classification_target(self) -> Self:
        """What a model predicts: a class, with this column of its view as the ground truth.

        `survives = Titanic().survived.as_classification_target()`
        """
        return self._predicted("classification")

    def as_classification_label(self) -> Self:
        """The name that `aligned` gives to `as_classification_target`; its own column has no ground truth."""
        return self._predicted("classification")

    def as_regression_target(self) -> Self:
        """What a model predicts: a number, with this column of its view as the ground truth."""
        return self._predicted("regression")

    def as_regression_label(self) -> Self:
        """The name that `aligned` gives to `as_regression_target`; its own column has no ground truth."""
        return self._predicted("regression")

    def probability_of(self, value: Value) -> Float64:
        """How probable a model holds one class of this label: a number from 0 to 1.

        Args:
            value: the class.

        Raises:
            ContractError: the feature is no classification, or the value does not fit its type.
        """
        from aligned_dagster.features.numeric import Float64

        if self.facts.prediction is None or self.facts.prediction.kind != "classification":
            raise ContractError(
                "probability_of is asked of a label: write "
                f"label = View().column.as_classification_target() first.{at(caller())}"
            )
        self._check_value(value, "probability_of")
        told = Prediction("probability", value=freeze(value), label=self)
        return Float64().lower_bound(0).upper_bound(1)._state(prediction=told)

    def _predicted(self, kind: PredictionKind) -> Self:
        """A new column of the same type and value rules, which a model fills."""
        origin = self.origin
        told = Prediction(
            kind,
            view=origin.view if origin else "",
            column=origin.column if origin else "",
            owner=origin.owner if origin else None,
        )
        kept = tuple(rule for rule in self.facts.constraints if not isinstance(rule, Unique | Reference))
        facts = Facts(description=self.facts.description, constraints=kept, prediction=told)
        return self.copy_with(facts=facts, tree=None, grouping=None, origin=None, location=caller())

    # --- operators ------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> Bool:  # type: ignore[override]  # records a comparison, as polars does
        return binary("eq", self, other)

    def __ne__(self, other: object) -> Bool:  # type: ignore[override]  # records a comparison, as polars does
        return binary("ne", self, other)

    def equals(self, other: Any) -> Bool:
        """The same as `==`."""
        return binary("eq", self, other)

    def not_equals(self, other: Any) -> Bool:
        """The same as `!=`."""
        return binary("ne", self, other)
