"""Sessions that are started and stopped on a cluster to accept it, by the backend that the platform itself uses."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from jupyterhub_aiinfn.api.availability import DeviceAvailability
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import AiinfnError, BackendError
from jupyterhub_aiinfn.model.numbers import numbers_of
from jupyterhub_aiinfn.values import Values

from .. import names
from ..backend import KubernetesBackend
from ..calls import Calls
from ..connection import Connection
from ..starting import Stand, look
from ..translation import part, parts
from . import looking
from .looking import Answers
from .plan import PEOPLE, Plan, everybodys_groups, plan_of, trial_values
from .report import Finding, Report, Result

LOOK_AGAIN = 0.3
"""Seconds between two looks at a session (arbitrary)."""
A_MOMENT = 20.0
"""Seconds within which what has changed is counted, and what was deleted is gone (arbitrary)."""
LIVES = 4
"""A session ends by itself after so many times the limit of one step: more than a whole trial takes."""
EMULATED, FAKE = "aiinfn/emulated", "kwok.x-k8s.io/node"
"""Label, and annotation of KWOK, of nodes whose devices are emulated."""
Say = Callable[[Finding], None]


class Trial:
    """Tries accelerators one after the other and writes what it sees into a report.

    Each session must come up, and each stop be done, within ``limit`` seconds.
    """

    def __init__(self, values: Values, connection: Connection, report: Report, limit: float, say: Say) -> None:
        self.values, self.report, self.limit = trial_values(values), report, limit
        self.groups = everybodys_groups(values)
        self.backend = KubernetesBackend(self.values, connection, groups=lambda _: self.groups)
        self._connection, self._calls, self._say = connection, Calls(connection), say
        self._word, self._live = secrets.token_hex(8), dict[str, WorkloadSpec]()

    async def open(self) -> None:
        """Watch the cluster; :class:`BackendError` when it does not let us within the limit."""
        version = await self._connection.ask("ask the cluster for its version", "GET", "/version")
        self.report.cluster = f"Kubernetes {str(version.get('gitVersion'))[:40]}"
        self.backend.begin()
        try:
            async with asyncio.timeout(self.limit):
                await self.backend.watched.synced()
        except TimeoutError:
            why = self.backend.trouble or "it does not answer"
            raise BackendError(f"the cluster could not be watched within {self.limit:g} seconds: {why}") from None

    async def close(self) -> None:
        """End what still runs, and stop watching."""
        try:
            await self._end_all("cluster")
        finally:
            await self.backend.close()

    async def rules(self) -> None:
        """Whether the namespace of sessions enforces the strictest rules for pods."""
        namespace = names.namespace_of(self.values, WorkloadKind.session)
        found = await self._connection.ask("look at the namespace", "GET", f"/api/v1/namespaces/{namespace}")
        level = part(part(found, "metadata"), "labels").get("pod-security.kubernetes.io/enforce")
        good = level == "restricted"
        says = f"Pod Security {level or 'nothing'} is enforced on {namespace}"
        remedy = "" if good else "; apply what `aiinfn kubernetes manifests` writes"
        self._note("cluster", "rules for pods", Result.passed if good else Result.failed, f"{says}{remedy}")

    async def accelerator(self, key: str) -> None:
        """Try one accelerator; what goes wrong is a finding, and whatever was started is ended."""
        try:
            plan = plan_of(self.values, key)
        except BackendError as error:
            self._note(key, "plan", Result.failed, str(error))
            return
        started: list[str] = []
        try:
            await self._try(plan, started)
        except AiinfnError as error:
            self._note(key, "session", Result.failed, str(error))
        finally:
            await self._end_all(key)
        if started:
            await self._nothing_stays(key, started)

    async def _try(self, plan: Plan, started: list[str]) -> None:
        key, before = plan.accelerator, await self._count(plan.accelerator)
        self.report.homes = list(PEOPLE)
        spec, answers = await self._session(plan, started, PEOPLE[0], with_device=True, write=True)
        self._note(key, "session", Result.passed, f"profile {plan.profile}, size {plan.size_name}: it came up")
        await self._device(plan, spec, answers, before)
        numbers = numbers_of(self.values, PEOPLE[0])
        self._note(key, "rights", *looking.rights(numbers.uid, answers))
        self._note(key, "secret", *looking.secret(answers))
        self._note(key, "memory of the session", *looking.memory(plan.size.memory_gib, answers))
        self._note(key, "home is writable", *looking.writable(answers))
        _, other = await self._session(plan, started, PEOPLE[1], with_device=False, write=True)
        self._note(key, "isolation of devices", *looking.no_device(other))
        self._note(key, "isolation of homes", *looking.other_home(other))
        await self._stop(key, spec)
        _, again = await self._session(plan, started, PEOPLE[0], with_device=False, write=False)
        self._note(key, "home is kept", *looking.home(self._word, again))

    async def _session(
        self, plan: Plan, started: list[str], person: str, *, with_device: bool, write: bool
    ) -> tuple[WorkloadSpec, Answers]:
        """A session that has answered; :class:`BackendError` says why there is none."""
        seconds = int(self.limit * LIVES)
        spec = plan.spec(person, word=self._word, with_device=with_device, write=write, seconds=seconds)
        self._live[spec.id] = spec
        started.append(spec.id)
        try:
            await self.backend.start(spec, {looking.WORD: secrets.token_hex(16)})
        except AiinfnError:
            del self._live[spec.id]
            raise
        return spec, await self._answers(spec)

    async def _answers(self, spec: WorkloadSpec) -> Answers:
        last = "nothing was heard of it"
        try:
            async with asyncio.timeout(self.limit):
                while True:
                    start = look(self.backend.watched.pod_of(spec.id), seen=True)
                    last = start.sentence
                    if start.stand is Stand.over:
                        raise BackendError(f"{who(spec)} did not come up: {last}")
                    found = await self._read(spec) if start.stand is Stand.ready else Answers()
                    if found.complete:
                        return found
                    await asyncio.sleep(LOOK_AGAIN)
        except TimeoutError:
            raise BackendError(f"{who(spec)} did not answer within {self.limit:g} seconds: {last}") from None

    async def _read(self, spec: WorkloadSpec) -> Answers:
        return looking.read_answers(await self.backend.log(spec.id, looking.MAX_ANSWERS))

    async def _device(self, plan: Plan, spec: WorkloadSpec, answers: Answers, before: DeviceAvailability) -> None:
        key, resource = plan.accelerator, str(plan.entry.resource)
        namespace, name = names.namespace_of(self.values, spec.kind), names.object_name(spec)
        pod = await self._calls.read("look at its pod", "Pod", namespace, name)
        limits = next(
            (limits_of(one) for one in parts(part(pod, "spec"), "containers") if one["name"] == names.MAIN), {}
        )
        self._note(key, "device is held", *looking.held(resource, plan.count, limits))
        node = self._node(str(part(pod, "spec").get("nodeName")))
        head = part(node, "metadata")
        labels = {str(label): str(value) for label, value in part(head, "labels").items()}
        self._note(key, "node", *looking.node(plan.entry.node_selector, str(head.get("name")), labels))
        if labels.get(EMULATED) == "yes" or FAKE in part(head, "annotations"):
            self.report.emulated.append(key)
            self._note(key, "device is seen", Result.not_checked, "EMULATED: its node says that it has no real device")
        else:
            self._note(key, "device is seen", *looking.device(plan.entry, plan.count, answers))
            self._note(key, "memory of the device", *looking.device_memory(plan.entry, answers))
        self._note(key, "count", *await self._counted(plan, before))

    async def _counted(self, plan: Plan, before: DeviceAvailability) -> tuple[Result, str]:
        """Whether exactly the devices of the session count as used, sooner or later."""
        used = -1

        async def rose() -> bool:
            nonlocal used
            used = (await self._count(plan.accelerator)).used
            return used == before.used + plan.count

        if await soon(rose):
            return Result.passed, f"{used} of {before.total} are counted as used, {plan.count} more than before"
        return Result.failed, (
            f"{used} are counted as used and {before.used} were before, though {plan.count} came to it; "
            "try again when nobody else starts or ends sessions"
        )

    async def _count(self, key: str) -> DeviceAvailability:
        return (await self.backend.availability()).devices[key].seen_by(self.groups)

    def _node(self, name: str) -> Mapping[str, Any]:
        found = self.backend.watched.nodes.objects.values()
        return next((one for one in found if part(one, "metadata").get("name") == name), {})

    async def _stop(self, key: str, spec: WorkloadSpec) -> None:
        begun = time.monotonic()
        ended = await self._end(spec.id, None)
        took = time.monotonic() - begun
        good = ended.phase is Phase.ended and ended.reason is EndReason.stopped
        says = f"it ended as {ended.reason} {took:.1f} s after it was asked to"
        self._note(key, "stop", Result.passed if good else Result.failed, says)

    async def _end(self, workload_id: str, grace: float | None) -> Workload:
        """End a session, also when somebody interrupts us meanwhile; it is forgotten once it has ended."""
        ended = await self.backend.stop(workload_id, "the acceptance is done with it", grace)
        self._live.pop(workload_id, None)
        return ended

    async def _end_all(self, subject: str) -> None:
        for workload_id in list(self._live):
            try:
                await self._end(workload_id, 1)
            except AiinfnError as error:
                self._note(subject, "end", Result.failed, f"{workload_id} could not be ended: {error}")

    async def _nothing_stays(self, key: str, started: list[str]) -> None:
        left: list[str] = []

        async def gone() -> bool:
            left[:] = [name for one in started for name in await self._objects(one)]
            return not left

        if await soon(gone):
            self._note(key, "nothing stays", Result.passed, "no pod and no Secret of these sessions is there any more")
        else:
            self._note(key, "nothing stays", Result.failed, f"{', '.join(left)}: still there; delete them")

    async def _objects(self, workload_id: str) -> list[str]:
        namespace = names.namespace_of(self.values, WorkloadKind.session)
        found = []
        for kind in ("Pod", "Secret"):
            for one in await self._calls.list("look for what stays", kind, namespace, {names.WORKLOAD: workload_id}):
                found.append(f"{kind} {part(one, 'metadata').get('name')}")
        return found

    def _note(self, subject: str, check: str, result: Result, sentence: str) -> None:
        finding = Finding(subject, check, result, sentence)
        self.report.findings.append(finding)
        self._say(finding)


def limits_of(container: Mapping[str, Any]) -> dict[str, str]:
    """What a container may use, as the API server has it."""
    return {str(key): str(value) for key, value in part(part(container, "resources"), "limits").items()}


def who(spec: WorkloadSpec) -> str:
    """A session in words."""
    return "the session with the device" if spec.accelerator is not None else "a session without a device"


async def soon(holds: Callable[[], Awaitable[bool]]) -> bool:
    """Whether something holds within a moment."""
    deadline = time.monotonic() + A_MOMENT
    while not await holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_AGAIN)
    return True


def begun(values_hash: str) -> Report:
    """An empty report."""
    return Report(values_hash, datetime.now(UTC))
