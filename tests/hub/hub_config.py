"""What the tests' hub loads: our own configuration, on a backend of plain processes."""

from __future__ import annotations

import os
from typing import Any

from jupyterhub_aiinfn.backends.local.agreement import Follower
from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.hub import configuration
from jupyterhub_aiinfn.hub.availability import AvailabilityFeed
from jupyterhub_aiinfn.hub.last_choices import LastChoices
from jupyterhub_aiinfn.hub.platform import Platform
from jupyterhub_aiinfn.values import load_values
from jupyterhub_aiinfn.values.current import CurrentValues
from tests.hub.process_backend import Images, ProcessBackend

os.umask(0o077)
c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821
installation = Installation.from_environment()
values = load_values(installation.values_file)
workloads = installation.state.workloads
backend = ProcessBackend(
    workloads,
    {"card": 2},
    slow=float(os.environ.get("AIINFN_TEST_SLOW", "0")),
    blind="AIINFN_TEST_BLIND" in os.environ,
)
current = CurrentValues(values)
platform = Platform(
    current=current,
    follower=Follower(installation.state, current),
    backend=backend,
    environments=Images(),
    feed=AvailabilityFeed(
        f"{installation.service_url}/services/aiinfn/api/v1/availability/stream",
        installation.state.secret("internal-token"),
    ),
    last_choices=LastChoices(installation.state.hub / "last-choices.json"),
    ticket_key=installation.state.secret("ticket-key"),
)
configuration.write_configuration(c, current, installation, platform)
c.Spawner.consecutive_failure_limit = int(os.environ.get("AIINFN_TEST_FAILURE_LIMIT", "1"))
c.Authenticator.auth_refresh_age = int(os.environ.get("AIINFN_TEST_REFRESH", "60"))
