"""The hub's memory of the pods of sessions: kept up to date for as long as the hub lives, whatever the cluster does.

KubeSpawner's own reflector gives up for good when the API server is away for 51 s, and every session then looks as it
did. This one goes on, and says for how long it has heard nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kubernetes_asyncio import watch
from kubernetes_asyncio.client import ApiException
from kubespawner.clients import load_config, shared_client
from kubespawner.reflector import ResourceReflector
from kubespawner.spawner import KubeSpawner
from prometheus_client import Gauge
from traitlets import default

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.backends.kubernetes import names
from jupyterhub_aiinfn.backends.kubernetes.calls import PATIENCE, Calls
from jupyterhub_aiinfn.backends.kubernetes.connection import GONE

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two tries while the API server is away: soon after its return everything is known again."""
SILENCE = Gauge(
    "aiinfn_hub_pods_silence_seconds",
    "Seconds since the cluster last told the hub about the pods of sessions; it does so every 10 s at least",
)


class PodReflector(ResourceReflector):
    """The pods of one namespace by ``namespace/name``.

    It never ends by itself, and is there before it has read anything: :meth:`loaded` says whether it has.
    """

    kind = "pods"
    read_anew_after: float = 300
    """Seconds (arbitrary)."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._answered: float | None = None
        self._begun = time.monotonic()
        self._lost = False
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._callbacks: dict[str, Callable[[], object]] = {}
        self.listeners: list[Callable[[str | None], object]] = []
        """Called with the key of a pod of which something new is known; with None when all was read anew."""
        SILENCE.set_function(lambda: self.silence)

    @default("request_timeout")
    def _request_timeout(self) -> int:
        # More than a watch lasts; a server that hangs is left after it.
        return 15

    @property
    def pods(self) -> Mapping[str, Mapping[str, Any]]:
        """What is known of each pod; KubeSpawner asks for it under this name."""
        return self.resources

    @property
    def silence(self) -> float:
        """Seconds since the API server last told us all there is; counted from the beginning when it never has."""
        return time.monotonic() - (self._begun if self._answered is None else self._answered)

    async def loaded(self, patience: float) -> bool:
        """Whether all there is was read once; waits for it, but not longer than ``patience`` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.first_load_future), patience)
        return bool(self.first_load_future.done())

    async def change_of(self, key: str, patience: float) -> None:
        """Return when something new is known of a pod, after ``patience`` seconds at the latest."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        try:
            await asyncio.wait_for(future, patience)
        except TimeoutError:
            waiting = self._waiting.get(key, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._waiting.pop(key, None)

    def call_at_change(self, key: str, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` whenever something new is known of a pod; None: no longer."""
        if callback is None:
            self._callbacks.pop(key, None)
        else:
            self._callbacks[key] = callback

    def begin(self) -> None:
        """Watch from now on, also while there is no answer; once is enough."""
        if self.watch_task is None:
            self.watch_task = asyncio.create_task(self._watch_and_update())

    async def _watch_and_update(self) -> None:
        """Read all there is, then take in what changes; all is read anew after something went wrong, and now and then.

        The latter since a cluster that was restored from a copy says nothing to who asks from a version to come.
        """
        pause, version, read_at = FIRST_PAUSE, "", 0.0
        while not self._stopping:
            try:
                if not version or time.monotonic() - read_at > self.read_anew_after:
                    version, read_at = await self._read_all(), time.monotonic()
                version = await self._follow(version)
                self._answered, pause = time.monotonic(), FIRST_PAUSE
            except Exception as problem:  # whatever it was: a hub that sees no session end any more is worse
                version = ""
                if not (isinstance(problem, ApiException) and problem.status == GONE):
                    # else nothing changed here for so long that the cluster no longer knows what we knew last
                    self._note_loss(problem)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)

    async def _read_all(self) -> str:
        version = str(await self._list_and_update())
        for pod in self.resources.values():
            _lighten(pod)
        self._note_answer()
        return version

    async def _follow(self, version: str) -> str:
        """Take in what changes from a version on, until the watch is over; the version from which to go on."""
        method = partial(getattr(self.api, self.list_method_name), _preload_content=False)
        one, begun = watch.Watch(), time.monotonic()
        try:
            stream = one.stream(
                method,
                namespace=self.namespace,
                label_selector=self.label_selector,
                resource_version=version,
                allow_watch_bookmarks=True,
                timeout_seconds=self.timeout_seconds,
                _request_timeout=self.request_timeout,
            )
            async with stream as events:
                async for event in events:
                    if event["type"] != "BOOKMARK":
                        self._take(event["type"], event["raw_object"])
        finally:
            one.stop()
            await one.close()
        if time.monotonic() - begun < FIRST_PAUSE:
            await asyncio.sleep(FIRST_PAUSE)  # whatever stands between us and the cluster ends it at once
        return str(one.resource_version)

    def _take(self, kind: str, pod: dict[str, Any]) -> None:
        head = pod["metadata"]
        key = f"{head['namespace']}/{head['name']}"
        if kind == "DELETED":
            self.resources.pop(key, None)
        else:
            _lighten(pod)
            self.resources[key] = pod
        self._tell(key)
        self._announce(key)

    def _note_answer(self) -> None:
        self._answered = time.monotonic()
        if self._lost:
            self.log.warning("the cluster answers again: the pods of sessions are known")
        self._lost = False
        for key in [*self._callbacks, *self._waiting]:
            self._tell(key)
        self._announce(None)

    def _note_loss(self, problem: Exception) -> None:
        """One line when it is lost, not one for each try; what the exception says may be long, so only its kind."""
        if not self._lost:
            kind = type(problem).__name__
            self.log.warning("the cluster does not tell about the pods of sessions (%s); that is tried again", kind)
        self._lost = True

    def _announce(self, key: str | None) -> None:
        for listener in self.listeners:
            listener(key)

    def _tell(self, key: str) -> None:
        for future in self._waiting.pop(key, []):
            if not future.done():
                future.set_result(None)
        if callback := self._callbacks.get(key):
            callback()


def _lighten(pod: dict[str, Any]) -> None:
    """Forget who wrote which field: that is much of a pod, and nobody asks for it."""
    pod["metadata"].pop("managedFields", None)


def reflector_of(namespace: str, config: Any = None) -> PodReflector:
    """The one memory of the pods of sessions in a namespace, begun when it is first asked for."""
    found: PodReflector | None = KubeSpawner.reflectors.get(namespace)
    if found is None:
        load_config()
        labels = {names.KIND: WorkloadKind.session.value}
        found = KubeSpawner.reflectors[namespace] = PodReflector(config=config, namespace=namespace, labels=labels)
        found.begin()
    return found


def calls_of_hub(patience: float = PATIENCE) -> Calls:
    """Requests with the connection that all spawners share, tried again for so many seconds."""
    load_config()
    return Calls(shared_client("CoreV1Api").api_client, patience)
