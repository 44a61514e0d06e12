"""What the session panel shows, kept up to date: the heartbeat to the service, and live figures while somebody looks.

Tabs hear of a change through a Jupyter event, over the connection that JupyterLab has anyway, and never ask by
themselves. Without a tab only the heartbeat is left: one request to the service each time that the service asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jupyterhub_aiinfn.api.base import Message
from jupyterhub_aiinfn.api.lab import LabSession, LiveFigures
from jupyterhub_aiinfn.api.sessions import SessionLimits
from jupyterhub_aiinfn.api.storage import FolderKind, QuotaMethod, StorageReport, StorageUse
from jupyterhub_aiinfn.errors import ServiceError

from .measuring import Measuring
from .platform import API, Platform
from .session import describe

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

SCHEMA = Path(__file__).parent / "events" / "panel.yaml"
SCHEMA_ID = "urn:jupyterhub-aiinfn:panel"
FIRST_REPORT = 1.0
"""Seconds from the start to the first report: Jupyter's own start goes first."""
RETRY = 30.0
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Bounds, in seconds, of what the service may ask for."""
LIVE_EVERY = 5.0
"""Seconds between two live figures (arbitrary: quick enough to see a cell begin, 60 measurements in five minutes)."""
LEASE = 150.0
"""Seconds for which a tab that said that it looks is believed; it says so again each minute."""
MAX_TABS = 100


class Reporting:
    """The state of one session, as far as it can be known from within."""

    def __init__(self, server_app: ServerApp, variables: Mapping[str, str]) -> None:
        assert server_app.event_logger is not None, "extensions are loaded after it is made"
        self._events = server_app.event_logger
        self._events.register_event_schema(SCHEMA)
        self._log, self._home = server_app.log, variables.get("HOME", "/")
        self.platform = Platform.of(variables)
        self._description = describe(variables)
        self._measuring = Measuring(server_app.kernel_manager, variables)
        self._limits: SessionLimits | None = None
        self._storage: StorageUse | None = None
        self._live: LiveFigures | None = None
        self._problem = ""
        self._watching: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = False

    def start(self) -> None:
        """Begin the heartbeat, within the event loop; there is none where the platform did not start the server."""
        if self.platform is not None:
            self._keep(asyncio.ensure_future(self._report_for_ever(self.platform)))

    def session(self) -> LabSession:
        """Everything that is known now."""
        return LabSession(
            description=self._description,
            now=datetime.now(UTC),
            limits=self._limits,
            home=self._storage,
            live=self._live,
            service_problem=self._problem,
        )

    async def watch(self, tab: str, *, watching: bool) -> LabSession:
        """A tab begins, goes on or ends to look at live figures; what it sees first."""
        self._forget_tabs()
        if not watching:
            self._watching.pop(tab, None)
        elif tab in self._watching or len(self._watching) < MAX_TABS:
            self._watching[tab] = time.monotonic() + LEASE
            if not self._looking:
                self._keep(asyncio.ensure_future(self._measure_while_watched()))
            self._live = self._measuring.live()
            self._keep(asyncio.ensure_future(self._look_at_home()))
        return self.session()

    async def change(self, method: str, path: str, body: Message | None = None) -> LabSession:
        """Ask the service to change the limits of this session; :class:`ServiceError` with its sentence."""
        platform = self.require_platform()
        self._take(await platform.ask(method, f"{platform.own}/{path}", SessionLimits, body))
        return self.session()

    def require_platform(self) -> Platform:
        """The platform; 404 in words where it did not start this server."""
        if self.platform is None:
            raise ServiceError("the platform did not start this server", status=404, reason="no-session")
        return self.platform

    # The heartbeat

    async def _report_for_ever(self, platform: Platform) -> None:
        pause = FIRST_REPORT
        while True:
            await asyncio.sleep(pause)
            try:
                pause = await self._report(platform)
            except Exception:  # whatever it was: a session that reports no more would be taken for one that idles
                self._log.exception("the report to the platform service failed; it is tried again")
                pause = RETRY

    async def _report(self, platform: Platform) -> float:
        """One report; in how many seconds the next one is due."""
        report = self._measuring.report(self._tabs())
        try:
            limits = await platform.ask("POST", f"{platform.own}/reports", SessionLimits, report)
        except ServiceError as error:
            self._take(self._limits, str(error))
            return RETRY
        self._take(limits)
        return min(LONGEST_PAUSE, max(SHORTEST_PAUSE, limits.next_report_seconds))

    def _take(self, limits: SessionLimits | None, problem: str = "") -> None:
        """Keep what was heard, and tell the tabs when it differs from what they know."""
        changed = (limits, problem) != (self._limits, self._problem)
        if limits is not None and limits.ends_at is not None:
            os.environ["AIINFN_ENDS_AT"] = limits.ends_at.isoformat()  # before-stop is told why the session ends
        self._limits, self._problem = limits, problem
        if changed:
            self._tell()

    def _tell(self) -> None:
        self._events.emit(schema_id=SCHEMA_ID, data={"session": self.session().model_dump(mode="json")})

    # Live figures

    async def _measure_while_watched(self) -> None:
        self._looking = True
        try:
            while True:
                await asyncio.sleep(LIVE_EVERY)
                self._forget_tabs()
                if not self._watching or not self._tabs():
                    return
                self._live = self._measuring.live()
                self._tell()
        finally:
            self._looking, self._live = False, None

    def _forget_tabs(self) -> None:
        now = time.monotonic()
        self._watching = {tab: until for tab, until in self._watching.items() if until > now}

    def _tabs(self) -> int:
        # Jupyter Server adds a listener for each browser that follows its events, and has no public word for it.
        listeners = getattr(self._events, "_modified_listeners", {})
        return len(listeners.get(SCHEMA_ID, ()))

    # The home

    async def _look_at_home(self) -> None:
        """Ask the service, else the disk; the tabs are told when it is known."""
        found = None
        if self.platform is not None:
            with contextlib.suppress(ServiceError):
                report = await self.platform.ask("GET", f"{API}/storage", StorageReport)
                found = next((one.use for one in report.folders if one.kind is FolderKind.home), None)
        if found is None:
            found = await asyncio.get_running_loop().run_in_executor(None, disk_use, self._home)
        changed, self._storage = found != self._storage, found
        if changed:
            self._tell()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def disk_use(folder: str) -> StorageUse | None:
    """The disk behind a folder: no limit of the person is known, so nothing is called one. A slow disk may block."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return StorageUse(
        used_bytes=None,
        limit_bytes=None,
        enforced=False,
        method=QuotaMethod.measured,
        free_bytes=found.f_bavail * found.f_frsize,
        free_inodes=found.f_favail or None,
        writable=os.access(folder, os.W_OK),
        measured_at=datetime.now(UTC),
    )
