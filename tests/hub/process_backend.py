"""A backend of plain processes: real workloads for the tests of the hub, without sandbox, devices counted in memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jupyterhub_aiinfn.api.availability import Availability, DeviceAvailability
from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase, Progress, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend, WorkloadSpec
from jupyterhub_aiinfn.errors import NothingFree, WorkloadNotFound

MUTE = """
import os, socket, time, urllib.parse
port = urllib.parse.urlparse(os.environ["JUPYTERHUB_SERVICE_URL"]).port
with socket.create_server(("127.0.0.1", port)) as server:
    taken = [server.accept() for _ in range(1000)]
"""


class Images:
    """The image ``missing`` is not built."""

    def ready(self, image: str) -> bool:
        return image != "missing"

    def kernels(self, image: str) -> Path:
        return Path("/nonexistent")

    def build_spec(self, image: str) -> WorkloadSpec:
        return WorkloadSpec(
            kind=WorkloadKind.job,
            job_class=JobClass.platform,
            name=f"environment {image}",
            command=("/bin/sleep", "60"),
            cores=1,
            memory_gib=1,
            key=f"environment-{image}",
        )


class ProcessBackend(Backend):
    """Workloads are children of this process; ``slow`` seconds pass before a start that finds nothing free says so.

    A ``blind`` one never says what runs.
    """

    def __init__(self, folder: Path, devices: Mapping[str, int], slow: float = 0.0, blind: bool = False) -> None:
        self.folder, self.devices, self.slow, self.blind = folder, dict(devices), slow, blind
        self.known: dict[str, Workload] = {}
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.keys: dict[str, str] = {}
        self.changed = asyncio.Condition()
        self.tasks: set[asyncio.Future[None]] = set()

    async def availability(self) -> Availability:
        devices = {
            key: DeviceAvailability(accelerator=key, total=total, used=self._used(key))
            for key, total in self.devices.items()
        }
        return Availability(taken_at=datetime.now(UTC), devices=devices)

    def _used(self, key: str) -> int:
        return sum(
            w.accelerator_count for w in self.known.values() if w.accelerator == key and w.phase is not Phase.ended
        )

    async def start(self, spec: WorkloadSpec, secret_environment: Mapping[str, str] | None = None) -> Workload:
        if spec.key and (found := self.known.get(self.keys.get(spec.key, ""))) and found.phase is not Phase.ended:
            return found
        if spec.accelerator and self._used(spec.accelerator) + spec.accelerator_count > self.devices[spec.accelerator]:
            await asyncio.sleep(self.slow)
            raise NothingFree(
                f"all {self.devices[spec.accelerator]} {spec.accelerator} <went> to others; choose another"
            )
        workload = Workload(
            **{
                name: getattr(spec, name)
                for name in ("id", "kind", "name", "person", "server_name", "project", "profile", "size", "image")
            },
            accelerator=spec.accelerator,
            accelerator_count=spec.accelerator_count,
            cores=spec.cores,
            memory_gib=spec.memory_gib,
            phase=Phase.running,
            created_at=datetime.now(UTC),
            started_at=datetime.now(UTC),
            ends_at=datetime.now(UTC) + timedelta(seconds=spec.max_seconds or 3600),
        )
        self.known[spec.id] = workload
        if spec.key:
            self.keys[spec.key] = spec.id
        home = self.folder / f"home-{spec.person}"
        home.mkdir(exist_ok=True)
        with (self.folder / f"{spec.id}.log").open("wb") as log:
            variables = {"PATH": os.environ["PATH"], "HOME": str(home), "JUPYTER_ALLOW_ROOT": "1"}
            runtime = self.folder / "run"
            runtime.mkdir(exist_ok=True)
            self.processes[spec.id] = await asyncio.create_subprocess_exec(
                *self._command(spec),
                env=variables
                | dict(spec.environment)
                | dict(secret_environment or {})
                | {"JUPYTER_RUNTIME_DIR": str(runtime)},
                cwd=home,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.tasks.add(asyncio.ensure_future(self._wait(spec.id)))
        await self._note(workload)
        return workload

    def _command(self, spec: WorkloadSpec) -> tuple[str, ...]:
        """The profile says what runs: Jupyter itself, something that ends at once, or a server that starts fast."""
        if spec.profile == "broken":
            return ("/bin/sh", "-c", "echo first words; echo '<b>last words</b>' >&2; exit 3")
        if spec.profile == "jupyter":
            return (*spec.command, *(["--allow-root"] if os.geteuid() == 0 else []))
        if spec.kind is WorkloadKind.job:
            return spec.command
        if spec.profile == "mute":
            return (sys.executable, "-I", "-c", MUTE)
        return (sys.executable, "-I", str(Path(__file__).parent / "tiny_server.py"))

    async def _wait(self, workload_id: str) -> None:
        code = await self.processes[workload_id].wait()
        asked = self.known[workload_id].reason
        reason = asked or (EndReason.finished if code == 0 else EndReason.failed)
        changes = {"phase": Phase.ended, "ended_at": datetime.now(UTC), "exit_code": code, "reason": reason}
        await self._note(self.known[workload_id].model_copy(update=changes))

    async def _note(self, workload: Workload) -> None:
        async with self.changed:
            self.known[workload.id] = workload
            self.changed.notify_all()

    async def stop(
        self,
        workload_id: str,
        message: str = "",
        grace_seconds: float | None = None,
        reason: EndReason = EndReason.stopped,
    ) -> Workload:
        workload = await self.workload(workload_id)
        if workload.phase is not Phase.ended:
            self.known[workload_id] = workload.model_copy(update={"reason": reason, "message": message})
            with contextlib.suppress(ProcessLookupError):
                self.processes[workload_id].kill()
            while self.known[workload_id].phase is not Phase.ended:
                await asyncio.sleep(0.02)
        return self.known[workload_id]

    async def extend(self, workload_id: str, max_seconds: int) -> Workload:
        workload = await self.workload(workload_id)
        ends_at = (workload.started_at or workload.created_at) + timedelta(seconds=max_seconds)
        self.known[workload_id] = workload.model_copy(update={"ends_at": ends_at})
        return self.known[workload_id]

    async def workload(self, workload_id: str) -> Workload:
        if workload_id not in self.known:
            raise WorkloadNotFound(f"there is no workload {workload_id}")
        return self.known[workload_id]

    async def workloads(self) -> list[Workload]:
        if self.blind:
            await asyncio.Event().wait()
        return list(self.known.values())

    async def watch(self) -> AsyncIterator[Workload]:
        seen: dict[str, Workload] = {}
        while True:
            news = [workload for workload in self.known.values() if seen.get(workload.id) != workload]
            for workload in news:
                seen[workload.id] = workload
                yield workload
            async with self.changed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.5)

    async def log(self, workload_id: str, lines: int = 200) -> str:
        text = (self.folder / f"{workload_id}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    async def progress(self, workload_id: str) -> Progress | None:
        return None
