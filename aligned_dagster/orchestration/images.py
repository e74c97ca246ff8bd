"""The image in which an asset's step runs, told as the launchers read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligned_dagster.sources.custom import CustomMethodDataSource

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.sources.docker_config import DockerConfig

# What dagster-k8s and dagster-docker 0.29.27 read of an asset:
# - k8s_job_executor: the op tag, parsed by dagster_k8s.job.get_user_defined_k8s_config, called in
#   dagster_k8s.executor.K8sStepHandler._get_container_context with the tags of the step. Its container's `image` comes
#   before that of the executor, the launcher and the code location (dagster_k8s.job.construct_dagster_k8s_job).
# - K8sRunLauncher: the same tag of the run (dagster_k8s.container_context.K8sContainerContext.create_for_run); op tags
#   do not become run tags, so a job that runs whole in the image needs `define_asset_job(..., tags=...)`.
# - docker_executor and DockerRunLauncher: no tag at all. DockerStepHandler._get_image and
#   DockerRunLauncher._get_docker_image take the code location's image, then the one of their own config.
K8S_CONFIG = "dagster-k8s/config"
"""The tag whose JSON is what Kubernetes is told of a container."""


def docker_config(view: FeatureView[Any]) -> DockerConfig | None:
    """The image that the contract's own source asks for; None where the source is no function, or asks for none."""
    return view.source.docker_config if isinstance(view.source, CustomMethodDataSource) else None


def image_tags(image: DockerConfig) -> dict[str, Any]:
    """The op tags, or the tags of a run, by which a step or run executes in an image.

    Args:
        image: the image, and how a cluster gets it.

    >>> from aligned_dagster.sources.docker_config import DockerConfig
    >>> image_tags(DockerConfig("team/source:1.2"))
    {'dagster-k8s/config': {'container_config': {'image': 'team/source:1.2'}}}
    """
    container = {"image": image.image_url}
    if image.image_pull_policy is not None:
        container["image_pull_policy"] = image.image_pull_policy
    config: dict[str, Any] = {"container_config": container}
    if image.image_pull_secrets:
        secrets = [{"name": name} for name in image.image_pull_secrets]
        config["pod_spec_config"] = {"image_pull_secrets": secrets}
    return {K8S_CONFIG: config}
