"""The image in which a custom source runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from aligned_dagster.errors import ConfigurationError, did_you_mean

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


@dataclass(frozen=True)
class DockerConfig:
    """An image, and how a cluster gets it.

    Credentials are not part of it, for it is shown on the asset: a cluster keeps them as secrets, and the Docker
    launcher in its `registry` config.

    Args:
        image_url: the image's name with its registry and tag, as in "registry.example.org/team/source:1.2".
        image_pull_policy: when Kubernetes pulls it: "Always", "IfNotPresent" or "Never"; as the cluster has it if
            not given.
        image_pull_secrets: names of the Kubernetes secrets that open the registry.

    Raises:
        ConfigurationError: that is no name of an image, or no pull policy.

    >>> DockerConfig("my-custom-image:latest").image_url
    'my-custom-image:latest'
    """

    image_url: str
    image_pull_policy: PullPolicy | None = None
    image_pull_secrets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.image_url, str) or not re.fullmatch(r"[\w.\-/:@]+", self.image_url, re.ASCII):
            raise ConfigurationError(
                f"docker_config={self.image_url!r} is no image. Write it as in 'registry.example.org/team/source:1.2'."
            )
        policies = get_args(PullPolicy)
        if self.image_pull_policy is not None and self.image_pull_policy not in policies:
            raise ConfigurationError(
                f"image_pull_policy={self.image_pull_policy!r} of the image {self.image_url!r} is none of "
                f"{', '.join(policies)}.{did_you_mean(str(self.image_pull_policy), policies)}"
            )
        object.__setattr__(self, "image_pull_secrets", tuple(self.image_pull_secrets))
