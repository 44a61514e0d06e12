"""What the tests' hub loads: our own configuration, on a backend of plain processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.hub import configuration
from jupyterhub_aiinfn.hub.availability import AvailabilityFeed
from jupyterhub_aiinfn.hub.last_choices import LastChoices
from jupyterhub_aiinfn.hub.platform import Platform
from jupyterhub_aiinfn.values import load_values
from tests.hub.process_backend import ProcessBackend


class Images:
    """The image ``missing`` is not built."""

    def ready(self, image: str) -> bool:
        return image != "missing"

    def kernels(self, image: str) -> Path:
        return Path("/nonexistent")

    def build_spec(self, image: str) -> WorkloadSpec:
        return WorkloadSpec(
            kind=WorkloadKind.job,
            job_class=JobClass.platform,
            name=f"environment {image}",
            command=("/bin/sleep", "60"),
            cores=1,
            memory_gib=1,
            key=f"environment-{image}",
        )


os.umask(0o077)
c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821
installation = Installation.from_environment()
values = load_values(installation.values_file)
workloads = installation.state.workloads
backend = ProcessBackend(workloads, {"card": 2}, slow=float(os.environ.get("AIINFN_TEST_SLOW", "0")))
platform = Platform(
    values=values,
    backend=backend,
    environments=Images(),
    feed=AvailabilityFeed(
        f"{installation.service_url}/services/aiinfn/api/v1/availability/stream",
        installation.state.secret("internal-token"),
    ),
    last_choices=LastChoices(installation.state.hub / "last-choices.json"),
    ticket_key=installation.state.secret("ticket-key"),
)
configuration.write_configuration(c, values, installation, platform)
c.Spawner.consecutive_failure_limit = int(os.environ.get("AIINFN_TEST_FAILURE_LIMIT", "1"))
c.Authenticator.auth_refresh_age = int(os.environ.get("AIINFN_TEST_REFRESH", "60"))
