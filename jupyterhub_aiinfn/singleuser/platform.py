"""Requests of this session to the platform service and to the hub, with its own token: the browser never sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from pydantic import ValidationError
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from jupyterhub_aiinfn.api.base import ErrorBody, Message
from jupyterhub_aiinfn.errors import ServiceError

API = "/api/v1"
CONNECT, ANSWER = 3.0, 8.0
"""Seconds for a connection and for a whole answer; the service answers from memory (arbitrary)."""
STOP_ANSWER = 30.0
"""Seconds that the hub may take for a stop; the session is gone before."""
M = TypeVar("M", bound=Message)
AWAY = "the platform service does not answer; the session goes on, and this works again when the service does"


@dataclass(frozen=True)
class Platform:
    """Where service and hub are, and who we are there."""

    service_url: str
    hub_api: str
    person: str
    server_name: str
    workload: str
    token: str

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Platform | None:
        """From the environment of the session; None where the platform did not start the server."""
        needed = ("AIINFN_SERVICE_URL", "AIINFN_WORKLOAD", "JUPYTERHUB_API_TOKEN")
        if not all(variables.get(name) for name in needed):
            return None
        return cls(
            service_url=variables["AIINFN_SERVICE_URL"].rstrip("/"),
            hub_api=variables.get("JUPYTERHUB_API_URL", "").rstrip("/"),
            person=variables.get("JUPYTERHUB_USER", ""),
            server_name=variables.get("JUPYTERHUB_SERVER_NAME", ""),
            workload=variables["AIINFN_WORKLOAD"],
            token=variables["JUPYTERHUB_API_TOKEN"],
        )

    def __repr__(self) -> str:
        return f"Platform({self.workload})"  # never the token

    @property
    def own(self) -> str:
        """Path of this session at the service."""
        return f"{API}/sessions/{quote(self.workload, safe='')}"

    async def ask(self, method: str, path: str, answer: type[M], body: Message | None = None) -> M:
        """The service's answer; :class:`ServiceError` with its sentence, or with ours when it does not answer."""
        response = await self._fetch(method, self.service_url + path, body)
        if response.code in (502, 503, 504):
            raise ServiceError(AWAY, status=503, reason="service-away")
        if response.code >= 400:
            raise refused(response)
        try:
            return answer.model_validate_json(response.body)
        except ValidationError as error:
            raise ServiceError(
                "the platform service answered with something else; tell the administrators",
                status=502,
                reason="not-the-service",
            ) from error

    async def stop(self) -> None:
        """Ask the hub to end this session; whoever waits for the end of this is ended with it."""
        name = f"servers/{quote(self.server_name, safe='')}" if self.server_name else "server"
        address = f"{self.hub_api}/users/{quote(self.person, safe='')}/{name}"
        response = await self._fetch("DELETE", address, None, STOP_ANSWER)
        if response.code >= 400:
            raise ServiceError(
                f"the hub did not stop the session (status {response.code}); stop it on the hub's home page",
                status=502,
                reason="hub-refused",
            )

    async def _fetch(self, method: str, url: str, body: Message | None, seconds: float = ANSWER) -> HTTPResponse:
        request = HTTPRequest(
            url,
            method,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            body=body.model_dump_json() if body is not None else None,
            allow_nonstandard_methods=True,
            follow_redirects=False,
            connect_timeout=CONNECT,
            request_timeout=seconds,
        )
        try:
            return await AsyncHTTPClient().fetch(request, raise_error=False)
        except (HTTPClientError, OSError, ValueError) as error:
            who = AWAY if url.startswith(self.service_url) else "the hub does not answer; try again in a minute"
            raise ServiceError(who, status=503, reason="service-away") from error


def refused(response: HTTPResponse) -> ServiceError:
    """The service's own sentence, or one about the status when something else answered."""
    try:
        detail = ErrorBody.model_validate_json(response.body or b"").error
    except ValidationError:
        sentence = f"the platform service answered with status {response.code}; try again in a minute"
        return ServiceError(sentence, status=502, reason="not-the-service")
    return ServiceError(detail.message, status=response.code, reason=detail.reason)
