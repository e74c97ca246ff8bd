"""What runs the steps of a run, by the name that a project gives it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args

from aligned_dagster.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    import dagster as dg

Executor = Literal["in_process", "multiprocess", "dask", "celery"]

_OF_DAGSTER = {"in_process": "in_process_executor", "multiprocess": "multiprocess_executor"}
_MODULES = {
    "dask": ("aligned_dagster.orchestration.dask_executor", "distributed"),
    "celery": ("dagster_celery", "dagster-celery"),
}
"""Where the others are, and the package that each of them needs."""
_CONFIGS: dict[str, Any] = {
    "dask": {"address": {"env": "DASK_SCHEDULER_ADDRESS"}},
    "celery": {"broker": {"env": "CELERY_BROKER_URL"}, "backend": {"env": "CELERY_RESULT_BACKEND"}},
}
"""Where those find what they need: in the environment, which a run reads when it starts."""


def checked_executor(name: Any, where: str) -> Executor:
    """The name, when there is such an executor.

    Args:
        name: what the settings say.
        where: they are, for the error.

    Raises:
        ConfigurationError: there is none.
    """
    known: tuple[Executor, ...] = get_args(Executor)
    for one in known:
        if one == name:
            return one
    raise ConfigurationError(
        f"{where} has executor = {name!r}.{did_you_mean(str(name), known)} Use one of: {', '.join(map(repr, known))}."
    )


def executor_named(name: Executor) -> dg.ExecutorDefinition:
    """The executor of a project.

    "in_process" runs one step after another, "multiprocess" each in a process of its own; "dask" hands them to the workers
    of the scheduler that `DASK_SCHEDULER_ADDRESS` names, "celery" to those of the broker that `CELERY_BROKER_URL` names.

    Args:
        name: of the executor.

    Raises:
        ConfigurationError: its package is not installed.
    """
    import dagster as dg

    if name in _OF_DAGSTER:
        found: dg.ExecutorDefinition = getattr(dg, _OF_DAGSTER[name])
        return found
    module_name, package = _MODULES[name]
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            f"executor = {name!r} needs the package {package}: pip install 'aligned-dagster[{name}]'"
        ) from error
    made: dg.ExecutorDefinition = getattr(module, f"{name}_executor").configured(_CONFIGS[name], name=name)
    return made
