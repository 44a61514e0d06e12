"""What the hub does on a cluster with one session: make its Secret and pod, wait until it is ready, remove both."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.kubernetes import creating, line, manifests
from jupyterhub_aiinfn.backends.kubernetes.allowed import require_listed_images
from jupyterhub_aiinfn.backends.kubernetes.calls import Calls
from jupyterhub_aiinfn.backends.kubernetes.description import asked_end, end_patch
from jupyterhub_aiinfn.backends.kubernetes.names import QUEUE
from jupyterhub_aiinfn.backends.kubernetes.reading import gone
from jupyterhub_aiinfn.backends.kubernetes.secrecy import require_no_secret
from jupyterhub_aiinfn.backends.kubernetes.starting import Stand, Start, has_gone, look
from jupyterhub_aiinfn.backends.kubernetes.translation import events_trouble, part
from jupyterhub_aiinfn.errors import BackendError, ClusterRefused, NothingFree
from jupyterhub_aiinfn.values import Values

from .pod_reflector import PodReflector

Object = Mapping[str, Any]
STARTING, STOPPING = "start the session", "stop the session"
LOOK_AGAIN = 2.0
"""Seconds after which a start is looked at again when nothing changed: the place in the line is not in the pod."""
ASK_AFTER = 1.0
"""Seconds within which Kueue lets in who need not wait; only afterwards it is asked for the place, which takes two
requests (arbitrary)."""
NO_WAIT = 5.0
"""Seconds that Kueue has to let in a session that may not wait: it does so at once when there is room (arbitrary)."""
VANISHED = "it vanished from the cluster, and nobody saw why"
UNANSWERED = "it was deleted on the cluster, and its node does not say that it has ended"
SETTLED = 4.0
"""Seconds within which a pod says why it ended, after its container has (arbitrary)."""
OVERDUE = 10.0
"""Seconds beyond its grace after which a session that somebody deleted counts as ended, although its node does not say
so (arbitrary)."""
BEYOND_GRACE = 30.0
"""Seconds that the cluster has, beyond the grace of a session, to say that it is gone (arbitrary)."""


SOON = 1
"""Seconds of grace of what need not end politely. With 0 the cluster would forget the pod while its containers may
still run, and would give its device away."""


class Ending:
    """When a session counts as ended, by the hub's own clock in seconds: that of the cluster may differ."""

    _deleted_at: float | None = None
    _ended_at: float | None = None

    def left(self, pod: Object | None, found: Workload | None, now: float) -> float | None:
        """Seconds after which it counts as ended, 0 from then on; None: it lives. ``found`` is what the pod says.

        A node that ends a pod by itself says why only after all of its containers have ended. A pod that somebody
        deleted on a node that does not answer is never said to have ended, and nobody uses it any more.
        """
        if pod is None:
            return 0
        if found is not None and found.phase is Phase.ended:
            if _says_why(pod):
                return 0
            self._ended_at = now if self._ended_at is None else self._ended_at
            return max(0.0, self._ended_at + SETTLED - now)
        grace = _deleted_within(pod)
        if grace is None:
            return None
        self._deleted_at = now if self._deleted_at is None else self._deleted_at
        return max(0.0, self._deleted_at + grace + OVERDUE - now)


def _says_why(pod: Object) -> bool:
    return part(pod, "status").get("phase") in ("Failed", "Succeeded") or asked_end(part(pod, "metadata")) is not None


def _deleted_within(pod: Object | None) -> float | None:
    """The grace with which the pod is being deleted, in seconds; None when it is not."""
    head = part(pod or {}, "metadata")
    grace = head.get("deletionGracePeriodSeconds")
    return float(grace if isinstance(grace, int) else 0) if head.get("deletionTimestamp") else None


@dataclass(frozen=True)
class Patience:
    """How long a start may take, in seconds; while it waits in the line the first does not run."""

    start: float
    wait: float

    @property
    def longest(self) -> float:
        """How long a start takes at most: it waits, gets ready, and must then answer."""
        return self.wait + 2 * self.start

    @classmethod
    def of(cls, values: Values, profile: str) -> Patience:
        """What the values say."""
        wait = values.profiles[profile].wait
        return cls(values.limits.start_timeout.total_seconds(), NO_WAIT if wait is None else wait.total_seconds())


