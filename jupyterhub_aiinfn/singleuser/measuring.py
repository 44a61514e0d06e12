"""What this session uses: figures for people while they look, and the report that the service asks for."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jupyterhub_aiinfn.api.lab import LiveFigures, MemoryMethod
from jupyterhub_aiinfn.api.sessions import ActivityReport

from . import processes
from .gpu import Cards
from .traffic import Traffic

SHORTEST = 0.5
"""Seconds: a mean over less is noise (the kernel counts CPU time in hundredths)."""


class CpuMeter:
    """Mean cores since the measurement before; each reader has one of its own."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None
        self._last: float | None = None

    def read(self, cpu_seconds: float, now: float) -> float | None:
        """None the first time; the last figure again when asked too soon."""
        if self._before is None:
            self._before = now, cpu_seconds
            return None
        seconds = now - self._before[0]
        if seconds < SHORTEST:
            return self._last
        # processes that ended unseen may take their time with them
        self._last = max(0.0, cpu_seconds - self._before[1]) / seconds
        self._before = now, cpu_seconds
        return self._last


class Measuring:
    """Reads the session's processes when asked, and never by itself."""

    def __init__(self, kernels: Any, variables: Mapping[str, str]) -> None:
        """``kernels`` is Jupyter's kernel manager, ``variables`` the environment of the session."""
        self._kernels = kernels
        self._sandboxed = processes.is_sandboxed(os.getppid(), os.getpid(), variables.get("AIINFN_WORKLOAD"))
        self._cards = Cards(variables)
        self._live, self._reported = CpuMeter(), CpuMeter()
        self._traffic, self._traffic_at = Traffic(), time.monotonic()
        self.report(0)  # the first report is a mean since now

    def live(self) -> LiveFigures:
        """For a person who looks."""
        found = self._processes()
        cores = self._live.read(processes.cpu_seconds(found), time.monotonic())
        counted = processes.cgroup_bytes()
        return LiveFigures(
            measured_at=datetime.now(UTC),
            cores_used=None if cores is None else round(cores, 2),
            memory_bytes=processes.private_bytes(found) if counted is None else counted,
            memory_method=MemoryMethod.private if counted is None else MemoryMethod.cgroup,
            processes=len(found),
            running_kernels=self._running(),
            gpus=self._cards.use(),
        )

    def report(self, open_tabs: int) -> ActivityReport:
        """For the service: means since the report before."""
        found, now = self._processes(), time.monotonic()
        cores = self._reported.read(processes.cpu_seconds(found), now)
        grown = self._traffic.since_last_look([one.pid for one in found], os.getpid()) or 0
        seconds, self._traffic_at = max(SHORTEST, now - self._traffic_at), now
        return ActivityReport(
            running_cells=self._running(),
            cpu_cores=round(cores or 0.0, 4),
            network_bytes_per_second=round(grown / seconds, 1),
            open_tabs=min(open_tabs, 10_000),
        )

    def _processes(self) -> list[processes.Process]:
        return processes.of_session(processes.everything(), os.getpid(), sandboxed=self._sandboxed)

    def _running(self) -> int:
        kernels = (self._kernels.get_kernel(name) for name in self._kernels.list_kernel_ids())
        return sum(getattr(kernel, "execution_state", "") == "busy" for kernel in kernels)
