"""The owners of tokens: asked of the hub, remembered for a short while, also while the hub is away."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from jupyterhub_aiinfn.errors import HubDown, ServiceError

from .caller import HubIdentity
from .hub import HubApi

V = TypeVar("V")
TOKEN = re.compile(r"[\x21-\x7e]{1,64}")
"""The hub refuses longer tokens (since 6.1.0)."""
KNOWN, UNKNOWN = 4096, 1024
UNKNOWN_SECONDS = 5.0
"""How long an unknown token is refused without asking again; arbitrary, it only softens a flood."""
PAUSE = 1.0
"""After a failure the hub is left alone this long (arbitrary); what is remembered answers meanwhile."""


@dataclass(frozen=True)
class Answer:
    """What the hub said about a token, and when (monotonic seconds)."""

    identity: HubIdentity
    at: float


class Identities:
    """A bounded memory of who owns which token; tokens are kept as hashes only."""

    def __init__(self, hub: HubApi, fresh: float, stale: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``fresh`` and ``stale`` are seconds for which an answer counts while the hub answers, and while not."""
        self._hub, self._fresh, self._stale, self._clock = hub, fresh, stale, clock
        self._known: OrderedDict[str, Answer] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._asking: dict[str, asyncio.Task[HubIdentity | None]] = {}
        self._failed_at = float("-inf")

    async def owner(self, token: str, *, change: bool, fresh: float | None = None) -> HubIdentity | None:
        """Who owns ``token``; None when the hub does not know it.

        For a change the hub is always asked. For a read an answer of the last ``fresh`` seconds counts, and an
        older one while the hub does not answer; :class:`HubDown` when there is none.
        """
        key = fingerprint(token)
        age = self._age(key)
        if not change and age <= (self._fresh if fresh is None else fresh):
            return self._known[key].identity
        if self._clock() - self._unknown.get(key, float("-inf")) < UNKNOWN_SECONDS:
            return None
        try:
            return await self._ask(key, token, change=change)
        except HubDown:
            if change or self._age(key) > self._stale:
                raise
            return self._known[key].identity

    def forget(self, token: str) -> None:
        """Ask the hub the next time."""
        self._known.pop(fingerprint(token), None)

    def _age(self, key: str) -> float:
        answer = self._known.get(key)
        return self._clock() - answer.at if answer else float("inf")

    async def _ask(self, key: str, token: str, *, change: bool) -> HubIdentity | None:
        if not change and self._clock() - self._failed_at < PAUSE:
            raise HubDown
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._learn(key, token))
            task.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(task)

    def _asked(self, key: str, task: asyncio.Task[HubIdentity | None]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waited has seen it; nobody else must be warned about it

    async def _learn(self, key: str, token: str) -> HubIdentity | None:
        asked_at = self._clock()
        try:
            identity = await self._hub.identity(token)
        except HubDown:
            self._failed_at = self._clock()
            raise
        self._failed_at = float("-inf")
        if identity is None:
            self._known.pop(key, None)
            remember(self._unknown, key, asked_at, UNKNOWN)
        else:
            self._unknown.pop(key, None)
            remember(self._known, key, Answer(identity, asked_at), KNOWN)
        return identity


def remember(memory: OrderedDict[str, V], key: str, value: V, most: int) -> None:
    """Put ``value`` in front and drop the oldest beyond ``most``."""
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > most:
        memory.popitem(last=False)


def fingerprint(token: str) -> str:
    """What stands for a token in memory."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_of(header: str) -> str:
    """The token of an ``Authorization`` header; a :class:`ServiceError` (401) says what is wrong with it."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() not in ("token", "bearer"):
        raise unauthorized('the Authorization header must read "token" or "Bearer", a space and a token of the hub')
    if not TOKEN.fullmatch(token.strip()):
        raise unauthorized("this is not a token of the hub: those have at most 64 characters, without blanks")
    return token.strip()


def unauthorized(sentence: str) -> ServiceError:
    """401."""
    return ServiceError(sentence, status=401, reason="unauthorized")
