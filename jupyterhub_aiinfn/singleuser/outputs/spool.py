"""Runs as files of the home, one each: what a killed server leaves, the next one finds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MOST_FILES = 500
"""Read at the start; the rest is left where it is (arbitrary)."""
LARGEST_FILE = 64 * 1024 * 1024


class Spool:
    """A folder of runs. A full disk loses the spool, never a cell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Spool:
        """The folder in the state folder of the person who runs this server."""
        state = variables.get("XDG_STATE_HOME") or str(Path(variables.get("HOME", "/nonexistent")) / ".local" / "state")
        return cls(Path(state) / "aiinfn" / "outputs")

    def write(self, name: str, data: Mapping[str, Any]) -> bool:
        """Write or replace one run; whether that went well."""
        file = self._file(name)
        temporary = file.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_text(json.dumps(data, default=str), "utf-8")
            os.replace(temporary, file)  # noqa: PTH105
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        return True

    def remove(self, name: str) -> None:
        """Forget one run."""
        with contextlib.suppress(OSError):
            self._file(name).unlink(missing_ok=True)

    def read(self) -> Iterator[dict[str, Any]]:
        """Every run that can be read, oldest first."""
        for file in self._files():
            with contextlib.suppress(OSError, ValueError):
                if file.stat().st_size <= LARGEST_FILE:
                    found = json.loads(file.read_text("utf-8"))
                    if isinstance(found, dict):
                        yield found

    def _files(self) -> list[Path]:
        with contextlib.suppress(OSError):
            plain = [entry for entry in os.scandir(self.folder) if entry.is_file(follow_symlinks=False)]
            found = [(entry.stat().st_mtime_ns, entry.path) for entry in plain if entry.name.endswith(".json")]
            return [Path(path) for _, path in sorted(found)][-MOST_FILES:]
        return []

    def _file(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"
