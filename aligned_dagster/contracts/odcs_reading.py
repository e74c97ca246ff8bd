"""Reading a YAML document of others: every part knows its path, and what of it has not been taken yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aligned_dagster.errors import ContractError


class Part:
    """A mapping in the document. What is asked of it counts as carried over; the rest is told in the end.

    Args:
        raw: the mapping.
        path: where it stands, as in `schema[0].properties[2]`.

    >>> part = Part({"name": "id", "examples": [1]}, "schema[0].properties[0]")
    >>> part.need("name"), part.rest()
    ('id', ['schema[0].properties[0].examples: [1]'])
    """

    def __init__(self, raw: Mapping[str, Any], path: str) -> None:
        self.raw = raw
        self.path = path
        self.remarks: list[str] = []
        self._taken: set[str] = set()
        self._inner: dict[str, list[Part]] = {}

    def __contains__(self, name: str) -> bool:
        return self.raw.get(name) is not None

    def take(self, name: str) -> Any:
        """A value of any type, as it stands there; None where there is none."""
        self._taken.add(name)
        return self.raw.get(name)

    def text(self, name: str) -> str | None:
        """A text, if there is one.

        Raises:
            ContractError: there is something else.
        """
        found: str | None = self._typed(name, str, "a text")
        return found

    def need(self, name: str) -> str:
        """A text that must be there.

        Raises:
            ContractError: it is not.
        """
        found = self.text(name)
        if not found:
            raise ContractError(f"{self._at(name)} is missing.")
        return found

    def flag(self, name: str) -> bool | None:
        """A truth value, if there is one.

        Raises:
            ContractError: there is something else.
        """
        found: bool | None = self._typed(name, bool, "true or false")
        return found

    def number(self, name: str) -> int | float | None:
        """A number, if there is one.

        Raises:
            ContractError: there is something else.
        """
        found: int | float | None = self._typed(name, int | float, "a number")
        if isinstance(found, bool):
            raise ContractError(f"{self._at(name)} must be a number, not {found!r}.")
        return found

    def texts(self, name: str) -> list[str]:
        """A list of texts.

        Raises:
            ContractError: there is something else.
        """
        found = self._typed(name, list, "a list of texts") or []
        for at, item in enumerate(found):
            if not isinstance(item, str):
                raise ContractError(f"{self._at(name)}[{at}] must be a text, not {item!r}.")
        return list(found)

    def part(self, name: str) -> Part:
        """A mapping within; an empty one where there is none.

        Raises:
            ContractError: there is something else.
        """
        if name not in self._inner:
            found = self._typed(name, Mapping, "a mapping")
            self._inner[name] = [Part(found or {}, self._at(name))]
        return self._inner[name][0]

    def parts(self, name: str) -> list[Part]:
        """The mappings of a list.

        Raises:
            ContractError: there is something else.
        """
        if name not in self._inner:
            found = self._typed(name, list, "a list of mappings") or []
            for at, item in enumerate(found):
                if not isinstance(item, Mapping):
                    raise ContractError(f"{self._at(name)}[{at}] must be a mapping, not {item!r}.")
            self._inner[name] = [Part(item, f"{self._at(name)}[{at}]") for at, item in enumerate(found)]
        return self._inner[name]

    def custom(self, name: str) -> Any:
        """The value of a custom property; None where there is none."""
        for one in self.parts("customProperties"):
            if one.raw.get("property") == name:
                one.take("property")
                return one.take("value")
        return None

    def remark(self, name: str, value: str) -> None:
        """Note what is carried over only in part."""
        self.remarks.append(f"{self._at(name)}: {value}")

    def rest(self) -> list[str]:
        """What was not carried over, one line each, with its path."""
        return [*self.remarks, *self._left()]

    def _left(self) -> Iterator[str]:
        for name, value in self.raw.items():
            if name in self._inner:
                for inner in self._inner[name]:
                    yield from inner.rest()
            elif name not in self._taken and value is not None:
                yield f"{self._at(str(name))}: {json.dumps(value, ensure_ascii=False, default=str)}"

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _typed(self, name: str, kind: Any, words: str) -> Any:
        found = self.take(name)
        if found is not None and not isinstance(found, kind):
            raise ContractError(f"{self._at(name)} must be {words}, not {found!r}.")
        return found
