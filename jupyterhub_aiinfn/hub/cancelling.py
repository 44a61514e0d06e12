"""The button of the page of progress: a start that a person no longer wants, also without JavaScript.

JupyterHub has it in its REST API only, which no plain form reaches.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import url_path_join
from tornado.web import HTTPError, authenticated

TAKEN_BACK_WITHIN = 5.0
"""Seconds that the answer waits for what was begun to be taken back; then it goes on beside that (arbitrary)."""


class CancelStart(BaseHandler):
    """``POST``: end the start of one server, and of no other."""

    under_way: ClassVar[set[asyncio.Task[None]]] = set()
    """What is being taken back; held here, or it might be collected before it is done."""

    @authenticated
    @needs_scope("delete:servers")
    async def post(self, user_name: str, server_name: str = "") -> None:
        """Cancel it and go home. A session that has come up meanwhile is not touched: its page has a Stop."""
        user = self.find_user(user_name)
        if user is None or server_name not in user.spawners:
            raise HTTPError(404, "there is no such session; look at those on the home page")
        spawner = user.spawners[server_name]
        if spawner.pending == "spawn":
            self.log.info("%s: the start is cancelled", spawner._log_name)
            task = asyncio.ensure_future(self._cancel(user, spawner))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)
            await asyncio.wait([task], timeout=TAKEN_BACK_WITHIN)
        self.redirect(url_path_join(self.hub.base_url, "home"))

    async def _cancel(self, user: Any, spawner: Any) -> None:
        start = spawner._spawn_future
        if start is None:
            return
        start.cancel()
        await asyncio.wait([start])
        # JupyterHub takes what was cancelled for a server that runs, until it is stopped; what failed it has stopped.
        if start.cancelled() and not spawner.pending:
            await self.stop_single_user(user, spawner.name)


HANDLERS: list[tuple[str, type[BaseHandler]]] = [
    (r"/cancel/(?P<user_name>[^/]+)", CancelStart),
    (r"/cancel/(?P<user_name>[^/]+)/(?P<server_name>[^/]+)", CancelStart),
]
"""What an authenticator adds to the hub's handlers."""
