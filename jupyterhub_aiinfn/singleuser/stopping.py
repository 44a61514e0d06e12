"""Before the server ends, whoever ends it: the documents that are open in tabs are saved.

The server is told with SIGTERM by its runner, which kills it after the grace of the session. Tabs are asked through
Jupyter's events; each says at once that it is saving and then that it has saved. A server without tabs ends at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from .before_stop import BeforeStop

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from .outputs.keeper import Keeper

SCHEMA = Path(__file__).parent / "events" / "session.yaml"
SCHEMA_ID = "urn:jupyterhub-aiinfn:session"
FIRST_ANSWER = 0.7
"""Seconds within which a tab must say that it is there: a round trip to a browser far away. Arbitrary."""
LONGEST = 2.5
"""Seconds for saving; the platform gives a session 4 s when it stops, and kernels need some of them."""
FRESH = 2.0
"""Seconds after which what was saved is old; who asks again before finds it saved."""
KEEPING = 1.0
"""Seconds for writing outputs into notebooks, and those that the tabs left of theirs; what takes longer is found in the
home by the next session."""
PAUSE = 0.02
MAX_TABS = 100


class Stopping:
    """The end of one server: asks the tabs, waits for them, then goes on as the server would have."""

    def __init__(self, server_app: ServerApp, keeper: Keeper | None = None) -> None:
        self._app = server_app
        self._keeper = keeper
        self._tabs: dict[str, bool] = {}
        self._begun = False
        self._fresh_until = 0.0
        self._asked_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        assert server_app.event_logger is not None, "extensions are loaded after it is made"
        self._events = server_app.event_logger
        self._events.register_event_schema(SCHEMA)

    def install(self) -> None:
        """Take SIGTERM over; a second one ends the server as if we were not there."""
        usual = signal.getsignal(signal.SIGTERM)
        if not callable(usual):
            return
        loop = self._app.io_loop

        def on_signal(number: int, frame: FrameType | None) -> Any:
            if self._begun:
                return usual(number, frame)
            self._begun = True
            loop.add_callback_from_signal(self._begin, lambda: usual(number, None))
            return None

        signal.signal(signal.SIGTERM, on_signal)

    def says(self, tab: str, saved: bool) -> None:
        """A tab is saving, or has saved."""
        if tab in self._tabs or len(self._tabs) < MAX_TABS:
            self._tabs[tab] = saved

    def count(self) -> dict[str, int]:
        """How many tabs answered, and how many of them have saved."""
        return {"tabs": len(self._tabs), "saved": sum(self._tabs.values())}

    async def save(self) -> None:
        """Ask the tabs and return when all that answered have saved, or when it takes too long.

        The hub asks before it takes the route away, and the signal comes just after: then nothing more can be saved.
        """
        begun = time.monotonic()
        if begun < self._fresh_until:
            return
        self._asked_at = begun
        if not self._has_tabs():
            return
        self._tabs.clear()
        self._fresh_until = begun + LONGEST + FRESH
        self._events.emit(schema_id=SCHEMA_ID, data={"event": "stopping", "seconds": LONGEST})
        while not self._is_done(time.monotonic() - begun):
            await asyncio.sleep(PAUSE)
        saved = sum(self._tabs.values())
        self._app.log.info("stopping: %d of %d open tabs have saved their documents", saved, len(self._tabs))

    def _begin(self, end: Callable[[], object]) -> None:
        self._task = asyncio.ensure_future(self._save_and_end(end))

    async def _save_and_end(self, end: Callable[[], object]) -> None:
        until = time.monotonic() + LONGEST + KEEPING
        hook = BeforeStop.start(os.environ, self._app.log)
        try:
            await self.save()
            if self._keeper is not None:
                await asyncio.wait_for(self._keeper.finish(self._asked_at), until - time.monotonic())
        except Exception:  # whatever it was: the end comes
            self._app.log.exception("stopping: not everything could be saved")
        finally:
            if hook is not None:
                await hook.ended()
            end()

    def _is_done(self, seconds: float) -> bool:
        if seconds < FIRST_ANSWER:  # another tab may still answer
            return False
        return all(self._tabs.values()) or seconds >= LONGEST

    def _has_tabs(self) -> bool:
        # Jupyter Server adds a listener for each browser that follows its events, and has no public word for it.
        listeners = getattr(self._events, "_modified_listeners", {SCHEMA_ID: True})
        return bool(listeners.get(SCHEMA_ID))
