"""What is going on, said while it goes on: one line a step, with what it did and how long that took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

BREATH = 30.0
"""Seconds between two words of a step that takes long."""


class Action(Protocol):
    """A step's action: told where to report how far it is, it returns what it did."""

    def __call__(self, say: Callable[[str], None], /) -> str: ...


@dataclass
class Steps:
    """Counts steps and prints them."""

    count: int
    taken: int = 0

    def take(self, name: str, action: Action) -> None:
        """Take one step. When it raises, the line says so and the error goes on."""
        self.taken += 1
        _print(f"[{self.taken}/{self.count}] {name} …")
        begun = said = time.monotonic()

        def say(progress: str) -> None:
            nonlocal said
            if time.monotonic() - said >= BREATH:
                said = time.monotonic()
                _print(f" {progress} …")

        try:
            done = action(say)
        except BaseException:
            _print(" failed\n")
            raise
        _print(f" {done} ({time.monotonic() - begun:.1f} s)\n")


def _print(text: str) -> None:
    print(text, end="", flush=True)
