"""The hub's REST API, as far as the service uses it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from jupyterhub_aiinfn.errors import HubDown, ServiceError
from jupyterhub_aiinfn.service.settings import PREFIX, SERVICE

from .caller import HubIdentity

log = logging.getLogger("aiinfn.hub")
CLIENT_ID = f"service-{SERVICE}"
CALLBACK = f"{PREFIX}/oauth_callback"
START_TIMEOUT = 90.0
"""The hub answers a start after 10 s at the latest, or when its hooks are done; the rest is margin."""


@dataclass(frozen=True)
class HubAnswer:
    """Status and sentence of a request to the hub."""

    status: int
    message: str


class HubApi:
    """Requests to the hub; every one raises :class:`HubDown` when the hub does not answer."""

    def __init__(self, api_url: str, service_token: str, timeout: float) -> None:
        """``api_url`` ends in ``/hub/api``; ``service_token`` is the service's own token there."""
        self._token = service_token
        self._client = httpx.AsyncClient(
            base_url=api_url,
            timeout=timeout,
            trust_env=False,
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8),
        )
        self.answers = True
        """Whether the hub answered the last request."""

    async def identity(self, token: str) -> HubIdentity | None:
        """Who owns ``token``; None when the hub does not know it."""
        response = await self._request("GET", "/user", token)
        if response.status_code in (401, 403, 404):
            return None
        return HubIdentity.from_model(self._json(response))

    async def exchange(self, code: str, verifier: str) -> str | None:
        """The OAuth token for an authorization code; None when code or PKCE verifier are refused."""
        form = {
            "client_id": CLIENT_ID,
            "client_secret": self._token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
        }
        response = await self._request("POST", "/oauth2/token", None, data=form)
        if 400 <= response.status_code < 500:
            log.warning("the hub refused an authorization code (status %s)", response.status_code)
            return None
        return str(self._json(response)["access_token"])

    async def start_server(self, person: str, server_name: str, options: dict[str, Any]) -> HubAnswer:
        """Ask the hub to start a session of ``person``; its own decision counts."""
        response = await self._request(
            "POST", server_path(person, server_name), self._token, json={"user_options": options}, timeout=START_TIMEOUT
        )
        return HubAnswer(response.status_code, message_of(response))

    async def server_is_up(self, person: str, server_name: str) -> bool:
        """Whether that session runs or is starting."""
        response = await self._request("GET", server_path(person, server_name), self._token)
        if response.status_code == 404:
            return False
        model = self._json(response)
        return bool(model.get("ready")) or model.get("pending") == "spawn"

    async def probe(self) -> bool:
        """Whether the hub answers at all."""
        try:
            await self._request("GET", "/", None)
        except HubDown:
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _request(self, method: str, path: str, token: str | None, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        try:
            response = await self._client.request(method, path, headers=headers, **arguments)
        except httpx.TransportError as error:
            self.answers = False
            raise HubDown from error
        self.answers = True
        return response

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        if response.status_code >= 500:
            raise HubDown
        if response.status_code >= 400:
            raise ServiceError(
                f"the hub refused the service's request (status {response.status_code}); tell the administrators",
                status=502,
                reason="hub-refused",
            )
        try:
            model: dict[str, Any] = response.json()
        except ValueError as error:
            raise HubDown("the hub's answer cannot be read; try again in a minute") from error
        return model


def was_not_delivered(error: HubDown) -> bool:
    """Whether the request that failed cannot have reached the hub."""
    return isinstance(error.__cause__, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))


def server_path(person: str, server_name: str) -> str:
    """Path of a session in the hub's REST API."""
    base = f"/users/{quote(person, safe='')}"
    return f"{base}/servers/{quote(server_name, safe='')}" if server_name else f"{base}/server"


def message_of(response: httpx.Response) -> str:
    """The hub's sentence in an error, at most 1000 characters; empty when there is none."""
    try:
        body = response.json()
    except ValueError:
        return ""
    return str(body.get("message") or "")[:1000] if isinstance(body, dict) else ""
