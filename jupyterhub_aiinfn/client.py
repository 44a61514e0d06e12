"""A typed client of the platform service, for notebooks, the server extension and the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from .api.availability import Availability
from .api.base import ErrorBody, Message
from .api.environments import Environment
from .api.people import Health, Me
from .api.sessions import SessionLimits, Sessions
from .api.storage import StorageReport
from .errors import ServiceError

if TYPE_CHECKING:
    import httpx

PREFIX = "/services/aiinfn"
M = TypeVar("M", bound=Message)


class Client:
    """What the service knows, for the owner of a token.

    ``url`` is the platform's address without the service's path (``http://127.0.0.1:8000``), ``token`` a token of the
    hub. Every method raises :class:`~jupyterhub_aiinfn.errors.ServiceError` with the service's sentence.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 10.0) -> None:
        """``timeout`` in seconds."""
        import httpx

        headers = {"Authorization": f"token {token}", "Accept": "application/json"}
        base = url.rstrip("/").removesuffix(PREFIX) + PREFIX
        self._client = httpx.Client(base_url=base, headers=headers, timeout=timeout, trust_env=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None, *, timeout: float = 10.0) -> Client:
        """The client of this session, from ``AIINFN_SERVICE_URL`` and the session's own token."""
        found = os.environ if variables is None else variables
        missing = [name for name in ("AIINFN_SERVICE_URL", "JUPYTERHUB_API_TOKEN") if not found.get(name)]
        if missing:
            raise ServiceError(
                f"{' and '.join(missing)} not set: this is not a session of the platform; use Client(url, token)",
                status=0,
                reason="no-session",
            )
        return cls(found["AIINFN_SERVICE_URL"], found["JUPYTERHUB_API_TOKEN"], timeout=timeout)

    def me(self) -> Me:
        """Who the token belongs to, and from which session the request comes."""
        return self._get("/api/v1/me", Me)

    def sessions(self, *, everybody: bool = False) -> Sessions:
        """The owner's sessions; with ``everybody`` all of them, for tokens that may read all servers."""
        return self._get("/api/v1/sessions", Sessions, {"all": "true"} if everybody else {})

    def session(self, workload: str) -> SessionLimits:
        """How long a session may stay; its workload is ``$AIINFN_WORKLOAD`` inside it."""
        return self._get(f"/api/v1/sessions/{quote(workload, safe='')}", SessionLimits)

    def availability(self) -> Availability:
        """What is free."""
        return self._get("/api/v1/availability", Availability)

    def environment(self, image: str) -> Environment:
        """Whether sessions of an image can start."""
        return self._get(f"/api/v1/environments/{quote(image, safe='')}", Environment)

    def storage(self, *, everybody: bool = False, fresh: bool = False) -> StorageReport:
        """How full the owner's folders are; with ``everybody`` all folders, for tokens that may read all servers."""
        wishes = [name for name, wish in (("all", everybody), ("fresh", fresh)) if wish]
        return self._get("/api/v1/storage", StorageReport, dict.fromkeys(wishes, "true"))

    def health(self) -> Health:
        """Whether the service works."""
        return self._get("/health", Health)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _get(self, path: str, message: type[M], query: Mapping[str, str] | None = None) -> M:
        import httpx

        try:
            response = self._client.get(path, params=query)
        except (httpx.HTTPError, UnicodeError) as error:
            raise ServiceError(
                f"the platform service at {self._client.base_url} does not answer ({type(error).__name__}); "
                "try again in a minute",
                status=0,
                reason="unreachable",
            ) from error
        if response.status_code != 200:
            raise error_of(response)
        try:
            return message.model_validate_json(response.content)
        except ValidationError as error:
            raise ServiceError(
                "the platform service answered with something else; is the address right?",
                status=response.status_code,
                reason="not-the-service",
            ) from error


def error_of(response: httpx.Response) -> ServiceError:
    """The service's sentence, or one about the status when something else answered."""
    try:
        detail = ErrorBody.model_validate_json(response.content).error
    except ValidationError:
        sentence = f"the platform service answered with status {response.status_code}; try again in a minute"
        return ServiceError(sentence, status=response.status_code, reason="not-the-service")
    return ServiceError(detail.message, status=response.status_code, reason=detail.reason)
