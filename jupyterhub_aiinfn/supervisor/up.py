"""`aiinfn up`: start proxy, hub and service, keep them running, end everything when asked to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jupyterhub_aiinfn.backends.local.installation import Installation, default_cache
from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.state import StateFolder, write_file
from jupyterhub_aiinfn.errors import AiinfnError, StateError
from jupyterhub_aiinfn.values import Values

from . import proxy
from .asking import ask
from .children import Child
from .known_values import KnownValues, agree_at_start, values_to_start_with
from .leftovers import end_workloads, has_leftovers, local_backend
from .logs import BoundedLog
from .places import find_state, remember_values
from .ports import check_free, free_internal_ports, free_ports
from .programs import hub_program, proxy_program, service_program
from .record import Record, check_owner, check_room, lock
from .steps import Steps

if TYPE_CHECKING:
    from jupyterhub_aiinfn.hub.people import People

POLL = 0.05
"""Seconds between two looks whether a login would work."""
SESSION_GRACE = 4.0
"""Seconds that sessions have to end by themselves; a second later they are ended."""
PROXY_GRACE = 0.5
"""The same for the proxy, which has nothing to save."""
HUB_GRACE = 2.0
"""The same for hub and service: hub 6.1 sometimes hangs for more than 20 s after it said that it is done."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLITE_SECONDS = 7.0
"""After so long everything that is left is killed: nothing may be left after ten."""
KILL_SECONDS = 2.0
"""How long that may take; it takes 0.1 s, and a second more for a runner that does not react."""


@dataclass(frozen=True)
class Options:
    """What `aiinfn up` was told."""

    values: Path | None = None
    state: Path | None = None
    cache: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    ready_file: Path | None = None
    """Absolute."""


def up(options: Options, say: Callable[[str], None]) -> int:
    """Run until told to stop; the exit code. Raises :class:`AiinfnError` when it cannot run."""
    os.umask(0o077)
    steps, numbers = Steps(say), _signals()
    for number in numbers:
        signal.signal(number, _interrupt)
    try:
        return asyncio.run(Supervisor(_prepare(options, steps), steps, numbers).run())
    except KeyboardInterrupt:
        steps.not_started()
        return 0
    except OSError as error:
        raise StateError(_sentence(error)) from error
    finally:
        steps.close()


def _signals() -> tuple[signal.Signals, ...]:
    """What ends the platform; `nohup` asks to go on when the terminal is closed."""
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in SIGNALS if not (nohup and number is signal.SIGHUP))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _sentence(error: AiinfnError | OSError) -> str:
    if isinstance(error, AiinfnError):
        return str(error)
    place = error.filename or "a file of the platform"
    return f"{place} cannot be used: {error.strerror or error}; see that its folder is there, is yours and has room"


