"""The documents in a YAML file of the Open Data Contract Standard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aligned_dagster.contracts.odcs_reading import Part
from aligned_dagster.errors import ContractError


def documents_in(text: str, label: str) -> list[Part]:
    """The contracts in a text of YAML or JSON, each with the path at which it begins.

    Args:
        text: one document or several.
        label: what the text is called in messages.

    Raises:
        ContractError: it is no YAML, names a key twice, or holds no contract of version 3 of the standard.
    """
    import yaml

    try:
        loaded = [one for one in yaml.load_all(text, _loader()) if one is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ContractError(f"{label} is no YAML: {error}") from error
    if not loaded:
        raise ContractError(f"{label} is empty. It must hold a contract of the Open Data Contract Standard.")
    found = []
    for at, one in enumerate(loaded):
        where = f"document {at + 1} of {label}" if len(loaded) > 1 else label
        if not isinstance(one, Mapping) or one.get("kind") != "DataContract":
            raise ContractError(
                f"{where} is no contract of the Open Data Contract Standard: it has no `kind: DataContract`."
            )
        version = one.get("apiVersion")
        if not isinstance(version, str) or not version.startswith("v3."):
            raise ContractError(
                f"apiVersion of {where} is {version!r}; versions v3.0 to v3.2 are read. Upgrade the contract first."
            )
        found.append(Part(one, f"document[{at}]" if len(loaded) > 1 else ""))
    return found


@cache
def _loader() -> Any:
    """YAML's safe loader, in which dates stay texts, as in the standard, and no key stands twice."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            twice = sorted({key for key in keys if isinstance(key, str) and keys.count(key) > 1})
            if twice:
                line = node.start_mark.line + 1
                raise ValueError(f"the key {twice[0]!r} stands twice in the mapping at line {line}.")
            made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
            return made

    Loader.yaml_implicit_resolvers = {
        sign: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for sign, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader
