"""What is shipped for other machines loads with the classes that it names, limits what runs, and shows no secret."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.config import PoolGranularity
from kubernetes.config import incluster_config

from .fleet import HOMES

LAUNCHERS = {
    "multiprocess": ("WatchedRunLauncher", PoolGranularity.OP),
    "dask": ("WatchedRunLauncher", PoolGranularity.OP),
    "celery": ("WatchedCeleryRunLauncher", PoolGranularity.RUN),
    "kubernetes": ("K8sRunLauncher", PoolGranularity.RUN),
    "ecs": ("EcsRunLauncher", PoolGranularity.RUN),
}
SECRET = "hunter2"


@pytest.fixture
def home(tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in which every profile finds what it names, as in a pod of a cluster."""
    for name, value in {
        "DAGSTER_PG_URL": postgres_database.replace("postgresql://", "postgresql+psycopg2://"),
        "DAGSTER_LOGS_BUCKET": "logs",
        "CELERY_BROKER_URL": f"redis://:{SECRET}@127.0.0.1:1/0",
        "CELERY_RESULT_BACKEND": f"redis://:{SECRET}@127.0.0.1:1/1",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "DAGSTER_RUN_IMAGE": "team/project:1.2",
        "DAGSTER_K8S_NAMESPACE": "data",
        "DAGSTER_K8S_CONFIG_MAP": "dagster-instance",
        "DAGSTER_K8S_ACCOUNT": "dagster",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("SERVICE_TOKEN_FILENAME", "SERVICE_CERT_FILENAME"):
        (tmp_path / name).write_text("of the pod", "utf-8")
        monkeypatch.setattr(incluster_config, name, str(tmp_path / name))
    return tmp_path


def test_every_profile_is_tried() -> None:
    shipped = {path.name.split(".")[1] for path in HOMES.glob("dagster.*.yaml")}
    assert shipped == {*LAUNCHERS, "production"}  # which has a module of its own


@pytest.mark.parametrize("profile", LAUNCHERS)
def test_a_profile_loads_and_limits_what_runs(profile: str, home: Path) -> None:
    shutil.copy(HOMES / f"dagster.{profile}.yaml", home / "dagster.yaml")
    launcher, granularity = LAUNCHERS[profile]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.run_launcher).__name__ == launcher
        assert instance.run_launcher.supports_check_run_worker_health
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled and instance.run_retries_max_retries > 0
        assert not instance.run_retries_retry_on_asset_or_op_failure
        limits = instance.get_concurrency_config()
        assert limits.run_queue_config is not None and limits.run_queue_config.max_concurrent_runs > 0
        assert limits.pool_config.default_pool_limit == 4
        assert limits.pool_config.pool_granularity == granularity
        assert SECRET not in instance.info_str() + repr(instance.run_launcher.inst_data)


def test_a_run_that_is_terminated_under_celery_is_over_soon(home: Path) -> None:
    shutil.copy(HOMES / "dagster.celery.yaml", home / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.run_monitoring_cancel_timeout_seconds == 30


def test_a_job_of_kubernetes_gets_its_secret_and_its_cores(home: Path) -> None:
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import construct_dagster_k8s_job

    shutil.copy(HOMES / "dagster.kubernetes.yaml", home / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, K8sRunLauncher)
        run = instance.create_run_for_job(dg.GraphDefinition(name="elsewhere").to_job())
        context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=True)
        config = context.get_k8s_job_config(None, launcher)
        job = construct_dagster_k8s_job(
            config, ["dagster", "api"], "one-run", user_defined_k8s_config=context.run_k8s_config
        )
    assert job.spec.ttl_seconds_after_finished == 86_400
    [container] = job.spec.template.spec.containers
    assert container.image == "team/project:1.2"
    assert [source.secret_ref.name for source in container.env_from if source.secret_ref] == ["dagster-run"]
    given = {variable.name: variable.value for variable in container.env}
    assert given["POLARS_MAX_THREADS"] == container.resources.requests["cpu"]
    assert given["DAGSTER_LOGS_BUCKET"] == "logs"
    assert SECRET not in str(job)
