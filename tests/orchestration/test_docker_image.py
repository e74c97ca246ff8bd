"""The image of a custom source is the image of its asset's step, in the words that launchers read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aligned_dagster import (
    ContractStore,
    CustomMethodDataSource,
    DockerConfig,
    FeatureView,
    FileSource,
    Int32,
    feature_view,
)
from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration import ContractTranslator, build_definitions
from aligned_dagster.sources.source import source_from_json, source_to_json

IMAGE = "registry.example.org:5000/team/taxi:1.2"


def load_taxis() -> dict[str, list[int]]:
    return {"id": [1, 2]}


def definitions(
    tmp_path: Path, image: Any, translator: ContractTranslator | None = None, **options: Any
) -> dg.Definitions:
    @feature_view(
        source=CustomMethodDataSource.from_load(load_taxis, docker_config=image),
        materialized_source=FileSource.parquet_at(tmp_path / "taxi.parquet"),
    )
    class Taxi:
        id = Int32().as_entity()

    @feature_view(source=Taxi, materialized_source=FileSource.parquet_at(tmp_path / "fare.parquet"))
    class Fare:
        id = Int32().as_entity()
        double = id * 2

    return build_definitions(ContractStore([Taxi, Fare]), translator=translator, **options)


def op_tags(defs: dg.Definitions, name: str) -> dict[str, str]:
    return dict(defs.resolve_assets_def(name).op.tags)


def metadata(defs: dg.Definitions, name: str) -> dict[str, Any]:
    return dict(defs.resolve_assets_def(name).metadata_by_key[dg.AssetKey(name)])


@pytest.mark.parametrize("image", [IMAGE, DockerConfig(IMAGE)])
def test_the_image_is_on_the_op_and_on_the_asset(tmp_path: Path, image: Any) -> None:
    # `dagster_k8s.job.get_user_defined_k8s_config` (0.29.27) reads this tag as JSON of this shape, and
    # `construct_dagster_k8s_job` takes the container's image from it; docker_executor reads no tag.
    defs = definitions(tmp_path, image)

    assert json.loads(op_tags(defs, "taxi")["dagster-k8s/config"]) == {"container_config": {"image": IMAGE}}
    assert metadata(defs, "taxi")["docker_image"] == IMAGE


def test_the_step_of_a_run_carries_it(tmp_path: Path) -> None:
    job = definitions(tmp_path, IMAGE).resolve_implicit_global_asset_job_def()

    from dagster._core.execution.api import create_execution_plan

    tags = {step.key: dict(step.tags) for step in create_execution_plan(job).get_all_steps_in_topo_order()}
    assert set(tags["taxi"]) == {"dagster-k8s/config"}
    assert tags["fare"] == {}


def test_only_the_asset_of_the_custom_source_has_it(tmp_path: Path) -> None:
    defs = definitions(tmp_path, IMAGE)
    assert op_tags(defs, "fare") == {}
    assert "docker_image" not in metadata(defs, "fare")

    without = definitions(tmp_path, None)
    assert op_tags(without, "taxi") == {}
    assert "docker_image" not in metadata(without, "taxi")


def test_how_a_cluster_gets_the_image(tmp_path: Path) -> None:
    image = DockerConfig(IMAGE, image_pull_policy="Always", image_pull_secrets=("registry-key",))
    assert json.loads(op_tags(definitions(tmp_path, image), "taxi")["dagster-k8s/config"]) == {
        "container_config": {"image": IMAGE, "image_pull_policy": "Always"},
        "pod_spec_config": {"image_pull_secrets": [{"name": "registry-key"}]},
    }


def test_the_translator_decides(tmp_path: Path) -> None:
    class Bigger(ContractTranslator):
        def get_op_tags(self, view: FeatureView[Any]) -> dict[str, Any]:
            return {**super().get_op_tags(view), "size": view.name}

    defs = definitions(tmp_path, IMAGE, Bigger())
    assert set(op_tags(defs, "taxi")) == {"dagster-k8s/config", "size"}
    assert op_tags(defs, "fare") == {"size": "fare"}


@pytest.mark.parametrize(
    "image", [None, IMAGE, DockerConfig(IMAGE), DockerConfig(IMAGE, "Never", ("one", "two"))]
)
def test_json_holds_it(image: Any) -> None:
    source = CustomMethodDataSource.from_load(load_taxis, docker_config=image)
    again = source_from_json(json.loads(json.dumps(source_to_json(source))))
    assert again == source
    assert isinstance(again, CustomMethodDataSource)
    assert again.docker_config == (DockerConfig(image) if isinstance(image, str) else image)
    named = {**source_to_json(source), "docker_config": IMAGE}
    assert source_from_json(named).docker_config == DockerConfig(IMAGE)  # type: ignore[attr-defined]  # a custom one


def test_what_is_no_image() -> None:
    for wrong in ("", "two words", "a\nb"):
        with pytest.raises(ConfigurationError, match="is no image"):
            CustomMethodDataSource.from_load(load_taxis, docker_config=wrong)
    with pytest.raises(ConfigurationError, match=r"Did you mean 'Always'\?"):
        DockerConfig(IMAGE, image_pull_policy="always")  # type: ignore[arg-type]  # what is tested
