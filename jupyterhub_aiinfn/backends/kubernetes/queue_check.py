"""Whether the queues of a cluster are as values and nodes say: looked at now and then, counted for whoever watches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from jupyterhub_aiinfn.errors import BackendError, ClusterRefused
from jupyterhub_aiinfn.values import Values

from .connection import Connection
from .drift import PART_OF, Drift, drift
from .installation import installation_manifests
from .kueue import API

Object = dict[str, Any]
EVERY = 60.0
"""Seconds between two looks (arbitrary): nodes come and go in minutes."""
FOLDERS = {
    "ResourceFlavor": "resourceflavors",
    "Cohort": "cohorts",
    "ClusterQueue": "clusterqueues",
    "LocalQueue": "localqueues",
}
"""What the service may read of queues; roles and policies are the administrator's to compare."""
LABELS = ",".join(f"{key}={value}" for key, value in PART_OF.items())
log = logging.getLogger(__name__)


class QueueCheck:
    """What the last look found; :attr:`count` is None before the first, and while the cluster does not answer."""

    def __init__(self, connection: Connection, values: Callable[[], Values], nodes: Callable[[], Sequence[Object]]):
        self._connection, self._values, self._nodes = connection, values, nodes
        self.found: list[str] | None = None
        """Sentences."""

    @property
    def count(self) -> int | None:
        """How many differences there are."""
        return None if self.found is None else len(self.found)

    async def run(self) -> None:
        """Look for ever; what is new is logged once."""
        while True:
            before = set(self.found or ())
            try:
                self.found = await self.look()
            except ClusterRefused as error:
                log.warning("the queues cannot be compared with the values: %s", error)
                self.found = None
            for sentence in set(self.found or ()) - before:
                log.warning("%s", sentence)
            await asyncio.sleep(EVERY)

    async def look(self) -> list[str]:
        """Every difference as a sentence; raises :class:`ClusterRefused` when the cluster does not tell."""
        there: list[Object] = []
        for kind, folder in FOLDERS.items():
            query = {"labelSelector": LABELS}
            answer = await self._connection.ask(f"list the {folder}", "GET", f"/apis/{API}/{folder}", query=query)
            there += [{**one, "kind": kind} for one in answer.get("items") or []]
        return await asyncio.to_thread(differences, self._values(), self._nodes(), there)


def differences(values: Values, nodes: Sequence[Object], there: Sequence[Object]) -> list[str]:
    """What the queues that are there differ in from those that values and nodes ask for.

    More promises than nodes are a difference too.
    """
    try:
        wanted, _ = installation_manifests(values, nodes)
    except BackendError as error:
        return [str(error)]
    found: list[Drift] = drift([one for one in wanted if one["kind"] in FOLDERS], there)
    return [str(one) for one in found]
