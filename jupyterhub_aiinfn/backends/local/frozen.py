"""What a frozen requirements.txt holds: its pins, and what their wheels weigh (written by ``images/freeze.py``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import InvalidMarker, Marker

from jupyterhub_aiinfn.errors import BackendError

PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)\s*(;\s*(?P<marker>[^\\]+?))?\s*\\?$")
SIZE = re.compile(r"^\s+# size: (\d+)$")


@dataclass(frozen=True)
class Pin:
    """One package of the file; ``size`` is what its wheel weighs in bytes, 0 when the file does not say."""

    name: str
    version: str
    marker: str = ""
    size: int = 0

    @property
    def title(self) -> str:
        """How people read it: ``numpy 2.2.6``."""
        return f"{self.name} {self.version}"


def normalized(name: str) -> str:
    """The name under which indexes and wheels know a package: ``typing_extensions`` is ``typing-extensions``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(file: Path) -> list[Pin]:
    """The pins of a file that hold on this machine and for this Python, in the order of the file."""
    try:
        pins = parse_pins(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise BackendError(f"{file} cannot be read: {error}; freeze the image again with images/freeze.py") from error
    try:
        return [pin for pin in pins if not pin.marker or Marker(pin.marker).evaluate()]
    except InvalidMarker as error:
        raise BackendError(f"{file} has a condition that cannot be read: {error}; freeze the image again") from error


def parse_pins(text: str) -> list[Pin]:
    """All pins of a text; lines that are no pin (hashes, comments, options) are left to pip."""
    pins: list[Pin] = []
    for line in text.splitlines():
        if found := PIN.match(line):
            pins.append(Pin(normalized(found["name"]), found["version"], found["marker"] or ""))
        elif pins and (size := SIZE.match(line)):
            last = pins[-1]
            pins[-1] = Pin(last.name, last.version, last.marker, int(size[1]))
    return pins
