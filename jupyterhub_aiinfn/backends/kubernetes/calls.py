"""Calls of the cluster's API, one object each: what fails for a moment is tried again, what fails for good is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from jupyterhub_aiinfn.errors import ClusterRefused

from .connection import EXISTS, NOT_FOUND, Connection
from .translation import parts

Object = dict[str, Any]
FOLDERS = {
    "Pod": ("/api/v1", "pods"),
    "Secret": ("/api/v1", "secrets"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Job": ("/apis/batch/v1", "jobs"),
    "Event": ("/api/v1", "events"),
    "Workload": ("/apis/kueue.x-k8s.io/v1beta2", "workloads"),
    "Line": ("/apis/visibility.kueue.x-k8s.io/v1beta2", "localqueues"),
}
"""Where the objects of each kind are; a line is the part ``pendingworkloads`` of a local queue."""
PATIENCE = 20.0
"""Seconds in which a call is tried again that an API server did not answer or was too busy for (arbitrary)."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
MOMENTARY = frozenset({0, 429, 500, 502, 503, 504})
"""Codes that may be better in a moment; 0: no answer."""


class Calls:
    """An API server as seen through a :class:`.Connection`, or through a client of ``kubernetes_asyncio``."""

    def __init__(self, client: Any, patience: float = PATIENCE) -> None:
        self._connection = client if isinstance(client, Connection) else Connection(client)
        self._patience = patience

    async def create(self, doing: str, manifest: Mapping[str, Any]) -> Object:
        """Make an object, and return it as the API server has it.

        One that the server made although its answer was lost counts as made: then the manifest is returned, without a
        uid, and whoever shares the name with others must look whose it is. ``doing`` begins the sentence of a failure,
        as ``start the session``.
        """
        head = manifest["metadata"]
        path = path_of(str(manifest["kind"]), str(head["namespace"]))
        begun, tried = time.monotonic(), 0
        while True:
            tried += 1
            try:
                return await self._connection.ask(doing, "POST", path, manifest)
            except ClusterRefused as refusal:
                if refusal.reason == EXISTS and tried > 1:
                    return dict(manifest)
                await self._pause(refusal, begun, tried)

    async def patch(self, doing: str, kind: str, namespace: str, name: str, change: Mapping[str, Any]) -> Object:
        """Merge a change into an object."""
        return await self._call(doing, "PATCH", path_of(kind, namespace, name), change)

    async def delete(
        self,
        doing: str,
        kind: str,
        namespace: str,
        name: str,
        grace: int | None = None,
        *,
        uid: str = "",
        cascade: str = "",
    ) -> None:
        """Have an object deleted, ``grace`` seconds after it was asked politely; nothing when there is none.

        With ``uid`` only that very object, and no other of the name. ``cascade`` says when what it owns goes:
        ``Foreground`` before it, ``Background`` after it.
        """
        body: Object = {} if grace is None else {"gracePeriodSeconds": grace}
        body |= {"preconditions": {"uid": uid}} if uid else {}
        body |= {"propagationPolicy": cascade} if cascade else {}
        try:
            await self._call(doing, "DELETE", path_of(kind, namespace, name), body)
        except ClusterRefused as refusal:
            if refusal.code != NOT_FOUND:
                raise

    async def read(self, doing: str, kind: str, namespace: str, name: str) -> Object:
        """One object."""
        return await self._call(doing, "GET", path_of(kind, namespace, name))

    async def events(self, doing: str, namespace: str, name: str) -> list[Mapping[str, Any]]:
        """What the cluster noted about an object of this name."""
        query = {"fieldSelector": f"involvedObject.name={name}"}
        return parts(await self._call(doing, "GET", path_of("Event", namespace), query=query), "items")

    async def list(self, doing: str, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """The objects with these labels."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
        return parts(await self._call(doing, "GET", path_of(kind, namespace), query=query), "items")

    async def line(self, doing: str, namespace: str, queue: str) -> Object:
        """Who waits in a local queue of Kueue, in order."""
        return await self._call(doing, "GET", f"{path_of('Line', namespace, queue)}/pendingworkloads")

    async def _call(
        self,
        doing: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        begun, tried = time.monotonic(), 0
        while True:
            tried += 1
            try:
                return await self._connection.ask(doing, method, path, body, query)
            except ClusterRefused as refusal:
                await self._pause(refusal, begun, tried)

    async def _pause(self, refusal: ClusterRefused, begun: float, tried: int) -> None:
        """Wait before the next try; raises the refusal when there is none."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tried - 1))
        if refusal.code not in MOMENTARY or time.monotonic() + pause - begun > self._patience:
            raise refusal
        await asyncio.sleep(pause)


def path_of(kind: str, namespace: str, name: str = "") -> str:
    """Where objects of a kind are, or one of them."""
    group, folder = FOLDERS[kind]
    one = f"/{quote(name, safe='')}" if name else ""
    return f"{group}/namespaces/{quote(namespace, safe='')}/{folder}{one}"
