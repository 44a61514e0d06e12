"""Log files of the supervised processes: bounded in size, and their last lines at hand."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from pathlib import Path

LIMIT = 8 * 1024 * 1024
"""Bytes after which a log becomes ``<name>.log.1`` (an older one is dropped): at most 16 MiB a process. Arbitrary."""


class BoundedLog:
    """Appends what a process writes; a disk that is full loses lines of the log and stops nothing."""

    def __init__(self, file: Path, limit: int = LIMIT) -> None:
        self.file = file
        self.limit = limit
        self._last: deque[bytes] = deque(maxlen=40)
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._last.extend(line[:1000] for line in lines)
        self._rest = self._rest[-1000:]
        with contextlib.suppress(OSError):
            self._append(data)

    def last_lines(self, count: int) -> list[str]:
        """The last lines written since this object was made, without line ends."""
        lines = [*self._last, *([self._rest] if self._rest else [])]
        return [line.decode(errors="replace") for line in lines[-count:]]

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(data) > self.limit:
                self.file.replace(self.file.with_name(self.file.name + ".1"))
                os.close(descriptor)
                descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
