"""Before a session is stopped its open documents are saved: they come through the proxy, so the route goes last.

JupyterHub removes the route of a session first and stops it then, whoever asked: the home page, the administrator's
page or the REST API. Here the session is asked to save before, for a short time and at its own address. It may be dead,
slow or hostile, so only the first line of its answer is read, and whatever it does, the stop goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from typing import Any

from jupyterhub import orm
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.user import User

from jupyterhub_aiinfn.errors import AiinfnError

from .spawner import GrantedSpawner

LONGEST = 3.0
"""Seconds that a stop waits for the documents, at most; the session's server itself gives its tabs 2.5 s."""
TOKEN_SECONDS = 30
"""Life of the token with which the hub asks; it is taken back as soon as the answer is there."""
SAVED = re.compile(rb"HTTP/1\.\d 200\b")

log = logging.getLogger("JupyterHub.aiinfn")


class SavingProxy(ConfigurableHTTPProxy):
    """The proxy of this hub; a session that is being stopped saves before its route is gone."""

    async def delete_user(self, user: User, server_name: str = "") -> None:
        """Have the session save when it is being stopped; then remove its route, whatever came of it."""
        spawner = user.spawners[server_name]
        if isinstance(spawner, GrantedSpawner) and spawner._stop_pending:
            try:
                await asyncio.wait_for(have_documents_saved(user, spawner), LONGEST)
            except Exception as problem:  # whatever it was: a stop is never refused for it
                reason = "it took too long" if isinstance(problem, TimeoutError) else f"{type(problem).__name__}"
                log.warning("%s is stopped, perhaps with unsaved documents: %s", spawner._log_name, reason)
        await super().delete_user(user, server_name)


async def have_documents_saved(user: User, spawner: Any) -> None:
    """Ask the session to have its tabs save, and return when it says that it is done."""
    if not await _is_there(spawner):
        return
    token = user.new_api_token(
        note="saving documents before the end",
        expires_in=TOKEN_SECONDS,
        scopes=[f"access:servers!server={user.name}/{spawner.name}"],
    )
    try:
        if not await ask(spawner.server.ip, spawner.server.port, f"{spawner.server.base_url}aiinfn/api/save", token):
            log.info("%s did not say that its documents are saved", spawner._log_name)
    finally:
        _take_back(user, token)


async def ask(host: str, port: int, path: str, token: str) -> bool:
    """POST to a session's server; whether it answered 200. Nothing but its first line is read."""
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    try:
        name = f"[{host}]" if ":" in host else host
        head = f"POST {path} HTTP/1.1\r\nHost: {name}:{port}\r\nAuthorization: token {token}\r\n"
        writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        return SAVED.match(await reader.readline()) is not None
    except ValueError:
        return False  # a line without end
    finally:
        writer.close()


async def _is_there(spawner: Any) -> bool:
    """Whether the session runs, and what answers on its port is the session: nobody else gets the token."""
    platform, workload = spawner.platform, spawner.workload_id
    if not spawner.server or platform.sessions.live(workload) is None:
        return False
    with contextlib.suppress(AiinfnError):
        return await platform.backend.listens(workload, spawner.server.port)
    return False


def _take_back(user: User, token: str) -> None:
    database: Any = user.db
    found = orm.APIToken.find(database, token)
    if found is not None:
        database.delete(found)
        database.commit()