@dataclass(frozen=True)
class Prepared:
    """Everything that is settled before the first process starts."""

    options: Options
    values: Values
    installation: Installation
    port: int
    identity: ProcessIdentity
    lock: int

    @property
    def local_url(self) -> str:
        """The public address as this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(self.options.host)  # noqa: S104
        return f"http://{host or _bracketed(self.options.host)}:{self.port}"


def _prepare(options: Options, steps: Steps) -> Prepared:
    state = StateFolder(find_state(options.state))
    known = values_to_start_with(options.values, state)
    values, values_file = known.values, known.file
    if options.ready_file is not None:
        _check_ready_file(options.ready_file)
    steps.done("values", f"{values_file}: {len(values.profiles)} profiles, {len(values.images)} images")
    state.prepare()
    check_owner(state)
    check_room(state)
    held = lock(state)
    steps.done("state", str(state.root))
    agree_at_start(state, known, named=options.values is not None, say=lambda line: steps.done("values", line))
    port, installation = _installation(options, state, known)
    identity = ProcessIdentity.current()
    return Prepared(options, values, installation, port, identity, held)


def _check_ready_file(file: Path) -> None:
    """Raise :class:`StateError` when the file could not be written: now, and not once everything runs."""
    if not os.access(file.parent, os.W_OK | os.X_OK) or not file.parent.is_dir() or file.is_dir():
        raise StateError(
            f"the ready file {file} could not be written: {file.parent} must be a folder that is there and yours, "
            "and the file no folder; make it, or name another file with --ready-file"
        )


def _installation(options: Options, state: StateFolder, known: KnownValues) -> tuple[int, Installation]:
    if options.port:
        check_free(options.host, options.port)
    hub, api, service = free_internal_ports(3)
    port = options.port or free_ports(1)[0]
    installation = Installation(
        state=state,
        values_file=known.file,
        cache=options.cache or default_cache(),
        public_url=known.values.site.url or f"http://{_public_name(options.host)}:{port}",
        hub_port=hub,
        proxy_api_port=api,
        service_port=service,
        lab_prefix=Path(os.environ.get("AIINFN_LAB_PREFIX") or sys.prefix),
    )
    return port, installation


def _public_name(host: str) -> str:
    return socket.getfqdn() if host in ("0.0.0.0", "::", "") else _bracketed(host)  # noqa: S104


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Supervisor:
    """The three processes of one installation, from their start to their end."""

    def __init__(self, prepared: Prepared, steps: Steps, signals: Iterable[signal.Signals]) -> None:
        self.prepared = prepared
        self.signals = signals
        self.installation = prepared.installation
        self.state = prepared.installation.state
        self.steps = steps
        self.children: dict[str, Child] = {}
        self._asked_to_stop = asyncio.Event()
        self._asked_twice = asyncio.Event()
        self._running: asyncio.Future[list[None]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Start, wait, stop; the exit code: 0 when asked to stop."""
        for number in self.signals:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        code = 0
        try:
            try:
                await self._run()
            except proxy.NotWanted:
                pass  # because of the signal: an ordinary stop
            except (AiinfnError, OSError) as error:
                self.steps.failed(_sentence(error))
                code = 1
            await self._stop()
            return code
        finally:
            await self._leave()
            self._forget()
            # What is left is the end of this process: one more Ctrl-C must not turn it into a failure.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    def _on_signal(self, number: signal.Signals) -> None:
        # A terminal that is closed tells it twice, through the shell and by itself: that is no request to hurry.
        if self._asked_to_stop.is_set() and number is not signal.SIGHUP:
            self._asked_twice.set()
        self._asked_to_stop.set()

    async def _run(self) -> None:
        """Start everything, and return when asked to stop; raises what is in the way."""
        await self._sweep()
        self._record()
        node = proxy.find_node()
        folder = proxy.installed(self.installation.cache) or await self._install_proxy(node)
        self._start_children(node, folder)
        self._running = asyncio.gather(*(child.keep_running() for child in self.children.values()))
        await self._first_of(self._become_ready(), self._running)
        await self._first_of(self._asked_to_stop.wait(), self._running)

    async def _first_of(self, work: object, running: asyncio.Future[list[None]]) -> None:
        """Wait for ``work``, for being asked to stop, or for a process that is given up (raised)."""
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        asked = asyncio.ensure_future(self._asked_to_stop.wait())
        await asyncio.wait({task, asked, running}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if running.done():
            await running
        if not task.cancelled():
            task.result()

    # Start

    async def _sweep(self) -> None:
        """End what a supervisor that was killed may have left."""
        if has_leftovers(self.state):
            self.steps.done("leftovers", "an earlier run did not end as it should; what is left of it is ended")
            count = await end_workloads(self.installation, self.prepared.values, 0.0)
            if count:
                self.steps.done("leftovers", f"{count} workloads of an earlier run were ended")

    def _record(self) -> None:
        ready_file = self.prepared.options.ready_file
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
        remember_values(self.state, self.installation.values_file)
        Record(
            url=self.installation.public_url,
            local_url=self.prepared.local_url,
            hub_port=self.installation.hub_port,
            proxy_api_port=self.installation.proxy_api_port,
            service_port=self.installation.service_port,
            values=str(self.installation.values_file),
            cache=str(self.installation.cache),
            ready_file=str(ready_file) if ready_file else None,
        ).write(self.state, self.prepared.identity)

    async def _install_proxy(self, node: proxy.Node) -> Path:
        def progress(done: int, total: int) -> None:
            self.steps.progress("proxy", done, total, "packages")

        watching = proxy.Watching(progress, wanted=lambda: not self._asked_to_stop.is_set())
        folder = await asyncio.to_thread(proxy.install, self.installation.cache, node, watching)
        self.steps.done("proxy", f"installed in {folder}")
        return folder

    def _start_children(self, node: proxy.Node, folder: Path) -> None:
        options, by_host = self.prepared.options, self.prepared.values.site.url is not None
        programs = (
            proxy_program(self.installation, node, folder, options.host, self.prepared.port, by_host=by_host),
            hub_program(self.installation),
            service_program(self.installation),
        )
        for program in programs:
            child = Child(program, BoundedLog(self.state.logs / f"{program.name}.log"), self.steps.happened)
            child.make_way = partial(self._make_way, program.name)
            self.children[program.name] = child
            child.start()
        self.children["proxy"].started_again = self._restore_routes

    async def _make_way(self, name: str) -> None:
        """End the sessions that have taken a port of a part while it was away: all sessions share loopback."""
        installation = self.installation
        ports = {
            "proxy": (self.prepared.port, installation.proxy_api_port),
            "hub": (installation.hub_port,),
            "service": (installation.service_port,),
        }
        backend = local_backend(installation, self.prepared.values)
        try:
            for port in ports[name]:
                for workload in await backend.listening(port):
                    self.steps.happened(
                        f"a session of {workload.person} had taken port {port} of the {name}; it is ended"
                    )
                    await backend.stop(workload.id, f"it had taken a port of the platform ({port})", 0.0)
        except (AiinfnError, OSError) as error:  # the part must be started all the same
            self.steps.happened(f"nobody could see who listens where the {name} should: {_sentence(error)}")

    def _restore_routes(self) -> None:
        """A new proxy knows no routes: ask the hub to give them to it now and not at its next look."""
        task = asyncio.ensure_future(self._ask_for_routes())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_for_routes(self) -> None:
        headers = {"Authorization": f"token {self.state.secret('supervisor-token')}"}
        for _ in range(20):
            status, _ = await ask(f"{self.installation.hub_api_url}/proxy", method="POST", headers=headers, seconds=30)
            if status == 200:
                return
            await asyncio.sleep(0.5)
        self.steps.happened("the hub did not give the new proxy its routes; it will within five minutes")

    async def _become_ready(self) -> None:
        from jupyterhub_aiinfn.hub.people import People

        people = People(self.state, self.prepared.values)
        passwords = people.ensure_first_passwords()
        backend = local_backend(self.installation, self.prepared.values)
        enforcement = backend.enforcement()
        await backend.sweep()
        await backend.prune()
        waits = {
            "proxy": f"http://127.0.0.1:{self.installation.proxy_api_port}/api/routes",
            "service": f"{self.installation.service_url}/services/aiinfn/health",
            "hub": f"http://127.0.0.1:{self.installation.hub_port}/hub/login",
        }
        await asyncio.gather(*(self._wait_for(name, url) for name, url in waits.items()))
        named = {"Host": urlsplit(self.installation.public_url).netloc}
        for path in ("/hub/login", "/services/aiinfn/health"):
            await self._until_answers(self.prepared.local_url + path, named)
        for child in self.children.values():
            child.patient = True
        self._write_ready_file(people, passwords)
        self.steps.ready(self.installation.public_url, people, passwords, enforcement)

    async def _wait_for(self, name: str, url: str) -> None:
        headers = {"Authorization": f"token {self.state.secret('proxy-token')}"} if name == "proxy" else {}
        await self._until_answers(url, headers)
        self.steps.done(name, "answers")

    async def _until_answers(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        while (await ask(url, headers=headers))[0] != 200:
            await asyncio.sleep(POLL)

    def _write_ready_file(self, people: People, passwords: dict[str, Path]) -> None:
        if self.prepared.options.ready_file is None:
            return
        names = people.names()
        content = {
            "url": self.installation.public_url,
            "admin": next((name for name in names if people.is_admin(name)), None),
            # null: the person has chosen a password, so that no file holds it
            "users": {name: str(passwords[name]) if name in passwords else None for name in names},
            "pid": self.prepared.identity.pid,
        }
        write_file(self.prepared.options.ready_file, json.dumps(content, indent=1).encode())

    # End

    async def _stop(self) -> None:
        """End everything within ten seconds; at once when asked twice."""
        self._asked_to_stop.set()
        self.steps.stopping()
        politely = asyncio.ensure_future(self._stop_politely())
        twice = asyncio.ensure_future(self._asked_twice.wait())
        await asyncio.wait({politely, twice}, timeout=POLITE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        twice.cancel()
        politely.cancel()
        try:
            await politely
        except asyncio.CancelledError:
            await self._stop_at_once()
        except (AiinfnError, OSError) as error:
            self.steps.failed(f"not everything could be ended politely: {error}")
            await self._stop_at_once()
        self.steps.stopped()

    async def _stop_politely(self) -> None:
        """Sessions first, then the proxy, then hub and service.

        What a session saves in its grace comes through the proxy and may ask the hub. The proxy ends before the others
        let go of their ports: it would hand requests, with people's cookies, to whoever takes such a port next.
        """
        await end_workloads(self.installation, self.prepared.values, SESSION_GRACE)
        await self._stop_children(PROXY_GRACE, "proxy")
        await self._stop_children(HUB_GRACE, "hub", "service")
        # A start that was under way when the hub got its signal may have made one more.
        if has_leftovers(self.state):
            await end_workloads(self.installation, self.prepared.values, 0.0)

    async def _stop_children(self, grace: float, *names: str) -> None:
        await asyncio.gather(*(self.children[name].stop(grace) for name in names if name in self.children))

    async def _stop_at_once(self) -> None:
        for child in self.children.values():
            child.kill()
        with contextlib.suppress(AiinfnError, OSError, TimeoutError):
            async with asyncio.timeout(KILL_SECONDS):
                await end_workloads(self.installation, self.prepared.values, 0.0)
                await asyncio.gather(*(child.ended() for child in self.children.values()))

    async def _leave(self) -> None:
        """Whatever happened: no process of ours is left, and nobody waits for one."""
        for child in self.children.values():
            child.kill()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _forget(self) -> None:
        for file in (self.state.supervisor, self.prepared.options.ready_file):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)
        os.close(self.prepared.lock)
