"""The whole configuration of the hub, made from the values and the installation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.agreement import Follower
from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from . import cancelling, new_rows, pages
from . import values as values_handlers
from .availability import AvailabilityFeed
from .last_choices import LastChoices
from .password import PasswordAuthenticator
from .people import People
from .platform import EnvironmentCache, Platform
from .refusals import QuietRefusals
from .saving import SavingProxy
from .session_environment import FIRST_PAGE
from .spawner_local import LocalSpawner

HERE = Path(__file__).parent
SERVICE = "aiinfn"
SUPERVISOR = "aiinfn-supervisor"
SERVICE_SCOPES = ("start:servers", "read:servers")
"""What the service does in its own name: start a session whose environment is ready, and see whether it came up.
Who somebody is, it asks with that person's token."""
ACCESS_SERVICE = f"access:services!service={SERVICE}"
ROLE = {"name": "aiinfn-service", "services": [SERVICE], "scopes": list(SERVICE_SCOPES)}
SESSION_SCOPES = ("users:activity!user", "access:servers!server", "delete:servers!server", ACCESS_SERVICE)
"""What a session's own token may do: report activity, be reached, end itself (and no other session), and use the
platform service as its person. It may start nothing: a session that could would outlive its own end."""
NAMES_PER_PERSON = 50
"""Named servers that may exist, stopped ones included; how many may run is decided by the limits."""


def write_configuration(
    c: Any, values: Values | CurrentValues, installation: Installation, platform: Platform | None = None
) -> None:
    """Write everything into ``c``. The hub reads its configuration within its event loop: the watches begin here.

    ``platform`` is for whoever brings another backend.
    """
    current = CurrentValues.of(values)
    platform = platform or make_platform(current, installation)
    logging.getLogger("JupyterHub").addFilter(QuietRefusals())
    _addresses(c, platform.values, installation)
    _storage(c, installation)
    _people(c, platform, installation)
    _service(c, platform.values, installation)
    _sessions(c, platform, installation)
    pages.configure(c, platform)
    begin(platform)


def begin(platform: Platform) -> None:
    """Have the watches begin with the hub's event loop; without one (tests of the configuration) nothing happens."""
    with contextlib.suppress(RuntimeError):
        loop = asyncio.get_running_loop()
        loop.call_soon(platform.start)
        platform.warming = loop.create_task(pages.compile_templates())


def make_platform(current: CurrentValues, installation: Installation) -> Platform:
    """What the hub's parts share, on one machine."""
    from jupyterhub_aiinfn.backends.local.backend import LocalBackend
    from jupyterhub_aiinfn.backends.local.environments import Environments

    state = installation.state
    environments = Environments(current, installation.values_file, installation.cache)
    cache: EnvironmentCache = environments

    def readable(spec: WorkloadSpec) -> list[Path]:
        return [environments.path(spec.image)] if spec.image else []

    return Platform(
        current=current,
        backend=LocalBackend(current, state, images=environments.readiness, readable=readable),
        environments=cache,
        feed=AvailabilityFeed(
            f"{installation.service_url}/services/{SERVICE}/api/v1/availability/stream", state.secret("internal-token")
        ),
        last_choices=LastChoices(state.hub / "last-choices.json"),
        ticket_key=state.secret("ticket-key"),
        follower=Follower(state, current),
    )


def _addresses(c: Any, values: Values, installation: Installation) -> None:
    c.JupyterHub.bind_url = installation.public_url
    if values.site.url is not None:
        c.JupyterHub.subdomain_host = values.site.url
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{installation.hub_port}"
    c.JupyterHub.proxy_class = SavingProxy
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{installation.proxy_api_port}"
    c.ConfigurableHTTPProxy.auth_token = installation.state.secret("proxy-token")
    # A restart of the hub touches neither sessions nor routes.
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.cleanup_proxy = False


def _storage(c: Any, installation: Installation) -> None:
    folder = installation.state.hub
    database = folder / "jupyterhub.sqlite"
    database.touch(mode=0o600, exist_ok=True)
    c.JupyterHub.db_url = f"sqlite:///{database}"
    c.JupyterHub.pid_file = str(folder / "jupyterhub.pid")
    c.JupyterHub.cookie_secret = bytes.fromhex(installation.state.secret("cookie-secret"))


