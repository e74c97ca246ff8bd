"""What a column of a model contract says about a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from aligned_dagster.features.literals import Value, value_from_json, value_to_json

PredictionKind = Literal["classification", "regression", "probability", "version"]


@dataclass(frozen=True)
class Prediction:
    """The part of a prediction that a column holds.

    Args:
        kind: "classification" or "regression" for what is predicted, "probability" of one class, or the "version" of
            the model that predicted.
        view: name of the view that has the ground truth; empty where none is known.
        column: the ground truth's column there.
        of: for a probability the column of the label that it belongs to.
        value: for a probability the class.
        owner: the view of that name.
    """

    kind: PredictionKind
    view: str = ""
    column: str = ""
    of: str = ""
    value: Value = None
    owner: object = field(default=None, compare=False, repr=False)
    label: object = field(default=None, compare=False, repr=False)
    """The label's feature, until the contract tells its name."""

    def named(self, names: Mapping[int, str]) -> Prediction | None:
        """The same with the label's column in place of its feature; None where the contract has no such column.

        Args:
            names: id of each feature of the contract to its name.
        """
        if self.label is None:
            return self
        name = names.get(id(self.label))
        return None if name is None else replace(self, of=name, label=None)

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        form: dict[str, Any] = {"kind": self.kind}
        for name in ("view", "column", "of"):
            if getattr(self, name):
                form[name] = getattr(self, name)
        if self.kind == "probability":
            form["value"] = value_to_json(self.value)
        return form

    @staticmethod
    def from_json(form: Mapping[str, Any]) -> Prediction:
        """Read what `to_json` wrote."""
        words = {name: form.get(name, "") for name in ("view", "column", "of")}
        return Prediction(form["kind"], value=value_from_json(form.get("value")), **words)
