"""Sessions as pods of a cluster: KubeSpawner's place in the hub, our decision and our manifests.

Of KubeSpawner's settings those of its connection count; what a pod is made of follows from the values alone, so nothing
that a hook or an override adds gets around the decision.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from kubespawner.clients import load_config, shared_client
from kubespawner.spawner import KubeSpawner

from jupyterhub_aiinfn.api.facts import FactKind
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload
from jupyterhub_aiinfn.backends.base import WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.backends.kubernetes import manifests
from jupyterhub_aiinfn.backends.kubernetes.calls import PATIENCE, Calls
from jupyterhub_aiinfn.backends.kubernetes.kueue import queue_of
from jupyterhub_aiinfn.backends.kubernetes.reading import read_pod
from jupyterhub_aiinfn.backends.kubernetes.starting import Stand, Start, held_by_guarantee, is_ready
from jupyterhub_aiinfn.errors import AiinfnError, Busy, Refusal
from jupyterhub_aiinfn.model.numbers import Numbers
from jupyterhub_aiinfn.model.requests import Grant
from jupyterhub_aiinfn.values import Values

from . import session_environment
from .answering import first_of, until_it_answers
from .outbox import Outbox
from .pod_reflector import PodReflector, reflector_of
from .refusals import Refused, StartFailed
from .session_numbers import numbers_for
from .session_pod import SOON, UNANSWERED, VANISHED, Ending, Patience, SessionPod, end_of, settle, unknown
from .spawner import SESSIONS_KNOWN_WITHIN, GrantedSpawner
from .sweeping import sweep, until_removed

MARGIN = 120
"""Seconds by which the hub's own limit of a start is later than ours, which ends in words and counts as no failure."""
AT_ONCE = 2.0
"""Seconds for which the removal of what failed is tried before the person reads why; then it goes on beside that."""
CANCELLED = "stopped while it was starting"


