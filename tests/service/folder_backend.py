"""A backend whose workloads are files: a test decides when a job moves on, ends or vanishes, as any process sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jupyterhub_aiinfn.api.availability import Availability, DeviceAvailability
from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase, Progress, Usage, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend, WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError, WorkloadNotFound


class FolderBackend(Backend):
    """One folder a workload below ``root``; ``root/ready/<image>`` says that an environment is ready."""

    def __init__(self, root: Path, total: int = 2) -> None:
        self.root, self.total = root, total
        (root / "ready").mkdir(parents=True, exist_ok=True)

    def put(self, workload: Workload) -> Workload:
        """Write a workload."""
        folder = self.root / workload.id
        folder.mkdir(exist_ok=True)
        temporary = folder / "new"
        temporary.write_text(workload.model_dump_json())
        temporary.replace(folder / "workload")
        return workload

    def end(self, workload_id: str, reason: EndReason, message: str = "", log: str = "") -> None:
        """End a workload."""
        (self.root / workload_id / "log").write_text(log)
        work = self.read(workload_id)
        change = {
            "phase": Phase.ended,
            "ended_at": datetime.now(UTC),
            "reason": reason,
            "message": message,
            "exit_code": 1,
        }
        self.put(work.model_copy(update=change | {"message": message}))

    def say(self, workload_id: str, progress: Progress) -> None:
        """Write the progress of a job."""
        (self.root / workload_id / "progress").write_text(progress.model_dump_json())

    def live_jobs(self) -> list[str]:
        """Identifiers of the jobs that have not ended."""
        works = [self.read(file.parent.name) for file in self.root.glob("*/workload")]
        return [work.id for work in works if work.kind is WorkloadKind.job and work.phase is not Phase.ended]

    def read(self, workload_id: str) -> Workload:
        """Read a workload."""
        try:
            return Workload.model_validate_json((self.root / workload_id / "workload").read_bytes())
        except FileNotFoundError:
            raise WorkloadNotFound(f"there is no workload {workload_id}") from None

    async def availability(self) -> Availability:
        live = [work for work in await self.workloads() if work.phase != Phase.ended]
        used = sum(work.accelerator_count for work in live)
        device = DeviceAvailability(accelerator="card", total=self.total, used=used, emulated=True)
        return Availability(taken_at=datetime.now(UTC), devices={"card": device}, sessions=len(live))

    async def start(self, spec: WorkloadSpec, secret_environment: Mapping[str, str] | None = None) -> Workload:
        for work in await self.workloads():
            if spec.key and work.name == spec.name and work.phase != Phase.ended:
                return work
        return self.put(
            Workload(
                id=spec.id,
                kind=spec.kind,
                job_class=spec.job_class,
                name=spec.name,
                person=spec.person,
                server_name=spec.server_name,
                image=spec.image,
                profile=spec.profile,
                accelerator=spec.accelerator,
                accelerator_count=spec.accelerator_count,
                cores=spec.cores,
                memory_gib=spec.memory_gib,
                phase=Phase.running,
                created_at=datetime.now(UTC),
            )
        )

    async def stop(
        self,
        workload_id: str,
        message: str = "",
        grace_seconds: float | None = None,
        reason: EndReason = EndReason.stopped,
    ) -> Workload:
        if self.read(workload_id).phase != Phase.ended:
            self.end(workload_id, reason, message)
        return self.read(workload_id)

    async def extend(self, workload_id: str, max_seconds: int) -> Workload:
        work = self.read(workload_id)
        if work.phase is Phase.ended:
            raise BackendError("it has ended already")
        ends_at = (work.started_at or work.created_at) + timedelta(seconds=max_seconds)
        return self.put(work.model_copy(update={"ends_at": ends_at}))

    async def usage(self) -> dict[str, Usage]:
        found = {file.parent.name: json.loads(file.read_text()) for file in self.root.glob("*/usage")}
        return {key: Usage.model_validate(value) for key, value in found.items()}

    def use(self, workload_id: str, cpu_seconds: float, network_bytes: int | None = 0) -> None:
        """Say what a session has used."""
        usage = Usage(cpu_seconds=cpu_seconds, memory_bytes=2**28, processes=3, network_bytes=network_bytes)
        temporary = self.root / workload_id / "usage.new"
        temporary.write_text(usage.model_dump_json())
        temporary.replace(self.root / workload_id / "usage")

    async def workload(self, workload_id: str) -> Workload:
        return self.read(workload_id)

    async def workloads(self) -> list[Workload]:
        found = [self.read(file.parent.name) for file in self.root.glob("*/workload")]
        return sorted(found, key=lambda work: work.created_at)

    async def watch(self) -> AsyncIterator[Workload]:
        seen: dict[str, Workload] = {}
        while True:
            for work in await self.workloads():
                if seen.get(work.id) != work:
                    seen[work.id] = work
                    yield work
            await asyncio.sleep(0.05)

    async def log(self, workload_id: str, lines: int = 200) -> str:
        try:
            return "\n".join((self.root / workload_id / "log").read_text().splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    async def progress(self, workload_id: str) -> Progress | None:
        try:
            return Progress.model_validate(json.loads((self.root / workload_id / "progress").read_text()))
        except FileNotFoundError:
            return None

    # the cache of environments, as the service sees it

    def ready(self, image: str) -> bool:
        """Whether the test made the environment."""
        return (self.root / "ready" / image).exists()

    def build_spec(self, image: str) -> WorkloadSpec:
        """The job that builds it."""
        return WorkloadSpec(
            kind=WorkloadKind.job,
            job_class=JobClass.platform,
            name=f"environment {image}",
            command=("true",),
            cores=1,
            memory_gib=1,
            image=image,
            key=f"environment-{image}",
        )
