"""Delivers the hub's record of sessions to the service, at the start and at each new fact, until it is taken."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence

import aiohttp
from prometheus_client import Gauge
from pydantic import ValidationError

from jupyterhub_aiinfn.api.facts import MOST, Fact, Facts, FactsTaken
from jupyterhub_aiinfn.errors import StateError

from .outbox import Outbox

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two tries while the service does not take anything (arbitrary)."""
PATIENCE = 20.0
"""Seconds for one answer; what was taken without our hearing of it is delivered again, and counts once."""
MOST_BYTES = 512 * 1024
"""Of one delivery; the service takes a body of 1 MiB."""
WAITING = Gauge("aiinfn_hub_facts_waiting", "Facts about sessions that the platform service has not taken yet")

log = logging.getLogger("JupyterHub.aiinfn")


class NotTaken(Exception):
    """The service answered, but did not take a delivery."""


class Delivery:
    """One task for the life of the hub; whatever the service does, it goes on and no session notices."""

    def __init__(self, outbox: Outbox, url: str, token: str) -> None:
        """``url`` of the service with its path; ``token`` is the secret that both share for this."""
        self._outbox, self._url, self._token = outbox, f"{url}/api/v1/facts", token
        self._news = asyncio.Event()
        self._said = ""
        WAITING.set_function(lambda: len(outbox.pending(10**6)))

    async def run(self) -> None:
        """Deliver until cancelled."""
        loop = asyncio.get_running_loop()
        self._outbox.on_write = lambda: loop.call_soon_threadsafe(self._news.set)
        pause = FIRST_PAUSE
        while True:
            self._news.clear()
            try:
                if await self._deliver():
                    pause = FIRST_PAUSE
                    continue
                await self._news.wait()
            except (aiohttp.ClientError, TimeoutError, OSError, ValidationError, NotTaken, StateError) as problem:
                self._note(problem)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)

    async def _deliver(self) -> bool:
        """One delivery; whether there was anything to deliver."""
        facts = portion(self._outbox.pending(MOST))
        if not facts:
            return False
        taken = await self._post(Facts.model_construct(facts=tuple(facts)))
        await asyncio.to_thread(self._outbox.delivered, min(taken.number, facts[-1].number))
        self._said = ""
        return True

    async def _post(self, facts: Facts) -> FactsTaken:
        timeout = aiohttp.ClientTimeout(total=PATIENCE, connect=5)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        body = facts.model_dump_json(exclude_defaults=True)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.post(self._url, data=body.encode(), headers=headers, allow_redirects=False) as answer,
        ):
            text = await answer.content.read(4096)
            if answer.status != 200:
                raise NotTaken(_sentence(answer.status, text))
            return FactsTaken.model_validate_json(text)

    def _note(self, problem: Exception) -> None:
        """One line for each new reason, not one for each try."""
        said = str(problem) if isinstance(problem, NotTaken | StateError) else type(problem).__name__
        if said != self._said:
            log.warning("the platform service has not taken the hub's record of sessions (%s); it is tried again", said)
        self._said = said


def portion(facts: Sequence[Fact]) -> list[Fact]:
    """As many of the oldest as fit into one delivery; one at least."""
    found: list[Fact] = []
    size = 0
    for fact in facts:
        size += len(fact.model_dump_json(exclude_defaults=True).encode())
        if found and size > MOST_BYTES:
            break
        found.append(fact)
    return found


def _sentence(status: int, text: bytes) -> str:
    try:
        return f"status {status}: {str(json.loads(text)['error']['message'])[:300]}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"status {status}"
