"""A user's own function as the asset of a contract: what it returns is audited and published."""

from __future__ import annotations

import hashlib
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.errors import AlignedError, UnsupportedError
from aligned_dagster.orchestration.assets import define_asset
from aligned_dagster.orchestration.io_manager import contract_io_manager
from aligned_dagster.orchestration.metadata import definition_metadata
from aligned_dagster.orchestration.publishing import failure, publish_and_report
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.translator import ContractTranslator

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

_RECIPE = "__aligned_recipe__"


def produces(
    view: FeatureView[Any],
    *,
    ins: Mapping[str, FeatureView[Any] | dg.AssetIn | dg.AssetKey] | None = None,
    deps: Iterable[FeatureView[Any] | dg.AssetKey | str] = (),
    translator: ContractTranslator | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make a function the asset of a contract.

    Its arguments are upstream assets, as in `dagster.asset`: an argument with the name of a contract gets
    that contract's rows as a lazy frame, or in the type it is annotated with. `context` and resources work as
    usual. What it returns, a `pl.LazyFrame`, `pl.DataFrame` or `pandas.DataFrame`, is brought to the
    contract's columns and dtypes, derived, audited and published. Give the asset to `build_definitions(store,
    assets=[...])`, where it takes the place of the one made from the contract's source, or to any
    `dg.Definitions`.

    Args:
        view: the contract; it needs a `materialized_source`.
        ins: argument to contract, asset key or `AssetIn`, where the name alone does not say.
        deps: upstream assets that the function does not take as arguments.
        translator: how the asset looks outside of `build_definitions`, which brings its own.
        options: whatever else `dagster.asset` takes, such as `retry_policy` or `pool`.

    Raises:
        UnsupportedError: the contract stores nothing, or the function is a generator.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        return Recipe(view, function, dict(ins or {}), tuple(deps), options).alone(translator)

    return decorate


def recipe_of(asset: object) -> Recipe | None:
    """How an asset was made with `produces`; None for any other asset."""
    if not isinstance(asset, dg.AssetsDefinition) or not asset.is_executable:
        return None
    node = asset.node_def
    function = getattr(getattr(node, "compute_fn", None), "decorated_fn", None)
    found: Recipe | None = getattr(function, _RECIPE, None)
    return found


@dataclass(frozen=True)
class Recipe:
    """A contract and the function that produces its rows.

    Args:
        view: the contract.
        function: the user's.
        ins: argument to what it takes.
        deps: upstream assets that are not arguments.
        options: further arguments of `dagster.asset`.
    """

    view: FeatureView[Any]
    function: Callable[..., Any]
    ins: Mapping[str, FeatureView[Any] | dg.AssetIn | dg.AssetKey]
    deps: tuple[FeatureView[Any] | dg.AssetKey | str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = getattr(self.function, "__name__", repr(self.function))
        if self.view.is_virtual:
            raise UnsupportedError(
                f"{name!r} cannot produce {self.view.name!r}, which stores nothing: give the contract a "
                f"materialized_source. ({self.view.location})"
            )
        if inspect.isgeneratorfunction(self.function) or inspect.iscoroutinefunction(self.function):
            raise UnsupportedError(
                f"{name!r} produces {self.view.name!r} and must return a frame; "
                "generators and async functions are not taken."
            )

    @property
    def named_views(self) -> list[FeatureView[Any]]:
        """The contracts that `ins` and `deps` name as objects."""
        return [item for item in (*self.ins.values(), *self.deps) if _is_view(item)]  # type: ignore[misc]  # _is_view narrows it

    def alone(self, translator: ContractTranslator | None) -> dg.AssetsDefinition:
        """The asset with an IO manager of its own, for definitions that have no other contracts."""
        translator = translator or ContractTranslator()
        registry = ContractRegistry.of([self.view, *self.named_views], translator)
        return self.build(registry, translator, io_manager=contract_io_manager(registry))

    def build(
        self,
        registry: ContractRegistry,
        translator: ContractTranslator,
        *,
        io_manager: dg.IOManagerDefinition | None = None,
    ) -> dg.AssetsDefinition:
        """The asset among the contracts of a registry.

        Args:
            registry: finds contracts by name.
            translator: decides how the asset looks.
            io_manager: reads the contracts, where no resource does.
        """
        view = registry.views[self.view.name]
        manager = registry.key_of(view.name).to_python_identifier("io_manager") if io_manager else None
        signature, hints = _signature(self.function)
        takes_context = "context" in signature.parameters
        keys = {name: self._in(name, registry, manager) for name in signature.parameters}
        ins = {name: item for name, item in keys.items() if item is not None}
        loaded = {item.key for item in ins.values()}
        extra = {f"reference_{n}": name for n, name in enumerate(sorted(view.references() - {view.name}))}
        for argument, name in extra.items():
            ins[argument] = dg.AssetIn(registry.key_of(name), input_manager_key=manager)
        taken = {name: a for a, name in extra.items() if registry.key_of(name) in loaded}
        for name, argument in taken.items():  # the function takes it too; one asset cannot be two inputs
            ins.pop(argument)
            extra[next(a for a, item in ins.items() if item.key == registry.key_of(name))] = extra.pop(
                argument
            )

        def compute(
            context: dg.AssetExecutionContext, **arguments: Any
        ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
            frames = {name: _lazy(arguments[argument], argument) for argument, name in extra.items()}
            given = {name: value for name, value in arguments.items() if name in signature.parameters}
            result = self.function(context, **given) if takes_context else self.function(**given)
            try:
                frame = _lazy(result, f"{self.function.__name__}()")
            except AlignedError as error:
                raise failure(error, registry.key_of(view.name)) from error
            yield from publish_and_report(context, view, registry, translator, frames=frames, frame=frame)

        compute.__signature__ = _with(signature, extra)  # type: ignore[attr-defined]  # inspect reads it
        compute.__annotations__ = {**hints, "context": dg.AssetExecutionContext}
        compute.__doc__ = self.function.__doc__
        setattr(compute, _RECIPE, self)
        return define_asset(
            compute,
            view,
            registry,
            translator,
            ins=ins,
            deps=[self._key(item, registry) for item in self.deps],
            code_version=_code_version(view, self.function),
            metadata=definition_metadata(view, registry, translator, lineage=False),
            io_manager=io_manager,
            **self.options,
        )

    def _in(self, name: str, registry: ContractRegistry, manager: str | None) -> dg.AssetIn | None:
        """What an argument takes, where the name alone would not lead Dagster there."""
        item = self.ins.get(name, registry.views.get(name))
        if item is None or isinstance(item, dg.AssetIn):
            return item
        return dg.AssetIn(self._key(item, registry), input_manager_key=manager if _is_view(item) else None)

    @staticmethod
    def _key(item: Any, registry: ContractRegistry) -> dg.AssetKey:
        return registry.key_of(item.name) if _is_view(item) else dg.AssetKey.from_coercible(item)


def _is_view(item: object) -> bool:
    from aligned_dagster.contracts.feature_view import FeatureView

    return isinstance(item, FeatureView)


def _signature(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """The function's parameters and its annotations with strings resolved."""
    hints = typing.get_type_hints(function, include_extras=True)
    hints.pop("return", None)
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=hints.get(p.name, p.empty)) for p in signature.parameters.values()]
    return inspect.Signature(parameters), hints


def _with(signature: inspect.Signature, extra: Mapping[str, str]) -> inspect.Signature:
    """The signature that Dagster sees: the context first, the function's own parameters, the references."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = [p for p in signature.parameters.values() if p.name != "context"]
    added = [inspect.Parameter(name, kind) for name in extra if name not in signature.parameters]
    context = inspect.Parameter("context", kind, annotation=dg.AssetExecutionContext)
    return inspect.Signature([context, *own, *added])


def _lazy(value: object, origin: str) -> pl.LazyFrame:
    """The value as a lazy frame.

    Raises:
        UnsupportedError: it is no frame.
    """
    if isinstance(value, pl.LazyFrame):
        return value
    if isinstance(value, pl.DataFrame):
        return value.lazy()
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return pl.from_pandas(value).lazy()
    raise UnsupportedError(
        f"{origin} gave a {type(value).__name__}. Return a pl.LazyFrame, pl.DataFrame or pandas.DataFrame."
    )


def _code_version(view: FeatureView[Any], function: Callable[..., Any]) -> str:
    """Changes with the contract and with the text of the function."""
    try:
        text = inspect.getsource(function)
    except OSError:
        text = function.__code__.co_code.hex()
    return hashlib.sha256(f"{view.code_version}\n{text}".encode()).hexdigest()[:32]
