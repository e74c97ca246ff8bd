"""The base of all sources and configs: a wrong field or value is told in a sentence, without what it held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from aligned_dagster.errors import WrongSettingError, did_you_mean
from aligned_dagster.features.location import at, caller

if TYPE_CHECKING:
    from pydantic import BaseModel as Settings
else:

    class _Told(type(BaseModel)):
        """Takes the place of pydantic's own class of models only where somebody makes one by its name."""

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if args and cls.__init__ is BaseModel.__init__:
                fields = [name for name in cls.model_fields if name not in {"type", "kind"}]
                raise WrongSettingError(
                    f"{cls.__name__} takes its fields by their names, as in {cls.__name__}({(fields or ['...'])[0]}=...). "
                    f"Fields: {', '.join(fields)}.{at(caller())}"
                )
            try:
                return super().__call__(*args, **kwargs)
            except ValidationError as error:
                told = explained_setting(cls, error)
            raise told

    class Settings(BaseModel, metaclass=_Told):
        """A source or a config, with fields that are checked when it is made."""


__all__ = ["Settings", "explained_setting"]

_MEANT = {"sep": "separator", "delimiter": "separator", "url": "env_var", "na_values": "null_values"}
"""Field of other tools to the one of ours."""


def explained_setting(model: type[BaseModel], error: ValidationError) -> WrongSettingError:
    """What is wrong with the fields of a model, in a sentence each.

    Args:
        model: what was made.
        error: what pydantic found.
    """
    known = [name for name in model.model_fields if name not in {"type", "kind"}]
    hides = bool(model.model_config.get("hide_input_in_errors"))
    sentences = []
    for problem in error.errors(include_url=False, include_context=False):
        field = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            meant = did_you_mean(field, known) or (
                f" Did you mean {_MEANT[field]!r}?" if _MEANT.get(field) in known else ""
            )
            sentences.append(f"{model.__name__} has no field {field!r}.{meant} Fields: {', '.join(known)}.")
        elif problem["type"] == "missing":
            sentences.append(f"{model.__name__} needs {field}.")
        else:
            words = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            words = words.replace("Input should be", "it should be").rstrip(".")
            given = "" if hides or words.startswith("the ") else f"={problem['input']!r}"
            where = f"{field}{given}: " if field else ""
            sentences.append(f"{model.__name__}: {where}{words}.")
    return WrongSettingError(f"{' '.join(sentences)}{at(caller())}")
