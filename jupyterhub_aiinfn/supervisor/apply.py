"""`aiinfn values apply`: have hub and service hold other values, both or neither, while sessions run on.

In steps that may each be the last one: look at the difference, have both parts prepare, agree (from then on it counts,
whoever dies), and see both hold it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jupyterhub_aiinfn.backends.local.agreement import Agreement, Agreements
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import AiinfnError, StateError
from jupyterhub_aiinfn.values import Values, values_hash
from jupyterhub_aiinfn.values.difference import Difference, differences, held_together
from jupyterhub_aiinfn.values.reading import dotted

from .asking import ask
from .known_values import KnownValues, is_running, known_values, last_held, values_to_start_with
from .places import find_state, find_values
from .record import Record, check_owner, read_record

ANSWER_SECONDS = 20.0
"""How long a part may take to read and check values: a large file takes a second, more while the machine is busy."""
SETTLE_SECONDS = 60.0
"""How long to wait until both hold what is agreed: a part that was killed is back within seconds (arbitrary)."""
PARTS = ("hub", "service")
TRY_AGAIN = "nothing was changed; try again when `aiinfn status` says that both answer"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Change:
    """From what is held to what was read."""

    state: StateFolder
    before: KnownValues | None
    """What the running platform holds, or the next start would begin with."""
    read: KnownValues
    running: bool

    @property
    def differences(self) -> list[Difference]:
        """Everything that differs."""
        return differences(self.before.values, self.read.values) if self.before else []

    @property
    def waiting(self) -> list[Difference]:
        """What a running platform takes over at its next start only."""
        return [one for one in self.differences if self.running and one.needs_restart]

    @property
    def result(self) -> Values:
        """What the platform holds afterwards."""
        if self.before is None or not self.running:
            return self.read.values
        return held_together(self.before.values, self.read.values)


def look(file: Path | None, state: Path | None) -> Change:
    """Read a file (by default the one that the platform was started with) and compare. Raises :class:`AiinfnError`."""
    folder = StateFolder(find_state(state))
    running = is_running(folder)
    held = last_held(folder) if running else None
    source = file or (held.file if held else None) or find_values(None, folder)
    read = known_values(source, folder)
    before = held if running else _next_start(folder)
    if running and before is None:
        raise StateError("the platform is starting and holds no values yet; try again when it is ready")
    return Change(folder, before, read, running)


def as_text(change: Change) -> str:
    """What would change, path by path."""
    lines = [str(one) for one in change.differences]
    if waiting := [dotted(one.path) for one in change.waiting]:
        need = "needs" if len(waiting) == 1 else "need"
        lines.append(f"{', '.join(waiting)} {need} a restart of the platform: `aiinfn down`, then `aiinfn up`")
    return "\n".join(lines)


async def apply(change: Change, say: Say) -> None:
    """Do it. Raises :class:`AiinfnError`, and then the former values are still those that count."""
    folder, agreements = change.state, Agreements(change.state)
    folder.prepare()
    check_owner(folder)
    with agreements.locked():
        _check_still_so(change)
        agreement = propose(change, agreements)
        if change.running:
            await Parts.of(folder).prepare(agreement.hash)
            agreements.agree(agreement)
        agreements.put_next(replace(change.read.agreement, since=agreement.since))
    if change.running:
        await Parts.of(folder).follow(agreement.hash, say)
        _welcome_people(change, say)
    else:
        say("The platform does not run; the values are checked, and `aiinfn up` without --values starts with them.")


def propose(change: Change, agreements: Agreements) -> Agreement:
    """Store what is to be held, for both parts to read, and what the next start takes."""
    agreements.store(change.read.values)
    digest = agreements.store(change.result)
    paths = tuple(dotted(one.path) for one in change.waiting)
    return Agreement(digest, str(change.read.file), time.time(), paths)


@dataclass(frozen=True)
class Parts:
    """Hub and service of a running platform, as its own administrator reaches them."""

    urls: dict[str, str]
    token: str

    @classmethod
    def of(cls, state: StateFolder) -> Parts:
        """Those of the supervisor that runs on the state folder; :class:`StateError` when none does."""
        found = read_record(state)
        if found is None:
            raise StateError(f"no platform runs on {state.root} any more; {TRY_AGAIN}")
        return cls(addresses(found[1]), state.secret("values-token"))

    async def prepare(self, digest: str) -> None:
        """Have both read the values, without holding them; raises :class:`StateError` for the first that cannot."""
        answers = await asyncio.gather(*(self._ask(part, "/prepare", json.dumps({"hash": digest})) for part in PARTS))
        for part, (status, body) in zip(PARTS, answers, strict=True):
            if status != 200 or body.get("prepared") != digest:
                why = _sentence(body) or ("it does not answer" if not status else f"it answered with {status}")
                raise StateError(f"the {part} cannot hold these values: {why}; {TRY_AGAIN}")

    async def follow(self, digest: str, say: Say) -> None:
        """Tell both that the agreement has changed, and wait until they hold it. A part that is away will by itself."""
        deadline = time.monotonic() + SETTLE_SECONDS
        waiting = set(PARTS)
        while waiting and time.monotonic() < deadline:
            for part in sorted(waiting):
                if await self._holds(part, digest):
                    waiting.remove(part)
            await asyncio.sleep(0.2 if waiting else 0)
        if waiting:
            names = " and ".join(sorted(waiting))
            say(f"The values count from now on; the {names} did not answer yet and will hold them when started again.")
        else:
            say(f"Hub and service hold the values {digest}. Sessions that run keep what they started with.")

    async def _holds(self, part: str, digest: str) -> bool:
        status, body = await self._ask(part, "/follow", "")
        return status == 200 and body.get("hash") == digest

    async def held(self) -> dict[str, str]:
        """The hash that each holds; "" for one that does not say it."""
        answers = await asyncio.gather(*(self._ask(part, "", None, seconds=3.0) for part in PARTS))
        return {part: str(body.get("hash", "")) for part, (_, body) in zip(PARTS, answers, strict=True)}

    async def _ask(
        self, part: str, path: str, body: str | None, seconds: float = ANSWER_SECONDS
    ) -> tuple[int, dict[str, object]]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        method = "GET" if body is None else "POST"
        url = self.urls[part] + path
        status, answer = await ask(url, method=method, headers=headers, seconds=seconds, body=(body or "").encode())
        try:
            found = json.loads(answer or b"{}")
        except ValueError:
            found = {}
        return status, found if isinstance(found, dict) else {}


def addresses(record: Record) -> dict[str, str]:
    """Where hub and service answer about their values."""
    return {
        "hub": f"http://127.0.0.1:{record.hub_port}/hub/aiinfn/values",
        "service": f"http://127.0.0.1:{record.service_port}/services/aiinfn/api/v1/values",
    }


def _sentence(body: dict[str, object]) -> str:
    error = body.get("error")
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def _next_start(state: StateFolder) -> KnownValues | None:
    try:
        return values_to_start_with(None, state)
    except AiinfnError:
        return None  # there is nothing good to compare with: all of the new file is new


def _check_still_so(change: Change) -> None:
    """Raise :class:`StateError` when somebody else has changed the values, or started or stopped the platform."""
    now = last_held(change.state) if change.running else _next_start(change.state)
    known = change.before and values_hash(change.before.values)
    if is_running(change.state) != change.running or (now and values_hash(now.values)) != known:
        raise StateError("the values or the platform were changed meanwhile by somebody else; look at it again")


def _welcome_people(change: Change, say: Say) -> None:
    """First passwords for the people whom the new values bring."""
    from jupyterhub_aiinfn.hub.people import People

    known = change.before.values.identity.users if change.before else {}
    new = change.read.values.identity.users.keys() - known.keys()
    if new:
        passwords = People(change.state, change.read.values).ensure_first_passwords()
        for name in sorted(new & passwords.keys()):
            say(f"{name} can log in; the first password is in {passwords[name]}")
