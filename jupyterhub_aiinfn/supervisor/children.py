"""One supervised process: dies with the supervisor, its output is logged, it is started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jupyterhub_aiinfn.errors import AiinfnError

from .logs import BoundedLog

PR_SET_PDEATHSIG = 1
QUICK = 30.0
"""A process that lived shorter, in seconds, died quickly."""
QUICK_DEATHS = 4
"""So many quick deaths in a row at the start of the platform, and the process is given up: 3 restarts take about 3.5 s
of waiting. Arbitrary."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 5.0
"""Seconds before a restart: doubled with every quick death."""

_prctl = ctypes.CDLL(None, use_errno=True).prctl


class GivenUp(AiinfnError):
    """A process died again and again."""


@dataclass(frozen=True)
class Program:
    """What to run: its name in messages and the log's name, command, whole environment, working folder."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


async def nothing() -> None:
    """Nothing is in the way."""


@dataclass
class Child:
    """One program that is kept running.

    :meth:`keep_running` starts it and returns only when :meth:`stop` or :meth:`kill` was called; it raises
    :class:`GivenUp` for a program that does not stay alive, unless it is :attr:`patient`.
    """

    program: Program
    log: BoundedLog
    restarted: Callable[[str], None] = lambda sentence: None
    """Told in a sentence whenever the process died and is started again."""
    started_again: Callable[[], None] = lambda: None
    """Called after each restart."""
    make_way: Callable[[], Awaitable[None]] = nothing
    """Awaited before each restart."""
    patient: bool = False
    """Whether the program is never given up: sessions run on without it, and would end with the platform."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    restarts: int = field(default=0, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def pid(self) -> int | None:
        """The pid while the process runs."""
        return self.process.pid if self.process is not None and self.process.returncode is None else None

    def start(self) -> None:
        """Start the process; called by :meth:`keep_running` unless it was called before."""
        output, self_end = os.pipe()
        try:
            self.process = subprocess.Popen(
                list(self.program.command),
                env=dict(self.program.environment),
                cwd=self.program.folder,
                stdin=subprocess.DEVNULL,
                stdout=self_end,
                stderr=self_end,
                start_new_session=True,
                umask=0o077,
                preexec_fn=die_with(os.getpid()),
            )
        except OSError as error:
            os.close(output)
            raise GivenUp(f"{self.program.name} cannot be started: {error.strerror} ({error.filename})") from error
        finally:
            os.close(self_end)
        os.set_blocking(output, False)
        asyncio.get_running_loop().add_reader(output, self._read, output)

    async def keep_running(self) -> None:
        """Wait for the process, start it again with a growing delay, until it is stopped or given up."""
        quick_deaths = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            if self.restarts:
                await self._start_again()
            elif self.process is None:
                self.start()
            code = await self.ended()
            if self._stopping.is_set():
                return
            quick_deaths = quick_deaths + 1 if time.monotonic() - began < QUICK else 1
            self._check_hope(quick_deaths, code)
            self.restarts += 1
            delay = delay_after(quick_deaths)
            self.restarted(f"{self.program.name} ended ({describe(code)}); it is started again in {delay:g} s")
            await self._pause(delay)

    async def _start_again(self) -> None:
        """Start it after its death; a patient one is tried until the machine lets us (no memory, no more processes)."""
        await self.make_way()
        while not self._stopping.is_set():
            try:
                self.start()
            except GivenUp as error:
                if not self.patient:
                    raise
                self.restarted(f"{error}; it is tried again in {LONGEST_DELAY:g} s")
                await self._pause(LONGEST_DELAY)
            else:
                return self.started_again()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def stop(self, grace_seconds: float) -> None:
        """End the process: politely, after the grace hard, with everything in its process group."""
        self._stopping.set()
        if self.pid is not None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended(), grace_seconds)
        self.kill()
        await self.ended()

    def kill(self) -> None:
        """End the process and its group at once; it is not started again."""
        self._stopping.set()
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Signal the process group; nothing happens when the process has ended and was waited for."""
        if self.process is not None and self.process.poll() is None:
            # Not waited for, so neither the pid nor the group of that number can have become another's.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    async def ended(self) -> int:
        """Wait for the end of the process as it is now; its exit code, negative for a signal."""
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            await _exited(process.pid)
        return process.wait()

    def _read(self, output: int) -> None:
        try:
            data = os.read(output, 65536)
        except BlockingIOError:
            return
        if data:
            self.log.write(data)
            return
        asyncio.get_running_loop().remove_reader(output)
        os.close(output)

    def _check_hope(self, quick_deaths: int, code: int) -> None:
        if quick_deaths >= QUICK_DEATHS and not self.patient:
            lines = "\n".join(f"  {line}" for line in self.log.last_lines(15))
            raise GivenUp(
                f"{self.program.name} ended {quick_deaths} times in a row within {QUICK:g} s of its start "
                f"({describe(code)}); the last lines of {self.log.file}:\n{lines}"
            )


def delay_after(quick_deaths: int) -> float:
    """Seconds before the next start; doubled with each quick death, of which a patient program may have thousands."""
    return min(math.ldexp(FIRST_DELAY, min(quick_deaths - 1, 30)), LONGEST_DELAY)


def die_with(parent: int) -> Callable[[], None]:
    """For ``preexec_fn``: the new process is killed when the thread that starts it ends, and with it ``parent``."""

    def ask() -> None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return ask


async def _exited(pid: int) -> None:
    """Wait until our child ``pid`` has exited; it is still to be waited for."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def describe(code: int) -> str:
    """``exit code 1`` or ``killed by SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
