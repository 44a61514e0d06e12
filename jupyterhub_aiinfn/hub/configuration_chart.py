"""What the hub of the JupyterHub chart is told, after the chart's own configuration and on top of it.

The chart keeps what is its own: addresses, the proxy, the database, the cookie secret. People, the service, sessions
and pages are ours.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from traitlets.config.loader import LazyConfigValue

from jupyterhub_aiinfn.backends.kubernetes.deployment import Deployment
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from . import configuration, pages
from .availability import AvailabilityFeed
from .configuration_kubernetes import ContainerImages, Place, configure_sessions
from .last_choices import LastChoices
from .people import People
from .platform import Platform
from .pods_of_sessions import PodsOfSessions
from .refusals import QuietRefusals
from .saving import SavingProxy

DUMMY = ("dummy", "dummyauthenticator.DummyAuthenticator", "jupyterhub.auth.DummyAuthenticator")
"""What the chart lets in by default: anybody."""


def write_chart_configuration(c: Any, values: Values | CurrentValues, deployment: Deployment) -> None:
    """Write our part into ``c``; raises :class:`~jupyterhub_aiinfn.errors.StateError` for an unusable folder."""
    deployment.state.prepare()
    current = CurrentValues.of(values)
    platform = make_cluster_platform(current, deployment)
    logging.getLogger("JupyterHub").addFilter(QuietRefusals())
    c.JupyterHub.proxy_class = SavingProxy
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.cleanup_proxy = False
    if current.values.site.url is not None:
        c.JupyterHub.subdomain_host = current.values.site.url
    _people(c, platform, deployment)
    _service(c, current.values, deployment)
    configuration.configure_common(c, current.values)
    place = Place(service_url_of(deployment), deployment.state.hub, facts_token=deployment.secret("facts-token"))
    configure_sessions(c, platform, place)
    pages.configure(c, platform)
    configuration.begin(platform)


def make_cluster_platform(current: CurrentValues, deployment: Deployment) -> Platform:
    """What the hub's parts share, on a cluster; the values change with the chart's, by a restart."""
    return Platform(
        current=current,
        backend=PodsOfSessions(current),
        environments=ContainerImages(),
        feed=AvailabilityFeed(
            f"{service_url_of(deployment)}/api/v1/availability/stream", deployment.secret("internal-token")
        ),
        last_choices=LastChoices(deployment.state.hub / "last-choices.json"),
        ticket_key=deployment.secret("ticket-key"),
    )


def service_url_of(deployment: Deployment) -> str:
    """Where the service is reached within the cluster, with its path."""
    return f"{deployment.service_url}/services/{configuration.SERVICE}"


def _people(c: Any, platform: Platform, deployment: Deployment) -> None:
    """People of the values, in the place of the chart's default; an authenticator that the chart was given stays."""
    configuration.configure_rights(c)
    chosen = c.JupyterHub.get("authenticator_class", DUMMY[0])
    if chosen not in DUMMY:
        return
    people = People(deployment.state, platform.current)
    c.JupyterHub.authenticator_class = configuration.password_authenticator(people, deployment.secret("login-key"))


def _service(c: Any, values: Values, deployment: Deployment) -> None:
    """Our entry in the place of the chart's of the same name; other services and roles stay."""
    host = urlsplit(values.site.url).hostname if values.site.url else ""
    routes = dict(_given(c.Proxy, "extra_routes", {}))
    c.Proxy.extra_routes = routes | {f"{host}/services/{configuration.SERVICE}/": deployment.service_url}
    others = [one for one in _given(c.JupyterHub, "services", []) if one.get("name") != configuration.SERVICE]
    c.JupyterHub.services = [*others, configuration.service_entry(deployment.token)]
    roles = [one for one in _given(c.JupyterHub, "load_roles", []) if one.get("name") != configuration.ROLE["name"]]
    c.JupyterHub.load_roles = [*roles, configuration.ROLE]


def _given(section: Any, name: str, otherwise: Any) -> Any:
    """What the configuration before ours has set; what it appended to a default counts too."""
    found = section.get(name, otherwise)
    return found.get_value(otherwise) if isinstance(found, LazyConfigValue) else found