class GrantedKubeSpawner(GrantedSpawner, KubeSpawner):
    """One session of one person as a pod.

    Its state is the id of the workload and the name of its pod, written before anything is made. Whether the session
    lives is read from memory, which the reflector keeps up to date; while the cluster does not answer, none has ended.
    """

    service_url: str
    session_command: tuple[str, ...]
    outbox: Outbox | None = None
    """Where starts and ends are kept for the service; None: nowhere."""
    workload_id = ""
    request: manifests.PodRequest | None = None
    under_way: ClassVar[dict[str, manifests.PodRequest]] = {}
    """Starts of this hub by the name of their pod, until they are over."""
    waiting: ClassVar[set[str]] = set()
    """Those of them that wait in the line of Kueue."""
    removing: ClassVar[dict[str, asyncio.Task[None]]] = {}
    """What is being removed after a start that failed while the cluster did not answer, by ``namespace/pod``."""
    _starting = False
    _last_pod: Any = None
    """As it was when it was last seen: who ended it stands in it."""
    _ending: Ending
    _noted = ""
    """The workload whose end is on record."""
    _noticing: asyncio.Future[Any] | None = None
    _making: asyncio.Task[Any] | None = None
    _standing = Start(Stand.comes, "asking for it")

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._ending = Ending()

    # State

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a session that an earlier hub started."""
        super().load_state(state)
        self.workload_id = state.get("workload", "")
        if self.workload_id:
            self._follow()

    def get_state(self) -> dict[str, Any]:
        """What is needed to find the session again."""
        state: dict[str, Any] = super().get_state()
        return state | {"workload": self.workload_id} if self.workload_id else state

    def clear_state(self) -> None:
        """Forget the session."""
        super().clear_state()
        self.workload_id, self.request, self._last_pod, self._making = "", None, None, None
        self._ending = Ending()

    @property
    def reflector(self) -> PodReflector:
        """The memory of all pods of sessions, begun when it is first asked for."""
        return reflector_of(self.namespace, self.config)

    @property
    def session(self) -> SessionPod:
        """Pod and Secret of this session."""
        return self._session(PATIENCE)

    def _session(self, patience: float) -> SessionPod:
        calls, brief = (Calls(self.api.api_client, seconds) for seconds in (patience, AT_ONCE))
        return SessionPod(calls, brief, self.reflector, self.namespace, self.pod_name)

    # Start

    async def prepare(self, grant: Grant) -> None:
        """Settle id and names."""
        cluster = manifests.cluster_of(self.granted_by)
        self.namespace, self.port = cluster.sessions_namespace, cluster.sessions.port
        self.workload_id = new_workload_id()
        try:
            self.request = self._make_request(grant, await numbers_for(self, self.granted_by))
        except AiinfnError as error:
            raise StartFailed(str(error), reason="error") from error
        self.pod_name = self.request.name
        self.start_timeout = int(self._patience().longest) + MARGIN
        self.under_way[self.pod_name] = self.request

    async def start(self) -> str:
        """Make the session's pod and wait until its server answers; the address where it does.

        Whatever ends it before removes what was made.
        """
        self._starting, session = True, self.session
        try:
            address = await self._bring_up(session)
        except asyncio.CancelledError:
            await asyncio.shield(self._take_back(session, CANCELLED))
            raise
        except Refusal as refusal:
            self._refused = True
            await self._take_back(session, str(refusal))
            raise Refused(refusal) from refusal
        except (AiinfnError, StartFailed) as error:
            await self._take_back(session, str(error))
            raise error if isinstance(error, StartFailed) else StartFailed(str(error), reason="error") from error
        finally:
            self._starting = False
            self.waiting.discard(session.name)
        self.came_up()
        self._follow()
        return address

    async def get_pod_manifest(self) -> manifests.Manifest:
        """The pod of the session that was granted, from the values; raises when a secret stands in it."""
        assert self.request is not None
        return manifests.session_pod(self.granted_by, self.request)

    async def _bring_up(self, session: SessionPod) -> str:
        assert self.request is not None
        if not await self.reflector.loaded(SESSIONS_KNOWN_WITHIN):
            raise StartFailed(
                "the cluster does not answer, so no session can start; try again in a minute",
                reason="error",
                status=503,
            )
        pod = await self.get_pod_manifest()
        self._making = asyncio.ensure_future(session.make(self.granted_by, self.request, pod))
        self._follow()
        made = read_pod(await asyncio.shield(self._making))
        if made is not None:
            await self._note(FactKind.opened, made)
        ready = await session.until_ready(self._patience(), self._say)
        host = str(ready["status"]["podIP"])
        await self._until_it_answers(session, host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def _until_it_answers(self, session: SessionPod, host: str) -> None:
        """Return once the server answers; it must do so within our limit, and in our words when it does not."""
        self._say(Start(Stand.ready, "JupyterLab is starting"))
        limit = self._patience().start
        ended = asyncio.ensure_future(self._ended(session))
        try:
            if not await first_of(until_it_answers(host, self.port, f"{self.server.base_url}api"), ended, limit):
                sentence = (
                    f"the session did not answer within {limit:g} seconds and was stopped; try again, or ask for help"
                )
                raise StartFailed(f"{sentence} when it happens twice", reason="timeout")
            if ended.done():
                said = ended.result()
                words = said.message or f"exit code {said.exit_code}"
                raise StartFailed(f"the session ended before it answered: {words}")
        finally:
            ended.cancel()

    async def _ended(self, session: SessionPod) -> Workload:
        while True:
            pod = session.pod
            found = read_pod(pod) if pod is not None else self._end(None, EndReason.lost, VANISHED)
            if found is not None and found.phase is Phase.ended:
                return found
            await self.reflector.change_of(session.key, 10)

    def _say(self, start: Start) -> None:
        """Note how the start stands, for the page; :class:`Busy` when too many wait already."""
        self._standing = start
        if start.stand is not Stand.waits:
            self.waiting.discard(self.pod_name)
        if not start.held_back or self.pod_name in self.waiting:
            return
        most = max(1, self.granted_by.limits.concurrent_starts // 2)
        if len(self.waiting) >= most:
            raise Busy(f"{most} sessions wait for a device already; try again later, or choose one without a device")
        self.waiting.add(self.pod_name)

    async def _take_back(self, session: SessionPod, why: str) -> None:
        """Remove what a start made; while the cluster does not answer, go on trying beside everything else."""
        await settle(self._making)
        made = self._making is not None and not self._making.cancelled() and self._making.exception() is None
        try:
            await self._session(AT_ONCE).remove(EndReason.not_started, why, SOON)
        except AiinfnError as error:
            self.log.warning("%s is not removed yet: %s", session.key, error)
            self._remove_beside(session, EndReason.not_started, why)
        if made:
            await self._note_end(self._end(session.pod, EndReason.not_started, why))

    def _make_request(self, grant: Grant, numbers: Numbers) -> manifests.PodRequest:
        """What the pod is made from. There is no ``await`` between the look at who holds a guarantee and its use."""
        variables = self.get_env()
        cluster = manifests.cluster_of(self.granted_by)
        spec = self.workload_spec(
            grant,
            self.workload_id,
            command=self.session_command,
            grace_seconds=cluster.sessions.stop_grace.total_seconds(),
            environment=session_environment.public(variables)
            | self.describe_session(grant, self.workload_id, self.service_url),
        )
        return manifests.PodRequest(
            spec=spec,
            numbers=numbers,
            groups=self.person().groups,
            secrets=session_environment.secret(variables),
            queue=queue_of(self.granted_by, spec, self._held_by_guarantee(spec)),
        )

    def _held_by_guarantee(self, spec: WorkloadSpec) -> int:
        pods = self.reflector.pods
        unseen = [one for name, one in self.under_way.items() if f"{self.namespace}/{name}" not in pods]
        return held_by_guarantee(pods.values(), unseen, spec)

    def _patience(self) -> Patience:
        assert self.grant is not None
        return Patience.of(self.granted_by, self.grant.choice.profile)

    @property
    def standing(self) -> str:
        """Where it stands; who waits in the line reads the place."""
        sentence = self._standing.sentence
        return f"{sentence[:1].upper()}{sentence[1:]}"

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What a person sees while the session starts: where it stands, and its place in the line."""
        shares = {Stand.waits: 10, Stand.comes: 40, Stand.ready: 80, Stand.over: 90}
        said = None
        while self.pending:
            if said != self._standing:
                said = self._standing
                yield {"progress": shares[said.stand], "message": self.standing}
            await asyncio.sleep(0.3)

    # Life and end

    async def poll(self) -> int | None:
        """None while the session lives, else its exit code; a look into memory. What has ended by itself is removed."""
        if not self.workload_id:
            return 0
        if self._starting or not await self.reflector.loaded(SESSIONS_KNOWN_WITHIN):
            return None  # of what is not known nothing has ended; the next poll looks again
        pod, found, left = self._look()
        if left != 0:
            self._take_address(pod)
            return None
        if found is None or found.phase is not Phase.ended:
            found = self._end(pod, EndReason.lost, VANISHED if pod is None else UNANSWERED)
        found = await self.session.ended_because(found)
        await self._note_end(found)
        if pod is not None:
            await self._remove_ended(found)
        return 1 if found.exit_code is None else found.exit_code

    def _look(self) -> tuple[Any, Workload | None, float | None]:
        """The pod, what it says, and in how many seconds the session counts as ended; None: it lives."""
        pod = self.session.pod
        found = read_pod(pod) if pod is not None else None
        return pod, found, self._ending.left(pod, found, time.monotonic())

    async def _remove_ended(self, ended: Workload) -> None:
        try:
            await self.session.remove(ended.reason or EndReason.finished, ended.message, SOON)
        except AiinfnError as error:
            self.log.warning("%s has ended and is not removed yet: %s", self.session.key, error)
            self._remove_beside(self.session, ended.reason or EndReason.finished, ended.message)

    def _remove_beside(self, session: SessionPod, reason: EndReason, why: str) -> None:
        task = self.removing[session.key] = asyncio.ensure_future(until_removed(session, reason, why))
        task.add_done_callback(lambda _: self.removing.pop(session.key, None))

    async def stop(self, now: bool = False) -> None:
        """End the session politely, or at once; returns when nothing of it runs any more.

        While the cluster does not answer it is being stopped: JupyterHub forgets a server whose stop fails, and the
        pod would run on. A hub that is killed meanwhile still has the session.
        """
        session = self.session
        self.reflector.call_at_change(session.key, None)
        if session.key in self.removing:
            return  # what its start made is being removed already, and the person reads why at once
        grace = SOON if now or self._starting else self._grace()
        try:
            await session.remove(EndReason.stopped, "stopped", grace)
        except AiinfnError as error:
            self.log.warning("%s is not stopped yet: %s", session.key, error)
            await until_removed(session, EndReason.stopped, "stopped", grace)
        if not await session.until_gone(grace):
            self.log.warning("%s is deleted, and the cluster does not say that it has ended", session.key)
        await self._note_end(self._end(session.pod, EndReason.stopped, "stopped"))

    async def run_post_stop_hook(self) -> None:
        """Whatever ended, refused or failed: nothing stays reserved or waits."""
        self.under_way.pop(self.pod_name, None)
        self.waiting.discard(self.pod_name)
        await super().run_post_stop_hook()

    def came_up(self) -> None:
        """The session answers."""
        self.under_way.pop(self.pod_name, None)
        super().came_up()

    async def delete_forever(self) -> None:
        """Nothing: a home outlives its server and its person's account."""

    async def get_url(self) -> str:
        """Where the session is; one that a killed hub had begun to start is waited for."""
        session, limit = self.session, self.platform.values.limits.start_timeout.total_seconds()
        try:
            pod = await session.until_ready(Patience(limit, limit), lambda start: None)
            self._take_address(pod)
        except AiinfnError as error:
            self.log.warning("%s did not come up after the restart of the hub: %s", session.key, error)
        return str(self.server.url)

    def _end(self, pod: Any, reason: EndReason, message: str) -> Workload:
        """The end of the session: as its pod tells it, as somebody said who asked for it, else as we say."""
        known = self.platform.sessions.live(self.workload_id) or unknown(self.workload_id, self.user.name, self.name)
        return end_of(pod or self._last_pod, known, reason, message)

    def _follow(self) -> None:
        """Have the hub notice at once when the session ends by itself, not at the next poll."""
        self.reflector.call_at_change(self.session.key, self._changed)

    def _changed(self) -> None:
        pod, found, left = self._look()
        self._last_pod = pod or self._last_pod
        if found is not None and found.phase is not Phase.ended:
            self.platform.sessions.update(found)
        if left:
            asyncio.get_running_loop().call_later(left, self._changed)
        elif left == 0 and not self.pending and self.reflector.first_load_future.done():
            self._noticing = asyncio.ensure_future(self.poll_and_notify())

    def _take_address(self, pod: Any) -> None:
        """Go where the pod is: a hub that was killed during the start never heard of it."""
        if not self.server or not is_ready(pod):
            return
        host, port = pod["status"]["podIP"], manifests.cluster_of(self.platform.values).sessions.port
        if (self.server.ip, self.server.port) != (host, port):
            self.server.ip, self.server.port = host, port
            self.commit()

    async def _note(self, kind: FactKind, workload: Workload) -> None:
        self.platform.sessions.update(workload)
        if self.outbox is not None:
            await self.outbox.record(kind, workload)

    async def _note_end(self, ended: Workload) -> None:
        if self._noted != ended.id:
            self._noted = ended.id
            await self._note(FactKind.closed, ended)

    def _grace(self) -> int:
        return int(manifests.cluster_of(self.platform.values).sessions.stop_grace.total_seconds())


async def sweep_cluster(values: Values) -> None:
    """What a killed hub left goes; call it once, within the event loop of the new one."""
    load_config()
    await sweep(values, shared_client("CoreV1Api").api_client, GrantedKubeSpawner.under_way)
