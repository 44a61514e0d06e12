"""A person of a farm under test: starts sessions, sees how they stand, and reads what the pages say."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from tests.hub.running_hub import Browser

from .farm import Farm

Found = TypeVar("Found")
TINY = {"profile": "tiny", "size": "small", "project": "lab"}


@dataclass
class Visitor:
    """One person, logged in."""

    farm: Farm
    name: str
    browser: Browser

    @classmethod
    def of(cls, farm: Farm, name: str) -> Visitor:
        """Log in."""
        return cls(farm, name, farm.hub.login(name))

    def begin(self, server: str = "", **options: str) -> None:
        """Ask for a session and do not wait longer for the answer than until the start is under way, or over."""
        try:
            self.browser.api("POST", self._path(server), json=options or TINY, timeout=0.5)
        except httpx.ReadTimeout:
            until(lambda: self.server(server).get("pending") or self.ready(server) or self._has_failed(server))

    def start(self, server: str = "", **options: str) -> bool:
        """Ask for a session; whether it came up, at the first try."""
        answer = self.browser.api("POST", self._path(server), json=options or TINY, timeout=180)
        assert answer.status_code in (201, 202), answer.text
        until(lambda: not self.server(server).get("pending"), 120)
        if not (came_up := self.ready(server)):
            print(f"{self.name}: {self.sentence(server)}")  # for whoever reads why a test failed
        return came_up

    def server(self, server: str = "") -> dict[str, Any]:
        """What the hub says of one server; empty when it neither runs nor starts."""
        found = self.browser.api("GET", f"/users/{self.name}?include_stopped_servers").json()["servers"]
        one: dict[str, Any] = found.get(server, {})
        return one

    def ready(self, server: str = "") -> bool:
        """Whether it runs, by what the hub says."""
        return bool(self.server(server).get("ready"))

    def pod(self, server: str = "") -> dict[str, Any]:
        """The pod of a session, as soon as there is one that is not going."""
        return until(lambda: self._pod(server))

    def _pod(self, server: str) -> dict[str, Any] | None:
        mine = [pod for pod in self.farm.all("pods") if self.farm.person_of(pod) == (self.name, server)]
        return next((pod for pod in mine if "deletionTimestamp" not in pod["metadata"]), None)

    def nothing_is_left(self) -> bool:
        """Whether the cluster has nothing more of this person's sessions."""
        return not [name for name in self.farm.names("pods,secrets") if name.startswith(f"{self.name}-")]

    def run(self, script: str, server: str = "") -> str:
        """What a script prints that runs in the session."""
        return self.farm.run(self.pod(server)["metadata"]["name"], script)

    def stop(self, server: str = "") -> None:
        """End it, and wait until it has ended."""
        self.browser.api("DELETE", self._path(server), timeout=120)
        until(lambda: not self.server(server).get("pending") and not self.ready(server), 120)

    def sentence(self, server: str = "") -> str:
        """What the page of a start that failed says, as soon as it says it."""
        until(lambda: not self.server(server).get("pending"))
        return words(self.browser.get(f"/hub/spawn-pending/{self.name}{'/' if server else ''}{server}").text)

    def _has_failed(self, server: str) -> bool:
        return "was not started" in self.sentence(server)

    def last_end(self) -> str:
        """The home page, which says why the last session ended."""
        return words(self.browser.get("/hub/home").text)

    def _path(self, server: str) -> str:
        return f"/users/{self.name}/servers/{server}" if server else f"/users/{self.name}/server"


def words(page: str) -> str:
    """What a person reads on the page, without what is around it."""
    shown = re.sub(r"(?s)<(head|script|style|nav)\b.*?</\1>", " ", page)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", shown)).split())


def leave_nothing(farm: Farm) -> None:
    """End all sessions: nothing more of any is there, and the hub lives, which ends at a failure that counts."""
    assert farm.hub.processes["hub"].poll() is None
    for name, server in {farm.person_of(pod) for pod in farm.all("pods")}:
        Visitor.of(farm, name).stop(server)
    until(farm.nothing_is_left)


def until(holds: Callable[[], Found | None], patience: float = 60) -> Found:
    """What ``holds`` returns, as soon as it is true."""
    deadline = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < deadline, "that did not come true"
        time.sleep(0.2)
    return found
