"""Failed logins are slowed, for the name and for the address; memory is bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_KEYS = 10_000
FORGET_AFTER = 600.0
"""Seconds without a failure after which a key starts anew (arbitrary)."""
LONGEST_DELAY = 15.0
"""Seconds; arbitrary: a person whose name is under attack can still log in."""
FIRST_DELAY = 0.5
FREE_FOR_NAME = 3
FREE_FOR_ADDRESS = 40
"""A class logs in through one address."""


@dataclass
class _Failures:
    count: int
    last: float


class Throttle:
    """Counts attempts that did not succeed. An attempt counts as failed until it succeeds, so that
    a thousand at once are slowed like a thousand in a row.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def begin(self, name: str, address: str) -> float:
        """Count an attempt; how many seconds it has to wait before the password is looked at."""
        return max(
            _delay(self._count(f"name {name}"), FREE_FOR_NAME),
            _delay(self._count(f"address {address}"), FREE_FOR_ADDRESS),
        )

    def succeeded(self, name: str, address: str) -> None:
        """The attempt was a good one: the name starts anew, the address gets its attempt back."""
        self._failures.pop(f"name {name}", None)
        if entry := self._failures.get(f"address {address}"):
            entry.count = max(0, entry.count - 1)

    def _count(self, key: str) -> int:
        now = self._clock()
        entry = self._failures.pop(key, None)
        if entry is None or now - entry.last > FORGET_AFTER:
            entry = _Failures(0, now)
        before = entry.count
        entry.count, entry.last = before + 1, now
        self._failures[key] = entry
        while len(self._failures) > MAX_KEYS:
            self._failures.popitem(last=False)
        return before

    def __len__(self) -> int:
        return len(self._failures)


def _delay(failures: int, free: int) -> float:
    """0 for the first ``free`` failures, then doubling."""
    over = failures - free
    return 0.0 if over < 0 else min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(over, 20))
