"""What `aiinfn up` says while it starts, runs and stops."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.local.enforcement import Enforcement
    from jupyterhub_aiinfn.hub.people import People


class Steps:
    """One line a step, with the seconds since the start.

    Nothing here raises for want of a reader: a terminal that was closed, or a pipe, must not end the platform.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._print = say
        self._began = time.monotonic()
        self._shown: tuple[str, int] | None = None

    def done(self, name: str, detail: str) -> None:
        """A step of the start is done."""
        self._say(f"{self._seconds():6.1f} s  {name:<9}  {detail}")

    def progress(self, name: str, done: int, total: int, unit: str) -> None:
        """A step has come so far; said again when the number changed, on one line of a terminal."""
        if self._shown == (name, done):
            return
        self._shown = (name, done)
        text = f"{self._seconds():6.1f} s  {name:<9}  {done} of {total} {unit}"
        if _is_terminal():
            with contextlib.suppress(OSError):
                sys.stdout.write(f"\r{text}" + ("\n" if done == total else ""))
                sys.stdout.flush()
        else:
            self._say(text)

    def happened(self, sentence: str) -> None:
        """Something to know while the platform runs."""
        self._say(f"{time.strftime('%H:%M:%S')}  {sentence}")

    def failed(self, sentence: str) -> None:
        """Why everything is being stopped."""
        self._say(f"Error: {sentence}")

    def ready(
        self, url: str, people: People, passwords: Mapping[str, Path], enforcement: Iterable[Enforcement]
    ) -> None:
        """A login works: say where, who, and what this machine enforces."""
        self.done("ready", f"{url}\n")
        self._say(f"The platform runs at {url}")
        self._say("People, and the file with the first password of each:")
        names = people.names()
        width = max((len(name) for name in names), default=0)
        for name in names:
            role = " (administrator)" if people.is_admin(name) else ""
            self._say(f"  {name:{width}}  {passwords.get(name, 'has chosen a password')}{role}")
        self._say("On this machine:")
        for line in enforcement_lines(enforcement):
            self._say(f"  {line}")
        self._say("Ctrl-C stops everything; homes and people stay.")

    def stopping(self) -> None:
        """The first signal came."""
        self._say("Stopping: sessions get a few seconds to end. Ctrl-C once more stops at once.")

    def stopped(self) -> None:
        """Nothing is left."""
        self._say("Stopped. Homes, people and environments are kept.")

    def not_started(self) -> None:
        """The signal came before there was anything to stop."""
        self._say("Stopped before anything was started.")

    def close(self) -> None:
        """Drop what nobody read: Python would try to write it at its exit, and make a failure of it."""
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._print(text)

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def enforcement_lines(enforcement: Iterable[Enforcement]) -> list[str]:
    """One line for each thing that the machine enforces or does not."""
    return [f"{'enforced' if one.enforced else 'NOT enforced':<12}  {one.sentence}" for one in enforcement]
