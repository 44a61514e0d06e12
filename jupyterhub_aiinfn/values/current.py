"""The values that a process holds at this moment: everything asks here each time, and keeps no copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .document import Values
from .load import values_hash


class CurrentValues:
    """Values, their hash, and the folder beside which folders of images are looked for; all change in one step.

    Reading is a look into memory; a switch is one assignment, so that every reader sees one whole or the other.
    """

    def __init__(self, values: Values, folder: Path | None = None) -> None:
        self._held = (values, values_hash(values), folder)
        self._listeners: list[Callable[[], None]] = []
        self.switches = 0
        """How often they were replaced: whoever keeps something made from them compares it."""

    @classmethod
    def of(cls, values: Values | CurrentValues) -> CurrentValues:
        """``values`` as they are, or values that nobody will replace."""
        return values if isinstance(values, CurrentValues) else cls(values)

    @property
    def values(self) -> Values:
        """What counts now."""
        return self._held[0]

    @property
    def hash(self) -> str:
        """The hash of :attr:`values`."""
        return self._held[1]

    @property
    def folder(self) -> Path | None:
        """The folder of the file that they were read from; None when nobody said so."""
        return self._held[2]

    def switch(self, values: Values, folder: Path | None = None) -> None:
        """From now on these count."""
        self._held = (values, values_hash(values), folder)
        self.switches += 1
        for listener in self._listeners:
            listener()

    def on_switch(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each switch, in the thread that switches."""
        self._listeners.append(listener)
