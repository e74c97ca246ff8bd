"""The steps of a run on the workers of Dask: each once for its run, and no more at once than their pools take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._cli.api import _execute_step_command_body
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.stats import StepEventStatus
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import deserialize_value, serialize_value
from distributed import Client, Future

if TYPE_CHECKING:
    from dagster._core.events import DagsterEvent
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan

_LOOKS_EVERY = 10
"""Seconds between two looks at whether Dask still has the steps."""
_OVER = (StepEventStatus.SUCCESS, StepEventStatus.FAILURE, StepEventStatus.SKIPPED)


@dg.executor(
    name="dask",
    config_schema={"address": dg.Field(dg.StringSource, description="Of the scheduler: tcp://host:8786.")},
    requirements=dg.multiple_process_executor_requirements(),
)
def dask_executor(context: dg.InitExecutorContext) -> DaskExecutor:
    """Hands each step to a worker of a scheduler of Dask, as soon as what it depends on is done and its pool has a place.

    That of the package dagster-dask names the task of a step by its job, which is the same for all runs of assets: two runs
    of one asset at a time would share one task, and the partitions of the second would never be computed. It knows no pools
    either.
    """
    return DaskExecutor(str(context.executor_config["address"]))


class DaskExecutor(StepDelegatingExecutor):
    """What `dask_executor` makes of its settings.

    Args:
        address: of the scheduler.
    """

    def __init__(self, address: str) -> None:
        self._workers = _Workers(address)
        super().__init__(self._workers, RetryMode.ENABLED, check_step_health_interval_seconds=_LOOKS_EVERY)

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        """Do the steps, and yield what the workers write of them."""
        with self._workers.connected():
            yield from super().execute(plan_context, execution_plan)


class _Workers(StepHandler):
    """Hands steps to workers, and knows how Dask says they are."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._futures: dict[str, Future] = {}
        self._client: Client | None = None

    @property
    def name(self) -> str:
        return "Dask"

    @contextmanager
    def connected(self) -> Iterator[None]:
        """With a connection to the scheduler, which forgets the steps when it ends."""
        with Client(self._address) as self._client:
            yield
            self._futures.clear()

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        step, attempt = _step(step_handler_context)
        args = step_handler_context.execute_step_args
        assert self._client is not None
        self._futures[step] = self._client.submit(
            do_step, serialize_value(args), key=f"{args.run_id}.{step}.{attempt}"
        )
        return iter(())

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        future = self._futures[_step(step_handler_context)[0]]
        if future.status in ("pending", "finished"):
            return CheckStepHealthResult.healthy()
        reason = repr(future.exception()) if future.status == "error" else f"it is {future.status}"
        return CheckStepHealthResult.unhealthy(f"Dask could not do it: {reason}")

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        self._futures[_step(step_handler_context)[0]].cancel()
        return iter(())


def do_step(packed: str) -> None:
    """Do a step in this process, a worker. What comes of it is in Dagster's storage.

    Dask starts it anew on another worker when this one dies; a step that was over by then is not done again.

    Args:
        packed: the `ExecuteStepArgs`, as text.
    """
    args = deserialize_value(packed, ExecuteStepArgs)
    assert args.instance_ref is not None
    with dg.DagsterInstance.from_ref(args.instance_ref) as instance:
        run = instance.get_run_by_id(args.run_id)
        if run is None or any(
            step.status in _OVER
            for step in instance.get_run_step_stats(args.run_id, args.step_keys_to_execute)
        ):
            return
        for _ in _execute_step_command_body(args, instance, run):
            pass


def _step(context: StepHandlerContext) -> tuple[str, int]:
    """The one step that is meant, and how often it was tried before."""
    args: Any = context.execute_step_args
    [step] = args.step_keys_to_execute
    return step, args.known_state.get_retry_state().get_attempt_count(step)
