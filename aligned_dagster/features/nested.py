"""Values that hold values: lists, structs and embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from aligned_dagster.errors import ContractError, UnknownFeatureError, did_you_mean
from aligned_dagster.features.deriving import derive
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.text import Sized

if TYPE_CHECKING:
    from aligned_dagster.features.numeric import Integer, Number
    from aligned_dagster.features.text import String
    from aligned_dagster.features.truth import Bool


class List(Sized):
    """A list of values of one type.

    Args:
        sub_type: an instance of the items' type, as in `List(Int32())`.
    """

    __slots__ = ()
    kind: ClassVar[str] = "list"

    def __init__(self, sub_type: Feature) -> None:
        super().__init__(DataType("list", inner=sub_type.dtype))

    def contains(self, value: Any) -> Bool:
        """Whether a value is among the items."""
        return derive("list.contains", self, value)

    def contains_any(self, values: Iterable[Any]) -> Bool:
        """Whether at least one of these is among the items."""
        found = [self.contains(value) for value in values]
        if not found:
            raise ContractError(f"contains_any needs at least one value.{at(caller())}")
        result = found[0]
        for other in found[1:]:
            result = result | other
        return result

    def at_index(self, index: int) -> Any:
        """The item at a place, from the end if negative; null where the list is shorter."""
        return derive("list.get", self, index, null_on_oob=True)

    def first(self) -> Any:
        """The first item; null in an empty list."""
        return self.at_index(0)

    def last(self) -> Any:
        """The last item; null in an empty list."""
        return self.at_index(-1)

    def length(self) -> Integer:
        """The number of items."""
        return derive("list.len", self)

    def sum(self) -> Number:
        """The items added up."""
        return derive("list.sum", self)

    def mean(self) -> Number:
        """The mean of the items."""
        return derive("list.mean", self)

    def max(self) -> Any:
        """The greatest item."""
        return derive("list.max", self)

    def min(self) -> Any:
        """The smallest item."""
        return derive("list.min", self)

    def join(self, separator: str) -> String:
        """The items of a list of texts as one text."""
        return derive("list.join", self, separator)


class Struct(Feature):
    """Named values in one column.

    Args:
        fields: name to an instance of the type, as in `Struct({"city": String()})`.
    """

    __slots__ = ()
    kind: ClassVar[str] = "struct"

    def __init__(self, fields: Mapping[str, Feature]) -> None:
        super().__init__(DataType("struct", fields=tuple((name, f.dtype) for name, f in fields.items())))

    def field(self, name: str, as_type: Feature | None = None) -> Any:
        """The value of a field, in a type if one is given.

        Raises:
            UnknownFeatureError: the struct has no such field.
        """
        names = [known for known, _ in self.dtype.fields]
        if name not in names:
            raise UnknownFeatureError(
                f"The struct has no field {name!r}.{did_you_mean(name, names)} Fields: {', '.join(names)}.{at(caller())}"
            )
        value: Feature = derive("struct.field", self, name)
        return value if as_type is None else value.cast(as_type)


class Embedding(Feature):
    """A vector of fixed length.

    Args:
        embedding_size: the number of values.
        sub_type: an instance of their type; Float32 if not given.
    """

    __slots__ = ()
    kind: ClassVar[str] = "embedding"

    def __init__(self, embedding_size: int, sub_type: Feature | None = None) -> None:
        if embedding_size < 1:
            raise ContractError(f"An embedding has at least one value; got {embedding_size}.{at(caller())}")
        inner = sub_type.dtype if sub_type is not None else DataType("float32")
        super().__init__(DataType("embedding", inner=inner, size=embedding_size))

    def at_index(self, index: int) -> Number:
        """The value at a place."""
        return derive("arr.get", self, index)

    def dot_product(self, other: Embedding) -> Number:
        """The sum of the products of the values of two embeddings of one size.

        Raises:
            ContractError: the sizes differ.
        """
        if self.dtype.size != other.dtype.size:
            raise ContractError(
                f"dot_product needs two embeddings of one size; got {self.dtype.size} and {other.dtype.size}.{at(caller())}"
            )
        products: Feature = derive("mul", self, other)
        return derive("arr.sum", products)
