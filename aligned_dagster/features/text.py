"""Text, and what is stored as text: UUIDs and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from aligned_dagster.errors import ContractError
from aligned_dagster.features import constraints as rules
from aligned_dagster.features.constraints import OnViolation
from aligned_dagster.features.deriving import derive
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.feature import F, Feature
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.numeric import Ordered
from aligned_dagster.features.operator_types import TextOperators
from aligned_dagster.features.prediction import Prediction

if TYPE_CHECKING:
    from aligned_dagster.features.nested import List
    from aligned_dagster.features.numeric import Float64, Int64, Integer
    from aligned_dagster.features.temporal import Date, Timestamp
    from aligned_dagster.features.truth import Bool


class Sized(Feature):
    """Values that have a length."""

    __slots__ = ()

    def min_length(self, length: int, *, on_violation: OnViolation | None = None) -> Self:
        """Allow no fewer characters (items of a list); the length itself is allowed."""
        return self.with_constraint(rules.MinLength(_length(length), on_violation=on_violation))

    def max_length(self, length: int, *, on_violation: OnViolation | None = None) -> Self:
        """Allow no more characters (items of a list); the length itself is allowed."""
        return self.with_constraint(rules.MaxLength(_length(length), on_violation=on_violation))


def _length(length: int) -> int:
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise ContractError(f"A length is a whole number that is not negative; got {length!r}.{at(caller())}")
    return length


class String(TextOperators, Ordered, Sized):
    """Text."""

    __slots__ = ()
    kind: ClassVar[str] = "string"

    def __init__(self) -> None:
        super().__init__(DataType(self.kind))

    def as_model_version(self) -> Self:
        """In a model contract: which model predicted, filled by the exposed model."""
        return self._state(prediction=Prediction("version"))

    # --- rules ------------------------------------------------------------------------------------------

    def validate_regex(self, pattern: str, *, on_violation: OnViolation | None = None) -> Self:
        """Allow only texts that match a pattern somewhere; anchor it by ^ and $ for the whole text.

        Raises:
            ContractError: it is no pattern of Rust's regex crate.
        """
        return self.with_constraint(rules.Regex(rules.check_pattern(pattern), on_violation=on_violation))

    def regex(self, pattern: str, *, on_violation: OnViolation | None = None) -> Self:
        """Short for `validate_regex`."""
        return self.validate_regex(pattern, on_violation=on_violation)

    def validate_starts_with(self, prefix: str, *, on_violation: OnViolation | None = None) -> Self:
        """Allow only texts that start so."""
        return self.with_constraint(rules.StartsWith(prefix, on_violation=on_violation))

    def validate_ends_with(self, suffix: str, *, on_violation: OnViolation | None = None) -> Self:
        """Allow only texts that end so."""
        return self.with_constraint(rules.EndsWith(suffix, on_violation=on_violation))

    def validate_startswith(self, prefix: str) -> Self:
        """The name that `aligned` gives to `validate_starts_with`."""
        return self.validate_starts_with(prefix)

    def validate_endswith(self, suffix: str) -> Self:
        """The name that `aligned` gives to `validate_ends_with`."""
        return self.validate_ends_with(suffix)

    # --- derivations ------------------------------------------------------------------------------------

    def to_lowercase(self) -> String:
        """In small letters."""
        return derive("str.to_lowercase", self)

    def to_uppercase(self) -> String:
        """In capital letters."""
        return derive("str.to_uppercase", self)

    def strip(self, characters: str | None = None) -> String:
        """Without white space (or the given characters) at either end."""
        return derive("str.strip_chars", self, characters)

    def contains(self, pattern: str, literal: bool = False) -> Bool:
        """Whether a pattern (or, if literal, the text itself) is found."""
        if not literal:
            rules.check_pattern(pattern)
        return derive("str.contains", self, pattern, literal=literal)

    def starts_with(self, prefix: str) -> Bool:
        """Whether the text starts so."""
        return derive("str.starts_with", self, prefix)

    def ends_with(self, suffix: str) -> Bool:
        """Whether the text ends so."""
        return derive("str.ends_with", self, suffix)

    def replace(self, values: Mapping[str, str]) -> String:
        """Each whole value that is a key in place of which its value stands; others stay."""
        return derive("replace", self, dict(values))

    def replace_all(self, pattern: str, value: str, literal: bool = False) -> String:
        """Every match of a pattern replaced."""
        return derive("str.replace_all", self, pattern, value, literal=literal)

    def split(self, separator: str) -> List:
        """The parts between separators."""
        return derive("str.split", self, separator)

    def slice(self, offset: int, length: int | None = None) -> String:
        """So many characters from a place, counted from the end if negative."""
        return derive("str.slice", self, offset, length)

    def extract(self, pattern: str, group: int = 1) -> String:
        """What a group of a pattern matches first; null where nothing does."""
        return derive("str.extract", self, rules.check_pattern(pattern), group)

    def find(self, pattern: str, literal: bool = True) -> Integer:
        """Byte offset of the first match; null where there is none."""
        return derive("str.find", self, pattern, literal=literal)

    def count_matches(self, pattern: str, literal: bool = False) -> Integer:
        """How often a pattern is found."""
        return derive("str.count_matches", self, pattern, literal=literal)

    def len_chars(self) -> Integer:
        """The number of characters."""
        return derive("str.len_chars", self)

    def zfill(self, length: int) -> String:
        """With zeros before it, up to a length."""
        return derive("str.zfill", self, length)

    def append(self, other: Any) -> String:
        """With another text behind it."""
        from aligned_dagster.features.truth import concat_str

        text: String = concat_str(self, other)
        return text

    def prepend(self, other: Any) -> String:
        """With another text before it."""
        from aligned_dagster.features.truth import concat_str

        text: String = concat_str(other, self)
        return text

    def as_float(self) -> Float64:
        """The number that the text writes."""
        return derive("cast", self, "float64")

    def as_int(self) -> Int64:
        """The whole number that the text writes."""
        return derive("cast", self, "int64")

    def to_date(self, format: str | None = None) -> Date:
        """The date that the text writes, by a strftime pattern or ISO 8601."""
        return derive("str.to_date", self, format)

    def to_timestamp(self, format: str, time_zone: str = "UTC") -> Timestamp:
        """The time that the text writes by a strftime pattern, in a zone."""
        from aligned_dagster.features.temporal import as_timestamp

        naive: Feature = derive("str.to_datetime", self, format, time_unit="us")
        return as_timestamp(naive, time_zone)

    def one_hot_encode(self, values: Sequence[str]) -> tuple[Bool, ...]:
        """One truth value per value given, in order: `is_male, is_female = sex.one_hot_encode(["male", "female"])`."""
        return tuple(self == value for value in values)

    def ordinal_categories(self, values: Sequence[str]) -> Integer:
        """The place of the value in a list, from 0; null where it is not in it."""
        numbered = {value: number for number, value in enumerate(values)}
        return derive("replace_strict", self, numbered, default=None)


class UUID(String):
    """A universally unique identifier, as text."""

    __slots__ = ()
    kind: ClassVar[str] = "uuid"


class Json(TextOperators, Feature):
    """A JSON document, as text."""

    __slots__ = ()
    kind: ClassVar[str] = "json"

    def __init__(self) -> None:
        super().__init__(DataType("json"))

    def json_path_value_at(self, path: str, as_type: F) -> F:
        """The first value at a JSONPath, as in `$.address.city`, in a type.

        Args:
            path: where it stands.
            as_type: an instance of the type, as in `Int32()`.
        """
        text: Feature = derive("str.json_path_match", self, path)
        return derive("cast", text, as_type.dtype.text)
