"""Failed logins are slowed, for the name and for the address; memory is bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

V = TypeVar("V")

MAX_KEYS = 10_000
FORGET_AFTER = 600.0
"""Seconds without an attempt after which a key starts anew (arbitrary)."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two attempts: doubled with each failure. The longest one allows 12 guesses a minute; arbitrary."""
LONGEST_WAIT = 15.0
"""Seconds that an attempt waits for its turn; who would wait longer is refused at once. Arbitrary."""
FREE_FOR_NAME = 3
FREE_FOR_ADDRESS = 40
"""A class logs in through one address."""


class Throttled(Exception):
    """Too many attempts wait already."""


@dataclass
class _Attempts:
    failed: int = 0
    last: float = 0.0
    turn: float = 0.0
    """When the latest attempt has its turn: the next one comes a pause later, however many come at once."""


class Throttle:
    """Gives each attempt its turn. An attempt counts as failed until it succeeds, so that a thousand at once are slowed
    like a thousand in a row.

    Who logged in from an address before has a lane of their own from there: who guesses at the name keeps nobody out.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def begin(self, name: str, address: str) -> float:
        """Count an attempt; how many seconds it waits for its turn. :class:`Throttled` when that would be too long."""
        own = self._turn(self._lane(name, address), FREE_FOR_NAME, one_by_one=True)
        return max(own, self._turn(f"address {address}", FREE_FOR_ADDRESS, one_by_one=False))

    def succeeded(self, name: str, address: str) -> None:
        """The attempt was a good one: the name starts anew, the address gets its attempt back."""
        self._attempts.pop(self._lane(name, address), None)
        if entry := self._attempts.get(f"address {address}"):
            entry.failed = max(0, entry.failed - 1)
        _put(self._known, f"{name} from {address}", None)

    def _lane(self, name: str, address: str) -> str:
        own = f"{name} from {address}"
        return own if own in self._known else f"name {name}"

    def _turn(self, key: str, free: int, *, one_by_one: bool) -> float:
        now = self._clock()
        entry = self._attempts.pop(key, None)
        if entry is None or now - entry.last > FORGET_AFTER:
            entry = _Attempts()
        _put(self._attempts, key, entry)
        entry.last = now
        pause = _pause(entry.failed, free)
        turn = max(now, entry.turn) + pause if one_by_one and pause else now + pause
        if turn - now > LONGEST_WAIT:
            raise Throttled
        entry.failed, entry.turn = entry.failed + 1, turn
        return turn - now

    def __len__(self) -> int:
        return len(self._attempts) + len(self._known)


def _put(entries: OrderedDict[str, V], key: str, value: V) -> None:
    entries[key] = value
    entries.move_to_end(key)
    while len(entries) > MAX_KEYS:
        entries.popitem(last=False)


def _pause(failures: int, free: int) -> float:
    """0 for the first ``free`` failures, then doubling."""
    over = failures - free
    return 0.0 if over < 0 else min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(over, 20))
