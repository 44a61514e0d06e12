"""One kind of object as the cluster has it now: listed, then watched, whatever happens to the API server meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from jupyterhub_aiinfn.errors import ClusterRefused

from .connection import GONE, Connection, refusal
from .names import WORKLOAD
from .translation import part, parts

Object = dict[str, Any]
Changed = Callable[[Object, bool], None]
"""Called with an object and whether it is gone."""
WATCH_SECONDS = 10
"""After so long each watch begins anew where it was: one whose other end died in silence is noticed then."""
READ_ANEW = 300.0
"""Seconds after which all is listed again though nothing went wrong (arbitrary): a cluster that was restored from a
copy says nothing to who asks from a version to come."""
SLOWEST = 3.0
"""Seconds between two attempts, at most."""
PAGE = 250
"""Objects that are listed at once: a thousand pods in one answer would hold up the loop (arbitrary)."""
TURN = 20
"""Objects that are taken in before others get their turn (arbitrary)."""
OF_CONTAINERS = ("name", "resources")
"""All that is kept of a container."""
OF_PODS = ("initContainers", "volumes", "affinity", "tolerations", "securityContext")
UNREAD: dict[tuple[str, ...], tuple[str, ...]] = {
    ("metadata",): ("managedFields",),
    ("spec",): OF_PODS,
    ("spec", "template", "spec"): (*OF_PODS, "containers"),
    ("status",): ("images",),
}
"""Parts of pods, Jobs and nodes that are not kept, by where they are."""
REMEMBERED = 1000
"""Objects that are known to be gone (arbitrary): more than requests can be under way."""
log = logging.getLogger(__name__)


class Watching:
    """A copy of all objects at ``path``, by uid; with ``fields``, of those alone that this selector names.

    What vanished while nobody watched is gone once a list says so. ``lighten`` drops what is not to be kept of each.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        changed: Changed,
        *,
        fields: str = "",
        lighten: Callable[[Object], None] | None = None,
    ) -> None:
        self._connection = connection
        self.path = path
        """Where they are."""
        self._changed = changed
        self._lighten = lighten or _lighten
        self._query = {"fieldSelector": fields} if fields else {}
        self._version: str | None = None
        self._listed_at = 0.0
        self._newest = 0
        self.objects: dict[str, Object] = {}
        self._by_workload: dict[str, dict[str, Object]] = {}
        self._gone: dict[str, None] = {}  # a late answer to a request must not bring one of them back
        self.synced = asyncio.Event()
        """Set when the first list has come."""
        self.trouble = ""
        """Why it does not get on, in words; empty when it does."""
        self._answered_at = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the API server last answered; grows to ``WATCH_SECONDS`` when nothing happens."""
        return time.monotonic() - self._answered_at

    def of_workload(self, workload_id: str) -> list[Object]:
        """The objects that belong to a workload, those made last first."""
        found = self._by_workload.get(workload_id, {})
        return sorted(found.values(), key=lambda one: str(part(one, "metadata").get("creationTimestamp")), reverse=True)

    async def run(self) -> None:
        """List and watch for ever: nothing that the API server says or is ends it."""
        pause = 0.1
        while True:
            try:
                if self._version is None or time.monotonic() - self._listed_at > READ_ANEW:
                    await self._list()
                await self._watch()
                pause, self.trouble = 0.1, ""
                continue
            except ClusterRefused as error:
                if error.code:  # it answers and refuses: what we know may be anything by now
                    self._version = None
                if error.code == GONE:
                    pause = 0.1
                else:
                    self.trouble = str(error)
            except Exception:
                log.exception("the watch of %s failed; it is begun again", self.path)
                self._version, self.trouble = None, "the watch failed; see the log"
            await asyncio.sleep(pause)
            pause = min(SLOWEST, pause * 2)

    def take(self, found: Object, gone: bool = False) -> None:
        """An object as the API server has just given it; older ones than known change nothing."""
        uid = str(part(found, "metadata").get("uid"))
        known = self.objects.get(uid)
        if gone:
            self._gone[uid] = None
            if len(self._gone) > REMEMBERED:
                del self._gone[next(iter(self._gone))]
            if known is not None:
                self._forget(uid, known)
            self._changed(found, True)
        elif uid not in self._gone and (known is None or _version(found) > _version(known)):
            self._lighten(found)
            self.objects[uid] = found
            if workload := label(found, WORKLOAD):
                self._by_workload.setdefault(workload, {})[uid] = found
            self._changed(found, False)

    def _forget(self, uid: str, known: Object) -> None:
        del self.objects[uid]
        workload = label(known, WORKLOAD)
        mine = self._by_workload.get(workload, {})
        mine.pop(uid, None)
        if not mine:
            self._by_workload.pop(workload, None)

    async def _list(self) -> None:
        """Read all there is, page by page; a list that was cut short changes nothing that is known to be gone."""
        there: set[str] = set()
        query = {**self._query, "limit": str(PAGE)}
        while True:
            answer = await self._connection.ask(f"list {self.path}", "GET", self.path, query=query)
            self._answered_at = time.monotonic()
            head = part(answer, "metadata")
            kind = str(answer.get("kind")).removesuffix("List")  # which lists leave out of each object
            items = [{**one, "kind": kind} for one in answer.get("items") or [] if isinstance(one, dict)]
            self._notice_restored(_version(answer))
            there |= {str(part(one, "metadata").get("uid")) for one in items}
            await self._take_all(items)
            if not head.get("continue"):
                break
            query["continue"] = str(head["continue"])
        for uid in set(self.objects) - there:
            if _version(self.objects[uid]) <= _version(answer):  # else it was made after the list
                self.take(self.objects[uid], gone=True)
        self._version, self._listed_at = str(head.get("resourceVersion")), time.monotonic()
        self.trouble = ""
        self.synced.set()

    async def _take_all(self, items: list[Object]) -> None:
        for index, one in enumerate(items, 1):
            self.take(one)
            if index % TURN == 0:
                await asyncio.sleep(0)

    def _notice_restored(self, version: int) -> None:
        """Numbers of versions went back: the cluster's memory was restored from a copy, and the copy counts."""
        if version < self._newest:
            for found in self.objects.values():
                part_of = found.get("metadata")
                if isinstance(part_of, dict):
                    part_of["resourceVersion"] = "0"
        self._newest = version

    async def _watch(self) -> None:
        query = {**self._query, "watch": "1", "timeoutSeconds": str(WATCH_SECONDS), "allowWatchBookmarks": "true"}
        query["resourceVersion"] = str(self._version)
        events = self._connection.lines(f"watch {self.path}", self.path, query, WATCH_SECONDS + 5)
        taken = 0
        async with contextlib.aclosing(events) as found:
            async for event in found:
                self._event(event)
                taken += 1
                if taken % TURN == 0:  # many may have come at once
                    await asyncio.sleep(0)
        self._answered_at = time.monotonic()

    def _event(self, event: Mapping[str, Any]) -> None:
        kind, found = event.get("type"), event.get("object")
        if not isinstance(found, dict):
            return
        if kind == "ERROR":
            code = found.get("code")
            raise refusal(f"watch {self.path}", code if isinstance(code, int) else GONE, str(found.get("reason") or ""))
        self._answered_at, self.trouble = time.monotonic(), ""
        self._version = str(part(found, "metadata").get("resourceVersion"))
        self._newest = max(self._newest, _version(found))
        if kind != "BOOKMARK":
            self.take(found, gone=kind == "DELETED")


def label(found: Mapping[str, Any], name: str) -> str:
    """A label of an object; empty when it has none of that name."""
    return str(part(part(found, "metadata"), "labels").get(name) or "")


def _version(found: Object) -> int:
    text = str(part(found, "metadata").get("resourceVersion"))
    return int(text) if text.isdigit() and len(text) < 20 else 0


def _lighten(found: Object) -> None:
    """Drop what nobody reads and what is most of an object: it would only be memory, and work for the collector."""
    for path, names in UNREAD.items():
        whole: object = found
        for key in path:
            whole = whole.get(key) if isinstance(whole, dict) else None
        if isinstance(whole, dict):
            for name in names:
                whole.pop(name, None)
    spec = found.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("containers"), list):
        spec["containers"] = [
            {name: one[name] for name in OF_CONTAINERS if name in one} for one in parts(spec, "containers")
        ]
