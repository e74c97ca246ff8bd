"""What stands above a contract that is made of a document: its decorator, its name and its words."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from aligned_dagster.contracts.odcs import KIND
from aligned_dagster.contracts.odcs_reading import Part
from aligned_dagster.contracts.odcs_sources import Table, source_code
from aligned_dagster.contracts.spelling import quoted
from aligned_dagster.contracts.spelling_values import Imports, value_code
from aligned_dagster.errors import ContractError
from aligned_dagster.features.naming import snake_case

_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}
_FRESH = frozenset({"latency", "ly", "freshness"})


class Header:
    """The statement above a class.

    Args:
        document: the whole document.
        part: the object of its schema.
        name: of the contract.
        title: of the class.
        alone: whether the document has no other object.
        classes: name to class of the contracts that stand before it.
        table: what a source must know.
        imports: what the text uses.
    """

    def __init__(
        self,
        document: Part,
        part: Part,
        name: str,
        title: str,
        alone: bool,
        classes: Mapping[str, str],
        table: Table,
        imports: Imports,
    ) -> None:
        self.remarks: list[str] = []
        self._imports = imports
        self._title = title
        self._arguments: list[tuple[str, str]] = []
        self._take_names(document, part, name, alone)
        self._words = part.text("description") or ""
        if alone and not self._words:
            self._words = document.part("description").text("purpose") or ""
        self._explain(document, name)
        self._sources(document, classes, table)
        tags = [*document.texts("tags"), *part.texts("tags")]
        self._add("tags", list(dict.fromkeys(tags)))
        self._add("contacts", _contacts(document))
        self._levels(document, name)
        self._settings(document)

    def text(self) -> str:
        """The decorator and the first lines of the class."""
        said = "".join(f"    {name}={code},\n" for name, code in self._arguments)
        docstring = f'    """{self._words}"""\n\n' if self._is_plain() else ""
        name = self._imports.name("feature_view")
        return f"@{name}(\n{said})\nclass {self._title}:\n{docstring}".rstrip("\n") + (
            "\n" if docstring else ""
        )

    def _is_plain(self) -> bool:
        return re.fullmatch(r"[\w][^\"\\\n\r\x00-\x1f]{0,98}", self._words) is not None and (
            self._words.isprintable() and self._words == self._words.strip()
        )

    def _add(self, name: str, value: object) -> None:
        if value not in (None, [], ""):
            self._arguments.append((name, value_code(value, self._imports)))

    def _take_names(self, document: Part, part: Part, name: str, alone: bool) -> None:
        for word in ("kind", "apiVersion"):
            document.take(word)
        for word in ("id", "name"):
            if document.raw.get(word) == name and alone:
                document.take(word)
        if document.raw.get("status") == "active":
            document.take("status")
        for word in ("logicalType", "physicalType"):
            if part.raw.get(word) in {"object", "table", "view", "file", None}:
                part.take(word)
        if snake_case(self._title) != name:
            self._add("name", name)

    def _explain(self, document: Part, name: str) -> None:
        """The description as an argument, where no docstring can be it; what kinds of contracts are not made here."""
        kind = document.custom(KIND)
        if kind not in {None, "view"}:
            self.remarks.append(
                f"it was a {kind}, which a document of the standard cannot hold: it is a view here"
            )

    def _sources(self, document: Part, classes: Mapping[str, str], table: Table) -> None:
        reads, how = document.custom("reads"), document.custom("readsAs")
        servers = {str(one.raw.get("server")): one for one in document.parts("servers")}
        own = document.custom(KIND) is not None
        code = None
        stored = document.custom("storedAs")
        if stored is not None:
            self.remarks.append(f"materialized_source: {stored}")
        if own and (reads or how):
            if isinstance(reads, list) and len(reads) == 1 and how is None and reads[0] in classes:
                code = classes[reads[0]]
            else:
                self.remarks.append(f"source: {how or ', '.join(map(str, reads))}; say where the rows are")
        elif own and "source" in servers:
            code = source_code(servers["source"], table, self._imports)
        elif not own:
            for server in servers.values():
                code = code or source_code(server, table, self._imports)
                if code is None and server.text("type"):
                    server.remark("type", f"{server.text('type')}: no source is made of it")
        if code is None:
            if not (own and (reads or how)):
                self.remarks.append("source: not told; say where the rows are")
            code = f"{self._imports.name('InMemorySource')}.empty()"
        self._arguments.append(("source", code))
        if own and "storage" in servers:
            target = source_code(servers["storage"], table, self._imports)
            if target:
                self._arguments.append(("materialized_source", target))
        if self._words and not self._is_plain():
            self._arguments.append(("description", quoted(self._words)))

    def _levels(self, document: Part, name: str) -> None:
        known: set[str] = set()
        for one in document.parts("slaProperties"):
            element = str(one.raw.get("element") or name)
            if element.partition(".")[0] != name:
                continue
            unit, value = one.raw.get("unit"), one.raw.get("value")
            word = str(one.raw.get("property"))
            if word in _FRESH and unit in _SECONDS and isinstance(value, int | float):
                argument = f"{'un' if one.raw.get('id') == 'unacceptable' else ''}acceptable_freshness"
                self._take_level(one, argument, known, dt.timedelta(seconds=value * _SECONDS[str(unit)]))
            cron = one.raw.get("schedule")
            if word == "frequency" and one.raw.get("scheduler") == "cron" and isinstance(cron, str):
                self._take_level(one, "schedule", known, cron)

    def _take_level(self, one: Part, argument: str, known: set[str], value: object) -> None:
        if argument in known:
            return
        known.add(argument)
        self._add(argument, value)
        own = {"id", "property", "value", "unit", "element", "scheduler", "schedule"}
        for word in own & set(one.raw):
            one.take(word)
        if str(one.raw.get("description", "")).startswith("A newest row older than this is "):
            one.take("description")

    def _settings(self, document: Part) -> None:
        self._add("on_violation", document.custom("onViolation"))
        self._add("automation", document.custom("automation"))
        if document.custom("materializeFrom") is not None:
            self._add("materialize_from", _day(document, "materializeFrom"))
        self._add("every", document.custom("every"))
        lookback = document.custom("lookbackSeconds")
        if isinstance(lookback, int | float):
            self._add("lookback", dt.timedelta(seconds=lookback))
        self._add("materialize_until", _day(document, "materializeUntil"))
        self._add("time_zone", document.custom("timeZone"))


def _day(document: Part, name: str) -> dt.date | None:
    given = document.custom(name)
    if given is None:
        return None
    try:
        return dt.date.fromisoformat(str(given))
    except ValueError as error:
        raise ContractError(f"The custom property {name} is {given!r}, which is no date.") from error


def _contacts(document: Part) -> list[str]:
    """Who answers for it: the members of the team, which earlier versions of the standard list right away."""
    if isinstance(document.raw.get("team"), list):
        members = document.parts("team")
    elif document.raw.get("team") is None:
        return []
    else:
        members = document.part("team").parts("members")
    return [found for member in members if (found := member.text("username")) is not None]
