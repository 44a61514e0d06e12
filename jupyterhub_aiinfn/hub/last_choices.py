"""The record of successful starts: what is preselected on the page, and what an empty REST body means next time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.local.state import read_json, write_file

MAX_PEOPLE = 5000
MAX_SERVERS = 50
LATEST = "*"
"""Stands for the person's most recent start, whatever the server; no server can be called so."""


class LastChoices:
    """Options of the last successful start, for each person and server; held in memory, written in a thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._people = _read(file)
        self._changed = False
        self._writing: asyncio.Task[None] | None = None

    def of_server(self, person: str, server_name: str) -> dict[str, str]:
        """The options with which this server last started; empty when it never did."""
        return dict(self._people.get(person, {}).get(server_name, {}))

    def latest(self, person: str, server_name: str = "") -> dict[str, str]:
        """What to preselect: the last choice for this server, else the person's last one at all."""
        return self.of_server(person, server_name) or self.of_server(person, LATEST)

    def record(self, person: str, server_name: str, options: Mapping[str, str]) -> None:
        """Remember a successful start. Call it from the event loop; the file follows a moment later."""
        servers = self._people.pop(person, {})
        for key in (server_name, LATEST):
            servers.pop(key, None)
            servers[key] = dict(options)
        self._people[person] = servers
        _drop_oldest(servers, MAX_SERVERS)
        _drop_oldest(self._people, MAX_PEOPLE)
        self._changed = True
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        while self._changed:
            self._changed = False
            data = json.dumps(self._people, indent=1).encode()
            await asyncio.to_thread(write_file, self._file, data)


def _drop_oldest(entries: dict[str, Any], limit: int) -> None:
    while len(entries) > limit:
        entries.pop(next(iter(entries)))


def _read(file: Path) -> dict[str, dict[str, dict[str, str]]]:
    """What the file holds; a damaged file costs a preselection, not the start of the hub."""
    found: Any = read_json(file)
    try:
        return {
            str(person): {
                str(server): {str(k): str(v) for k, v in options.items()} for server, options in servers.items()
            }
            for person, servers in found.items()
        }
    except AttributeError:
        return {}