def _people(c: Any, platform: Platform, installation: Installation) -> None:
    state = installation.state
    changes = values_handlers.handlers(platform.follower, state.secret("values-token")) if platform.follower else []
    people = People(state, platform.current)
    c.JupyterHub.authenticator_class = password_authenticator(people, state.secret("cookie-secret"), changes)
    configure_rights(c)


def password_authenticator(people: People, login_key: str, more_handlers: Sequence[Any] = ()) -> type:
    """The authenticator of these people; ``login_key`` are hexadecimal digits."""
    attributes = {
        "people": people,
        "login_key": bytes.fromhex(login_key),
        "more_handlers": [*more_handlers, *cancelling.HANDLERS],
        "__module__": __name__,
    }
    return type("PasswordAuthenticator", (PasswordAuthenticator,), attributes)


def configure_rights(c: Any) -> None:
    """How long an identity counts, and what administrators and tokens may do, whoever lets people in."""
    c.Authenticator.refresh_pre_spawn = True
    c.Authenticator.auth_refresh_age = 60
    # Who left the groups that may log in loses the tokens too, not only the page.
    c.Authenticator.auth_refresh_strict = True
    c.JupyterHub.admin_access = False
    c.JupyterHub.shutdown_on_logout = False
    c.JupyterHub.extra_user_scopes = {ACCESS_SERVICE}
    c.JupyterHub.oauth_require_pkce = True


def _service(c: Any, values: Values, installation: Installation) -> None:
    # With a `url` the hub would wait for the service at each start, 10 s for one that hangs.
    # It stays at the hub's address, which it is trusted with.
    host = urlsplit(values.site.url).hostname if values.site.url else ""
    c.Proxy.extra_routes = {f"{host}/services/{SERVICE}/": installation.service_url}
    c.JupyterHub.services = [
        service_entry(installation.state.secret("service-token")),
        # With it the supervisor asks for the routes of a proxy that it had to start again.
        {"name": SUPERVISOR, "api_token": installation.state.secret("supervisor-token"), "display": False},
    ]
    c.JupyterHub.load_roles = [
        ROLE,
        {"name": "aiinfn-supervisor", "services": [SUPERVISOR], "scopes": ["proxy"]},
    ]


def service_entry(token: str) -> dict[str, Any]:
    """The platform service as the hub knows it."""
    return {
        "name": SERVICE,
        "api_token": token,
        "oauth_client_id": f"service-{SERVICE}",
        "oauth_redirect_uri": f"/services/{SERVICE}/oauth_callback",
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": [],
        "display": False,
    }


def _sessions(c: Any, platform: Platform, installation: Installation) -> None:
    """Sessions of one machine; what the chart's hub is told for a cluster is in ``configuration_chart``."""
    service_url = f"{installation.service_url}/services/{SERVICE}"
    configure_common(c, platform.values)
    attributes = {
        "__module__": __name__,
        "platform": platform,
        "lab_prefix": installation.lab_prefix,
        "service_url": service_url,
    }
    c.JupyterHub.spawner_class = type("LocalSpawner", (LocalSpawner,), attributes)


def configure_common(c: Any, values: Values) -> None:
    """What is the same for sessions wherever they run."""
    limits = values.limits
    c.JupyterHub.allow_named_servers = limits.sessions_per_person > 1
    c.JupyterHub.named_server_limit_per_user = NAMES_PER_PERSON + new_rows.KEPT
    # The decision refuses what is too much at a time, in words. The hub's own limit counts requests that are being
    # refused as well, and answers without a remedy: it is there for what must never happen.
    c.JupyterHub.concurrent_spawn_limit = 100 * limits.concurrent_starts
    c.Spawner.default_url = FIRST_PAGE
    c.Spawner.disable_user_config = True
    c.Spawner.env_keep = []
    c.Spawner.environment = {"LANG": "C.UTF-8"}
    c.Spawner.server_token_scopes = list(SESSION_SCOPES)
    # Our own limit ends in words; the hub's, a little later, would be an error.
    c.Spawner.start_timeout = int((limits.start_timeout + timedelta(seconds=15)).total_seconds())
    c.Spawner.http_timeout = 30
