"""How far pip is, read from what it prints, and whose fault it is when it fails."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .frozen import Pin, normalized

FILE = re.compile(
    r"^\s*(?P<verb>Downloading|Using cached|Processing) \S*?"
    r"(?P<name>[A-Za-z0-9._]+)-[^-/\s]+(-[^/\s]+)?\.(whl|tar\.gz)(?P<extra>\S*)"
)
COLLECTING = re.compile(r"^Collecting (?P<name>[A-Za-z0-9._-]+)==")
BYTES = re.compile(r"^Progress (?P<done>\d+) of (?P<total>\d+)$")
TAIL = 20
REMEDIES = (
    ("No space left on device", "the disk is full; make room (`aiinfn image prune`) and build again"),
    (
        "DO NOT MATCH THE HASHES",
        "what was downloaded is not what was frozen; if the index is right, freeze the image again",
    ),
    ("Failed to establish a new connection", "the package index cannot be reached; check the network and build again"),
    ("Connection refused", "the package index cannot be reached; check the network and build again"),
    ("Read timed out", "the package index stopped answering; build again"),
    (
        "No matching distribution found",
        "the package index has no such wheel; check the index, or freeze the image again",
    ),
    ("is invalid", "its file is damaged; clear pip's cache (`pip cache purge`) and build again"),
    ("invalid wheel", "its file is damaged; clear pip's cache (`pip cache purge`) and build again"),
)
"""What pip prints, and what to say; the first that is found."""


class PipProgress:
    """Counts what pip has fetched; bytes of a package are those of its wheel, cached or not."""

    def __init__(self, pins: Sequence[Pin]) -> None:
        self.pins = {pin.name: pin for pin in pins}
        self.sizes = {pin.name: pin.size for pin in pins}
        self.fetched = dict.fromkeys(self.pins, 0)
        self.current: Pin | None = None
        self.order: list[Pin] = []
        """The packages in the order in which pip installs them."""
        self.step = "asking the package index"
        self._counts = False
        self._lines: list[str] = []

    @property
    def installing(self) -> bool:
        """Whether everything is here and being put in place."""
        return bool(self.order)

    @property
    def bytes_done(self) -> int:
        """Bytes that are here."""
        return sum(self.fetched.values())

    @property
    def bytes_total(self) -> int:
        """Bytes in all: as frozen, put right by what the index says."""
        return sum(self.sizes.values())

    def read(self, line: str) -> bool:
        """Take one line of pip; returns whether it is one for people (counts of bytes are not)."""
        line = line.rstrip()
        if found := BYTES.match(line):
            self._count(int(found["done"]), int(found["total"]))
            return False
        self._lines = [*self._lines, line][-200:]
        if line.startswith("Installing collected packages"):
            self._all_fetched(line.partition(":")[2].split(","))
        elif found := COLLECTING.match(line):
            self._enter(found["name"])
        elif found := FILE.match(line):
            self._file(found)
        return True

    def _enter(self, name: str) -> None:
        self.current = self.pins.get(normalized(name), self.current)

    def _file(self, found: re.Match[str]) -> None:
        self._finish()
        self._enter(found["name"])
        self._counts = not found["extra"] and self.current is not None
        if self._counts and self.current:
            cached = found["verb"] != "Downloading"
            self.step = f"{'taking from the cache' if cached else 'downloading'} {self.current.title}"
            if cached:
                self._finish()

    def _count(self, done: int, total: int) -> None:
        if self._counts and self.current:
            self.sizes[self.current.name] = total or self.sizes[self.current.name]
            self.fetched[self.current.name] = done

    def _finish(self) -> None:
        """The file that was under way is complete: pip has gone on."""
        if self._counts and self.current:
            self.fetched[self.current.name] = self.sizes[self.current.name]
        self._counts = False

    def _all_fetched(self, names: Sequence[str]) -> None:
        self._finish()
        self.order = [self.pins[name] for name in (normalized(name.strip()) for name in names) if name in self.pins]
        self.fetched = dict(self.sizes)
        self.step = "installing"

    def tail(self) -> list[str]:
        """The last lines that pip printed."""
        return [line for line in self._lines if line.strip()][-TAIL:]

    def culprit(self) -> Pin | None:
        """The package that pip complained about, or was at when it ended."""
        complaint = self._complaint()
        for pin in self.pins.values():
            name = re.escape(pin.name).replace("\\-", "[-_.]+")
            if re.search(rf"(?i)(?<![\w-]){name}(==|-{re.escape(pin.version)}| \(|$)", complaint, flags=re.MULTILINE):
                return pin
        return self.current

    def _complaint(self) -> str:
        """What pip printed from its first error on."""
        for number, line in enumerate(self._lines):
            if line.startswith("ERROR"):
                return "\n".join(self._lines[number:])
        return ""

    def remedy(self) -> str:
        """Why it failed and what to do, as far as pip's words tell."""
        text = "\n".join(self._lines)
        return next((remedy for sign, remedy in REMEDIES if sign in text), "see the last lines of pip above")
