"""The backend of one machine: every workload is a sandboxed process under a small runner of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.storage import FolderKind
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Progress, Usage, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend, WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError, NothingFree
from jupyterhub_aiinfn.model.rescue import rescue_environment, rescue_reason
from jupyterhub_aiinfn.values.current import CurrentValues
from jupyterhub_aiinfn.values.document import Values

from .cgroups import Cgroups, Limits
from .devices import DeviceCount, count_devices, describe, free_devices, held_cards
from .enforcement import Enforcement, address_enforcement, describe_enforcement, sandbox_works, size_enforcement
from .home_probe import probe_home
from .interpreters import command_trees
from .launching import Plan, launch
from .listening import listeners, sockets_of
from .metering import Meter
from .nvidia import GPUS, Card, device_files
from .processes import ProcessIdentity
from .records import Records, live_with_key, unwritable
from .sandbox import (
    GROUP_FD,
    PASSWD_FD,
    PROJECTS,
    PUBLIC,
    SECCOMP_FD,
    Host,
    Occupant,
    Share,
    job_command,
    sandbox_command,
)
from .seccomp import seccomp_program
from .state import StateFolder, read_json, read_object
from .storage import LocalStorage
from .uids import uid_of
from .workload_environment import job_environment, session_environment

POLL_SECONDS = 0.25
"""How often a watch looks at the records."""
HARD_SECONDS = 10.0
"""Beyond the grace: then a runner that has not ended its workload is killed itself, and the sandbox dies with it."""
PLATFORM_HARD_SECONDS = 1.0
"""The same when the platform stops, which has ten seconds for everything."""
THREADS = 8

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class LocalBackend(Backend):
    """Workloads of this machine, as their records in the state folder say.

    ``images`` tells which environments are ready (for :meth:`availability`). ``readable`` names the trees that a
    workload must be able to read besides the environment of its command (the image's environment). ``supervisor`` is
    the process with which all workloads end; by default the one that the state folder names when a workload starts.
    ``gpus`` is where NVIDIA's driver lists its cards.
    """

    def __init__(
        self,
        values: Values | CurrentValues,
        state: StateFolder,
        *,
        images: Callable[[], Mapping[str, bool]] | None = None,
        readable: Callable[[WorkloadSpec], Iterable[Path]] | None = None,
        supervisor: ProcessIdentity | None = None,
        gpus: Path = GPUS,
    ) -> None:
        self._current = CurrentValues.of(values)
        self.state = state
        self.records = Records(state.workloads)
        self.storage = LocalStorage(self._current, state)
        self._images = images
        self._readable = readable
        self._supervisor = supervisor
        self._gpus = gpus
        self._found_cgroups: Cgroups | None = None
        self._meter = Meter()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="local-backend")

    @property
    def values(self) -> Values:
        """The values that count now; who needs several things of them asks once."""
        return self._current.values

    # ------------------------------------------------------------------------------------------------------ verbs

    async def availability(self) -> Availability:
        """What is free now."""
        return await self._call(self._availability)

    async def start(self, spec: WorkloadSpec, secret_environment: Mapping[str, str] | None = None) -> Workload:
        """Start a workload; returns once its process exists (an early end shows in :meth:`workload`)."""
        return await self._call(self._start, spec, dict(secret_environment or {}))

    async def stop(
        self,
        workload_id: str,
        message: str = "",
        grace_seconds: float | None = None,
        reason: EndReason = EndReason.stopped,
    ) -> Workload:
        """End a workload and return it once it has ended."""
        return await self._end(workload_id, reason, message or "it was stopped", grace_seconds)

    async def extend(self, workload_id: str, max_seconds: int) -> Workload:
        """Write how long it may last where its runner looks before it ends it."""
        return await self._call(self.records.extend, workload_id, max_seconds)

    async def usage(self) -> dict[str, Usage]:
        """What each live session has used: see :mod:`.metering`."""
        return await self._call(self._usage)

    async def workload(self, workload_id: str) -> Workload:
        """One workload."""
        return await self._call(self.records.get, workload_id)

    async def workloads(self) -> list[Workload]:
        """All workloads, oldest first."""
        return await self._call(self.records.all)

    async def watch(self) -> AsyncIterator[Workload]:
        """Every workload, then each again when it changes."""
        seen: dict[str, Workload] = {}
        while True:
            found = await self._call(self.records.all)
            for workload in found:
                if seen.get(workload.id) != workload:
                    seen[workload.id] = workload
                    yield workload
            known = {workload.id for workload in found}
            seen = {workload_id: workload for workload_id, workload in seen.items() if workload_id in known}
            await asyncio.sleep(POLL_SECONDS)

    async def log(self, workload_id: str, lines: int = 200) -> str:
        """The last lines."""
        return await self._call(self.records.log, workload_id, lines)

    async def progress(self, workload_id: str) -> Progress | None:
        """How far a job says it is; here it may also write the JSON to ``$AIINFN_PROGRESS_FILE``, by renaming."""
        return await self._call(self.records.progress, workload_id)

    async def listens(self, workload_id: str, port: int) -> bool:
        """Whether the workload's own sandbox holds every socket that accepts connections on that port of loopback."""
        return await self._call(self._listens, workload_id, port)

    # ----------------------------------------------------------------------------------- what one machine also has

    async def listening(self, port: int) -> list[Workload]:
        """The workloads that hold a socket which accepts connections on that port of loopback."""
        return await self._call(self._listening, port)

    def enforcement(self) -> list[Enforcement]:
        """What this machine enforces and what it does not. Blocking at the first call (about 20 ms)."""
        found = describe_enforcement(self._host, self._problem, self._cgroups)
        return [*found, address_enforcement(self.values.site.url), size_enforcement(self.storage.quota)]

    async def sweep(self) -> list[Workload]:
        """Bring the records into a consistent state after a crash; returns the live workloads."""
        return await self._call(self._sweep)

    async def prune(self, older_than: timedelta | None = None) -> list[str]:
        """Forget workloads that ended before ``limits.keep_workloads``, but the latest of each person."""
        kept = self.values.limits.keep_workloads if older_than is None else older_than
        return await self._call(self.records.prune, kept)

    async def end_all(self, message: str, grace_seconds: float) -> list[Workload]:
        """End every live workload, all at once (the platform stops), a second after the grace at the latest.

        What runs under a record that cannot be read ends too, but is not among those returned.
        """
        live = [workload for workload in await self.workloads() if workload.phase is not Phase.ended]
        reason, patience = EndReason.platform_stopped, grace_seconds + PLATFORM_HARD_SECONDS
        ends = [self._end(workload.id, reason, message, grace_seconds, patience) for workload in live]
        strays = [
            self._end_unreadable(name, message, grace_seconds) for name in await self._call(self.records.unreadable)
        ]
        found = await asyncio.gather(*ends, *strays, return_exceptions=True)  # no failure may leave the others running
        if self._found_cgroups is not None:
            await self._call(self._found_cgroups.remove)
        for failure in found:
            if isinstance(failure, BaseException):
                raise failure
        return [workload for workload in found if isinstance(workload, Workload)]

    # ----------------------------------------------------------------------------------------------------- inside

    async def _call(
        self, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Run blocking work in our own threads: the loop of a large hub never waits for a disk."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*arguments, **named))

    async def _end(
        self, workload_id: str, reason: EndReason, message: str, grace: float | None, patience: float | None = None
    ) -> Workload:
        workload = await self.workload(workload_id)
        if workload.phase is Phase.ended:
            return workload
        await self._call(self.records.request_stop, workload_id, reason, message, grace)
        if patience is None:
            patience = HARD_SECONDS + (await self._call(self._grace, workload_id) if grace is None else grace)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                return await self._ended(workload_id)
        if (runner := await self._call(self.records.runner, workload_id)) is not None:
            runner.send(9)
        return await self._ended(workload_id)

    async def _end_unreadable(self, workload_id: str, message: str, grace: float) -> None:
        """End what runs under a record that says nothing to us, by the identities beside it, and note the end."""
        await self._call(self.records.request_stop, workload_id, EndReason.platform_stopped, message, grace)
        if (runner := await self._call(self.records.runner, workload_id)) is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace + PLATFORM_HARD_SECONDS):
                    await wait_for_exit(runner)
            runner.send(9)
        await self._call(self.records.infer_end, workload_id, {})

    async def _ended(self, workload_id: str) -> Workload:
        """The workload once it has ended."""
        while True:
            runner = await self._call(self.records.runner, workload_id)
            if runner is not None:
                await wait_for_exit(runner)
            workload = await self.workload(workload_id)
            if workload.phase is Phase.ended:
                return workload
            await asyncio.sleep(0.05)

    def _grace(self, workload_id: str) -> float:
        spec = read_object(self.records.path(workload_id) / "spec") or {}
        return float(spec.get("grace_seconds") or 0)

    def _availability(self) -> Availability:
        live = [workload for workload in self.records.all() if workload.phase is not Phase.ended]
        counts = self._counts()
        return Availability(
            taken_at=datetime.now(UTC),
            devices={key: describe(key, count, live) for key, count in counts.items()},
            sessions=sum(workload.kind is WorkloadKind.session for workload in live),
            images=dict(self._images()) if self._images else {},
        )

    def _usage(self) -> dict[str, Usage]:
        live = [one for one in self.records.all() if one.kind is WorkloadKind.session and one.phase is Phase.running]
        found = {one.id: self.records.sandbox(one.id) for one in live}
        return self._meter.read({workload: sandbox for workload, sandbox in found.items() if sandbox is not None})

    def _listens(self, workload_id: str, port: int) -> bool:
        sandbox, found = self.records.sandbox(workload_id), listeners(port)
        if sandbox is None or not found:
            return False
        own = sockets_of(sandbox)
        return sandbox.alive() and all(one.inode in own for one in found)

    def _listening(self, port: int) -> list[Workload]:
        inodes = {one.inode for one in listeners(port)}
        live = [workload for workload in self.records.all() if workload.phase is not Phase.ended] if inodes else []
        held = {workload.id: self.records.sandbox(workload.id) for workload in live}
        return [one for one in live if (sandbox := held[one.id]) and not inodes.isdisjoint(sockets_of(sandbox))]

    def _counts(self) -> dict[str, DeviceCount]:
        return count_devices(self.values.accelerators, self._gpus)

    def _start(self, spec: WorkloadSpec, secrets: dict[str, str]) -> Workload:
        folder = self.records.path(spec.id)
        if self._problem:
            raise BackendError(self._problem)
        try:
            occupant = self._occupant(spec) if spec.person is not None else None
            with self.records.locked():
                existing, devices = self._reserve(spec)
        except OSError as error:
            raise unwritable(error, self.state.workloads) from error
        if existing is not None:
            return existing
        try:
            launch(folder, self._plan(spec, occupant, devices, secrets))
        except OSError as error:
            self._give_up(spec.id, str(error))
            raise unwritable(error, folder) from error
        except Exception as error:  # whatever it was: nobody else would ever end this record
            self._give_up(spec.id, str(error))
            raise
        return self.records.get(spec.id)

    def _give_up(self, workload_id: str, sentence: str) -> None:
        end = {
            "exit_code": None,
            "reason": "not-started",
            "message": sentence,
            "ended_at": datetime.now(UTC).timestamp(),
        }
        self.records.kill_sandbox(workload_id)  # a runner that was killed had perhaps got as far as that
        self.records.write_end(workload_id, end)

    def _reserve(self, spec: WorkloadSpec) -> tuple[Workload | None, tuple[str, ...]]:
        """Under the lock: the live workload with the same key, or the devices of a new one whose record is written."""
        workloads = self.records.all()
        existing = live_with_key(workloads, spec.key, self._key)
        if existing is not None:
            return existing, ()
        if any(workload.id == spec.id for workload in workloads):
            raise BackendError(f"there is a workload {spec.id} already; each start needs a new identifier")
        counts = self._counts()  # once: other values may count from one moment to the next
        devices = self._allot(spec, workloads, counts)
        emulated = bool(devices) and counts[str(spec.accelerator)].emulated
        self.records.add(spec, devices, emulated=emulated)
        return None, devices

    def _key(self, workload_id: str) -> str | None:
        return (read_object(self.records.path(workload_id) / "spec") or {}).get("key")

    def _allot(
        self, spec: WorkloadSpec, workloads: list[Workload], counts: Mapping[str, DeviceCount]
    ) -> tuple[str, ...]:
        if spec.accelerator is None or spec.accelerator_count <= 0:
            return ()
        count = counts.get(spec.accelerator)
        if count is None:
            raise BackendError(f"there is no accelerator {spec.accelerator!r} in the values file")
        free = free_devices(count, workloads, spec.accelerator)
        if len(free) < spec.accelerator_count:
            raise NothingFree(self._nothing_free(spec.accelerator, count, workloads, len(free)))
        return tuple(free[: spec.accelerator_count])

    def _nothing_free(self, key: str, count: DeviceCount, workloads: list[Workload], free: int) -> str:
        accelerator = self.values.accelerators.get(key)
        name = accelerator.name if accelerator else key
        name += " (EMULATED)" if count.emulated else ""
        if not count.total:
            return f"{name}: {count.reason}; choose another accelerator"
        sentence = f"{count.total - free} of {count.total} {name} are in use"
        at = describe(key, count, workloads).next_free_at
        when = (
            f"; one is free at {at.astimezone(ZoneInfo(self.values.site.timezone)):%H:%M %Z} at the latest"
            if at
            else ""
        )
        return f"{sentence}{when}: try again then, or choose something else"

    def _occupant(self, spec: WorkloadSpec) -> Occupant:
        """The person with their uid, home and shared folders, made now when this is the first time."""
        person = spec.person or ""
        self.storage.folder(FolderKind.home, person)  # refuses a name that would lead elsewhere
        uid = uid_of(self.state, person) if self._host.as_root else os.getuid()
        home = self.storage.prepare_home(person, uid)
        return Occupant(person, uid, home, shares=tuple(self._shares(spec)))

    def _shares(self, spec: WorkloadSpec) -> Iterator[Share]:
        for key in spec.folders:
            folder, gid = self.storage.prepare_project(key)
            yield Share(folder, f"{PROJECTS}/{key}", (f"project-{key}", gid))
        if spec.public:
            folder, gid = self.storage.prepare_public()
            yield Share(folder, PUBLIC, ("public-writers", gid) if spec.writes_public else None)

    def _plan(
        self, spec: WorkloadSpec, occupant: Occupant | None, devices: tuple[str, ...], secrets: Mapping[str, str]
    ) -> Plan:
        limits = Limits(spec.cores, spec.memory_gib)
        supervisor = self._supervisor or ProcessIdentity.from_json(read_json(self.state.supervisor))
        if occupant is not None:
            occupant = occupant.beside(self._readable_trees(spec))
        cards = held_cards(devices, self._counts().get(spec.accelerator or "", DeviceCount()))
        command, files = self._command(spec, occupant, cards)
        return Plan(
            command=command,
            environment=self._environment(spec, occupant, devices, cards) | dict(secrets),
            grace_seconds=spec.grace_seconds,
            max_seconds=spec.max_seconds,
            supervisor=supervisor.as_json() if supervisor else None,
            files=files,
            cgroups=self._cgroups.plan(spec.id, limits),
            memory_events=self._cgroups.memory_events(spec.id),
            memory_sentence=f"it went over its memory of {spec.memory_gib:g} GiB and was ended; choose a larger size",
            own_abstract_sockets=occupant is not None and self._host.own_abstract_sockets,
        )

    def _readable_trees(self, spec: WorkloadSpec) -> list[Path]:
        """What a session must be able to read beside the system: its program's environment, and its image's."""
        return [*command_trees(spec.command[0]), *(self._readable(spec) if self._readable else ())]

    def _environment(
        self, spec: WorkloadSpec, occupant: Occupant | None, devices: tuple[str, ...], cards: list[Card]
    ) -> dict[str, str]:
        if occupant is None:
            return job_environment(spec, self.records.path(spec.id) / "progress")
        variables = session_environment(spec, occupant, devices, cards)
        if spec.kind is not WorkloadKind.session:
            return variables
        reason = rescue_reason(probe_home(occupant.home, occupant.uid))
        return variables | (rescue_environment(reason, occupant.inner_home, variables) if reason else {})

    def _command(
        self, spec: WorkloadSpec, occupant: Occupant | None, cards: list[Card]
    ) -> tuple[list[str], dict[int, bytes]]:
        """The command line of the sandbox, and what it reads from descriptors."""
        if occupant is None:
            return job_command(spec.command, host=self._host), {}
        filter_program = seccomp_program()
        command = sandbox_command(
            spec.command,
            host=self._host,
            occupant=occupant,
            readable=(trees := self._readable_trees(spec)),
            hidden=places_of(self.state.root, trees),
            devices=device_files(cards),
            seccomp=filter_program is not None,
        )
        files = {PASSWD_FD: occupant.passwd.encode(), GROUP_FD: occupant.group.encode()}
        return command, files | ({SECCOMP_FD: filter_program} if filter_program else {})

    def _sweep(self) -> list[Workload]:
        self.records.remove_empty()
        live = [workload for workload in self.records.all() if workload.phase is not Phase.ended]
        self._cgroups.sweep({workload.id for workload in live})
        return live

    @cached_property
    def _host(self) -> Host:
        try:
            version = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            version = ""
        return Host.discover(as_root=os.geteuid() == 0, version=version)

    @cached_property
    def _problem(self) -> str:
        return sandbox_works(self._host)

    @property
    def _cgroups(self) -> Cgroups:
        """Looked for once, and again when the folders have been removed since: limits never vanish in silence."""
        if self._found_cgroups is None or not self._found_cgroups.usable():
            label = hashlib.sha256(str(self.state.root.absolute()).encode()).hexdigest()[:8]
            self._found_cgroups = Cgroups.discover(label=f"aiinfn-{label}")
        return self._found_cgroups


def places_of(folder: Path, trees: Iterable[Path]) -> set[Path]:
    """Every path under which the folder would be seen through the trees, which may lie behind links."""
    real = folder.resolve()
    through = {tree / real.relative_to(tree.resolve()) for tree in trees if real.is_relative_to(tree.resolve())}
    return {folder.absolute(), real, *through}


async def wait_for_exit(process: ProcessIdentity) -> None:
    """Return when this very process is gone, without polling."""
    descriptor = process.open()
    if descriptor is None:
        return
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, settle, gone)
    try:
        await gone
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def settle(future: asyncio.Future[None]) -> None:
    """Say that it happened (a descriptor may report more than once)."""
    if not future.done():
        future.set_result(None)
