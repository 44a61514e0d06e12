"""The values that hub and service have agreed on: where they are kept, and how each part comes to hold them.

Below ``values/`` of the state folder (0700)::

    <hash>.json   one checked set of values; never changed after it was written
    agreed.json   which of them the platform holds: the one truth, replaced in one step
    next.json     which of them `aiinfn up` starts with when no file is named (the last one applied)
    lock          held by whoever changes one of these

A change has two phases. First each part reads the new values and says that it could hold them; only when all have said
so is ``agreed.json`` replaced, and that is the moment from which they count. Each part follows that file by itself, so
that whoever dies in between, the one who changes or a part, all end with what it says.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.values import Values, load_values, values_hash
from jupyterhub_aiinfn.values.current import CurrentValues
from jupyterhub_aiinfn.values.load import data_hash, plain_values

from .state import StateFolder, read_object, write_file

HASH = re.compile(r"[0-9a-f]{16}")
KEPT = 50
"""Sets of values that are kept, for sessions that started with an earlier one (arbitrary)."""
LOOK = 1.0
"""Seconds between two looks whether the agreement has changed."""
LOCK_SECONDS = 10.0

log = logging.getLogger("aiinfn.values")


@dataclass(frozen=True)
class Agreement:
    """Which values count."""

    hash: str
    file: str
    """The file that they were read from: folders of images are looked for beside it."""
    since: float = 0.0
    """Seconds since the epoch."""
    waiting: tuple[str, ...] = ()
    """Paths whose new value waits for a restart of the platform."""

    @classmethod
    def from_json(cls, found: dict[str, Any] | None) -> Agreement | None:
        """What :class:`Agreements` wrote; None for anything else."""
        try:
            if found is None or not HASH.fullmatch(found["hash"]):
                return None
            return cls(found["hash"], str(found["file"]), float(found["since"]), tuple(map(str, found["waiting"])))
        except (KeyError, TypeError, ValueError):
            return None


class Agreements:
    """The agreements of one state folder. Methods block for a moment: they read and write small files."""

    def __init__(self, state: StateFolder) -> None:
        self.folder = state.root / "values"

    def agreed(self) -> Agreement | None:
        """What the platform holds, or held when it ran last; None before the first start."""
        return Agreement.from_json(read_object(self.folder / "agreed.json"))

    def next(self) -> Agreement | None:
        """What was applied last, for a start without a file."""
        return Agreement.from_json(read_object(self.folder / "next.json"))

    def agree(self, agreement: Agreement) -> None:
        """From this moment on these values count."""
        self._point("agreed.json", agreement)
        self._forget_old()

    def put_next(self, agreement: Agreement | None) -> None:
        """Keep what the platform starts with; None: with the file that is named then."""
        if agreement is None:
            (self.folder / "next.json").unlink(missing_ok=True)
        else:
            self._point("next.json", agreement)

    def store(self, values: Values) -> str:
        """Write values under their hash, which is returned; they are then the last that are forgotten."""
        self._make_folder()
        digest = values_hash(values)
        try:
            os.utime(self._file(digest))
        except FileNotFoundError:
            _write(self._file(digest), json.dumps(plain_values(values)))
        return digest

    def load(self, digest: str, *, older: bool = False) -> Values:
        """The values of that hash; :class:`StateError` when they cannot be had, or are not those.

        ``older``: also those that another release has stored. What is new in this one has its default, so that their
        hash now is another one.
        """
        file = self._file(digest)
        try:
            text = file.read_bytes()
            values = Values.model_validate_json(text, by_alias=True, by_name=False)
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else "it does not hold values of this version"
            raise StateError(f"{file} cannot be used: {why}; apply the values file again") from error
        if values_hash(values) != digest and not (older and data_hash(json.loads(text)) == digest):
            raise StateError(f"{file} was changed by somebody; apply the values file again")
        return values

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold what lets one change happen at a time; :class:`StateError` when another one takes too long."""
        self._make_folder()
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take(descriptor, self.folder)
            yield
        finally:
            os.close(descriptor)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StateError(f"{self.folder} cannot be made: {error.strerror}; see that it is yours") from error

    def _file(self, digest: str) -> Path:
        if not HASH.fullmatch(digest):
            raise StateError(f"{digest[:40]!r} is not the hash of values; send 16 hexadecimal digits")
        return self.folder / f"{digest}.json"

    def _point(self, name: str, agreement: Agreement) -> None:
        self._make_folder()
        _write(self.folder / name, json.dumps(asdict(agreement)))

    def _forget_old(self) -> None:
        """Remove the oldest sets beyond those that are kept, never one that something points to."""
        pointed = {one.hash for one in (self.agreed(), self.next()) if one is not None}
        files = [file for file in self.folder.glob("*.json") if HASH.fullmatch(file.stem) and file.stem not in pointed]
        for file in sorted(files, key=lambda file: file.stat().st_mtime)[:-KEPT]:
            file.unlink(missing_ok=True)


def _write(file: Path, text: str) -> None:
    try:
        write_file(file, text.encode())
    except OSError as error:
        raise StateError(f"{file} cannot be written: {error.strerror}; make room and try again") from error


def _take(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StateError(
                    f"somebody else has been changing the values in {folder} for {LOCK_SECONDS:g} s; try again later"
                ) from None
            time.sleep(0.05)


def current_values(state: StateFolder, values_file: Path) -> CurrentValues:
    """What a part begins with: the agreed values; before there are any, those of the file."""
    agreements = Agreements(state)
    agreement = agreements.agreed()
    if agreement is None:
        return CurrentValues(load_values(values_file), values_file.absolute().parent)
    return CurrentValues(agreements.load(agreement.hash), Path(agreement.file).parent)


class Follower:
    """Keeps the values of one part at what is agreed."""

    def __init__(self, state: StateFolder, current: CurrentValues) -> None:
        self.current = current
        self.prepared = ""
        """Hash of the values that this part could hold at once."""
        self._agreements = Agreements(state)
        self._ready: tuple[str, Values] | None = None
        self._task: asyncio.Task[None] | None = None

    def prepare(self, digest: str) -> None:
        """Read and check values that may be agreed on next. Raises :class:`StateError`; nothing changes."""
        self._ready = (digest, self._agreements.load(digest))
        self.prepared = digest

    def follow(self) -> bool:
        """Hold what is agreed; whether that was something new. Raises :class:`StateError` and holds what it held."""
        agreement = self._agreements.agreed()
        if agreement is None:
            return False
        folder = Path(agreement.file).parent
        if (agreement.hash, folder) == (self.current.hash, self.current.folder):
            return False
        ready = self._ready
        values = ready[1] if ready and ready[0] == agreement.hash else self._agreements.load(agreement.hash)
        self.current.switch(values, folder)
        self._ready, self.prepared = None, ""
        log.info("the values %s count from now on", agreement.hash)
        return True

    def earlier(self, digest: str) -> Values | None:
        """Values that a session may have started with; None when they are not kept any more or cannot be used."""
        try:
            return self._agreements.load(digest, older=True)
        except StateError:
            return None

    def start(self) -> None:
        """Begin to follow, once; within the event loop."""
        if self._task is None:
            self._task = asyncio.ensure_future(self.run())

    async def run(self) -> None:
        """Follow until cancelled: the look is one read of a small file."""
        said = ""
        while True:
            try:
                self.follow()
                said = ""
            except (StateError, OSError) as error:
                if str(error) != said:
                    log.error("the values stay as they are: %s", error)
                said = str(error)
            await asyncio.sleep(LOOK)