class SessionPod:
    """The pod of a session, and the Secret of the same name."""

    def __init__(self, calls: Calls, brief: Calls, reflector: PodReflector, namespace: str, name: str) -> None:
        """``brief`` is for what may be left out, so nobody waits long for it."""
        self._calls, self._brief, self._reflector = calls, brief, reflector
        self.namespace, self.name = namespace, name
        self.key = f"{namespace}/{name}"
        self._uid = ""

    @property
    def pod(self) -> Object | None:
        """What is known of it at this moment."""
        return self._reflector.pods.get(self.key)

    async def make(self, values: Values, request: manifests.PodRequest, pod: Object) -> Object:
        """Make home, Secret and pod, in that order; the Secret then goes with the pod.

        The home has no owner and is left as it is when it is there. :class:`BackendError` before anything is made when
        the pod has an image that is not listed, or a secret in it: it may have been changed since it was decided.
        """
        require_listed_images(values, pod)
        require_no_secret(pod, request.secrets.values())
        if request.spec.person is not None:
            await creating.make_home(self._calls, values, request.spec.person)
        made = await creating.make(self._calls, STARTING, values, request, pod)
        self._uid = str(part(made, "metadata").get("uid"))
        return made

    async def remove(self, reason: EndReason, message: str, grace: int) -> None:
        """Have pod and Secret deleted, after the pod was told who ended it; nothing when they are gone."""
        with contextlib.suppress(ClusterRefused):
            # Kueue has to agree to each change of a pod, and to no deletion: while it is away a session still ends.
            await self._brief.patch(STOPPING, "Pod", self.namespace, self.name, end_patch(reason, message))
        await self._calls.delete(STOPPING, "Pod", self.namespace, self.name, grace)
        await self._calls.delete(STOPPING, "Secret", self.namespace, self.name)

    async def ended_because(self, ended: Workload) -> Workload:
        """The end of a session, with why it had to end where its pod does not say so."""
        if ended.reason is not EndReason.finished:
            return ended
        try:
            trouble = events_trouble(await self._brief.events("look", self.namespace, self.name))
        except ClusterRefused:
            return ended
        if trouble is None:
            return ended
        return ended.model_copy(update={"reason": trouble.reason, "message": trouble.sentence})

    async def until_gone(self, grace: float) -> bool:
        """Wait until nothing of it runs any more; False when the cluster does not say so in time."""
        limit = time.monotonic() + grace + BEYOND_GRACE
        while not has_gone(self.pod):
            if time.monotonic() > limit:
                return False
            await self._reflector.change_of(self.key, LOOK_AGAIN)
        return True

    async def until_ready(self, patience: Patience, say: Callable[[Start], None]) -> Object:
        """Wait until its containers run; the pod then.

        :class:`NothingFree` when its turn in the line does not come in time, :class:`BackendError` when it will not
        come up. ``say`` is told each time how it stands, and may raise.
        """
        begun, waits_since, seen = time.monotonic(), None, False
        while True:
            pod, now = self.pod, time.monotonic()
            seen = seen or pod is not None
            found = look(pod, seen=seen)
            if found.stand is Stand.ready and pod is not None:
                return pod
            if found.stand is Stand.over:
                raise BackendError(f"the session could not start: {found.sentence}")
            if found.stand is Stand.waits:
                waits_since = now if waits_since is None else waits_since
                if now - waits_since >= ASK_AFTER:
                    found = await self._place(found, now - waits_since)
                begun = time.monotonic()  # after it was asked for: that takes a while when Kueue does not answer
                _require_turn(begun - waits_since, patience.wait, found)
            elif now - begun > patience.start:
                raise BackendError(f"the session was not ready within {_time(patience.start)}: {found.sentence}")
            say(found)
            await self._reflector.change_of(self.key, LOOK_AGAIN)

    async def _place(self, start: Start, waited: float) -> Start:
        """How it waits, with its place; without one when Kueue does not say.

        Of those who ask for the same Kueue says only of the first that nothing is free.
        """
        queue = part(part(self.pod or {}, "metadata"), "labels").get(QUEUE)
        without = Start(start.stand, start.sentence, held_back=waited > NO_WAIT)
        try:
            workloads = await self._brief.list("look", "Workload", self.namespace, {line.JOB_UID: self._uid})
            workload = line.workload_of(workloads, self._uid)
            pending = await self._brief.line("look", self.namespace, str(queue)) if workload is not None else {}
        except ClusterRefused:
            return without
        if workload is None:
            return without
        waits = line.waiting(workload, pending)
        if waits is None:
            return start
        if waits.lasting:
            raise NothingFree(f"the session cannot start: {waits.sentence}")
        return Start(start.stand, waits.sentence, waits.held_back or without.held_back)


def _require_turn(waited: float, most: float, start: Start) -> None:
    if waited <= most:
        return
    if most < 10:  # seconds: the shortest `wait` of a profile; below it nobody may wait at all
        raise NothingFree(f"nothing is free now ({start.sentence}); try again later, or choose something smaller")
    raise NothingFree(
        f"nothing became free within {_time(most)} ({start.sentence}); try again later, or choose something smaller"
    )


def _time(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g} seconds"


def end_of(pod: Object | None, known: Workload, reason: EndReason, message: str) -> Workload:
    """The end of a session: as its last pod tells it, as somebody said there who asked for it, else as we say."""
    now = datetime.now(UTC)
    found = gone(pod, now) if pod is not None else None
    if found is not None and not found.inferred:
        return found
    changes = {"reason": reason, "message": message, "ended_at": now, "inferred": reason is EndReason.lost}
    return (found or known).model_copy(update={**changes, "phase": Phase.ended})


def unknown(workload_id: str, person: str, server_name: str) -> Workload:
    """What is left of a session of which neither the cluster nor this hub knows more."""
    return Workload(
        id=workload_id,
        kind=WorkloadKind.session,
        name=f"session of {person}",
        person=person,
        server_name=server_name,
        cores=0,
        memory_gib=0,
        phase=Phase.starting,
        created_at=datetime.now(UTC),
    )


async def settle(task: asyncio.Task[Any] | None) -> None:
    """Wait until something that was begun is over, whatever comes of it: only then it can be taken back."""
    if task is not None:
        with contextlib.suppress(Exception):
            await asyncio.wait([task])
