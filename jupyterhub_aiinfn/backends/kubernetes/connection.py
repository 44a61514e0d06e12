"""The API server, asked in plain JSON: the one place that sends requests, and where every refusal becomes a sentence.

No request and no answer is ever logged or repeated: both may hold a secret.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_asyncio import client, config

from jupyterhub_aiinfn.errors import ClusterRefused, StateError

from .translation import api_sentence

Object = dict[str, Any]
ONE_ANSWER = 10.0
"""Seconds within which one request is answered, or counts as not answered (arbitrary)."""
MERGE = "application/merge-patch+json"
TO_CLOSE = 0.1
"""Seconds after which what was closed is closed: the client's library does not wait for the end of TLS."""
NOT_FOUND, CONFLICT, GONE = 404, 409, 410
"""Codes of :class:`ClusterRefused` that callers tell apart: no such object; changed meanwhile; too old a version."""
EXISTS = "AlreadyExists"
"""The reason of a refusal: something of that name is there."""

logging.getLogger("kubernetes_asyncio.client.rest").setLevel(logging.INFO)  # at DEBUG it writes what is answered


class Connection:
    """Requests with the account of this process: of the pod it runs in, of a kubeconfig, or of a client given."""

    def __init__(self, api: Any) -> None:
        """``api``: an ``ApiClient`` of ``kubernetes_asyncio``; whoever made it closes it."""
        self._api = api

    @classmethod
    async def open(cls, kubeconfig: Path | None = None) -> Connection:
        """With a kubeconfig, or as the pod's service account when there is none."""
        settings = client.Configuration()
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(str(kubeconfig), client_configuration=settings)
        return cls(client.ApiClient(settings))

    @classmethod
    async def of_file(cls, kubeconfig: Path) -> Connection:
        """With a kubeconfig that somebody named; :class:`StateError` when it is none. Nobody need answer yet."""
        try:
            return await cls.open(kubeconfig)
        except Exception as error:
            # whatever a file can hold that is none, the library raises as it comes; its words may quote the file
            raise StateError(
                f"{kubeconfig} does not say how a cluster is reached; give a kubeconfig that kubectl can use"
            ) from error

    @classmethod
    async def of_process(cls) -> Connection:
        """With the file that ``KUBECONFIG`` names, else as the pod's service account; :class:`StateError` for neither.

        The API server need not answer yet.
        """
        given = os.environ.get("KUBECONFIG")
        if given:
            return await cls.of_file(Path(given))
        try:
            return await cls.open()
        except config.ConfigException as error:
            raise StateError(
                "this process is in no pod of a cluster, so nobody says how one is reached; "
                "run it in a pod, or set KUBECONFIG to a file that names the cluster"
            ) from error

    async def close(self) -> None:
        """End all requests."""
        await self._api.close()
        await asyncio.sleep(TO_CLOSE)

    async def ask(
        self,
        doing: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """The object of an answer; :class:`ClusterRefused` for every other one, with code 0 when there was none.

        ``doing`` begins the sentence of a refusal, as ``start the session``. A patch is a merge.
        """
        found = _json(await self.text(doing, method, path, body, query))
        if found is None:
            raise refusal(doing, 502)
        return found

    async def text(
        self,
        doing: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        """The answer as it is."""
        limit = aiohttp.ClientTimeout(total=ONE_ANSWER)
        try:
            async with await self._request(method, path, body, query, limit) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise refusal(doing, 0) from error
        _require_success(doing, answer.status, content)
        return content

    async def tail(self, doing: str, path: str, query: Mapping[str, str], most: int) -> bytes:
        """The last ``most`` bytes of an answer; no more than twice of it is ever in memory."""
        limit, found = aiohttp.ClientTimeout(total=ONE_ANSWER), bytearray()
        try:
            async with await self._request("GET", path, None, query, limit) as answer:
                async for chunk in answer.content.iter_any():
                    found += chunk
                    if len(found) > 2 * most:
                        del found[:-most]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise refusal(doing, 0) from error
        _require_success(doing, answer.status, bytes(found))
        return bytes(found[-most:])

    async def lines(
        self, doing: str, path: str, query: Mapping[str, str], silence: float
    ) -> AsyncGenerator[Object, None]:
        """The events of a watch until it ends; :class:`ClusterRefused` when it breaks or is silent for too long."""
        limit = aiohttp.ClientTimeout(total=None, sock_connect=ONE_ANSWER, sock_read=silence)
        try:
            async with await self._request("GET", path, None, query, limit) as answer:
                if answer.status >= 300:
                    _require_success(doing, answer.status, await answer.read())
                rest = bytearray()
                async for chunk in answer.content.iter_any():
                    rest += chunk
                    while (end := rest.find(b"\n")) >= 0:
                        line = _json(bytes(rest[:end]))
                        del rest[: end + 1]
                        if line is not None:
                            yield line
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise refusal(doing, 0) from error

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str] | None,
        limit: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Content-Type": MERGE if method == "PATCH" else "application/json"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"])
        rest, settings = self._api.rest_client, self._api.configuration
        session: aiohttp.ClientSession = rest.pool_manager
        given = {"proxy": rest.proxy, "proxy_headers": rest.proxy_headers, "server_hostname": rest.server_hostname}
        return await session.request(
            method,
            f"{settings.host}{path}",
            data=None if body is None else json.dumps(body).encode(),
            params=query,
            headers=headers,
            timeout=limit,
            **{name: value for name, value in given.items() if value},
        )


def refusal(doing: str, code: int, reason: str = "", message: str = "") -> ClusterRefused:
    """The error of an answer, in words; what was sent is not in it."""
    return ClusterRefused(api_sentence(doing, code, reason, message), code=code, reason=reason)


def _require_success(doing: str, code: int, content: bytes) -> None:
    if code < 300:
        return
    said = _json(content) or {}
    raise refusal(doing, code, str(said.get("reason") or ""), str(said.get("message") or ""))


def _json(content: bytes) -> Object | None:
    """The object of a text; None when it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
