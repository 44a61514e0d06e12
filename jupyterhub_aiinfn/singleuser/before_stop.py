"""The person's own program before the end: ``~/.config/aiinfn/before-stop``, for some seconds and no longer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

SECONDS = 2.5
"""As long as tabs have for saving, at the same time: a platform that stops gives its sessions 4 s in all."""
LARGEST_FILE = 100 * 1024 * 1024
"""Bytes that the program may write into one file; its log is among them (arbitrary)."""
PAUSE = 0.02


class BeforeStop:
    """A running program of the person; it and its children end when its time is over."""

    def __init__(self, process: subprocess.Popen[bytes], log: logging.Logger) -> None:
        self._process, self._log = process, log
        self._until = asyncio.get_running_loop().time() + SECONDS

    @classmethod
    def start(cls, variables: Mapping[str, str], log: logging.Logger) -> Self | None:
        """Start it, if there is one that can be started."""
        home = Path(variables.get("HOME", "/nonexistent"))
        program = Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "aiinfn" / "before-stop"
        if not os.access(program, os.X_OK) or not program.is_file():
            return None
        said = {"AIINFN_STOP_SECONDS": f"{SECONDS:g}", "AIINFN_STOP_REASON": reason(variables)}
        try:
            with _log_file(variables, home) as output:
                process = subprocess.Popen(
                    [program],
                    cwd=home,
                    env={**variables, **said},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=_limit,
                )
        except OSError as problem:
            log.warning("stopping: %s could not be run: %s", program, problem)
            return None
        return cls(process, log)

    async def ended(self) -> None:
        """Return when it has ended, by itself or by force at the end of its seconds."""
        while self._process.poll() is None and asyncio.get_running_loop().time() < self._until:
            await asyncio.sleep(PAUSE)
        # Also what it left behind in its process group; what left that too ends with the session.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.poll()
        said = "was ended when its time was over" if code is None else f"ended with code {code}"
        self._log.info("stopping: before-stop %s", said)


def reason(variables: Mapping[str, str]) -> str:
    """``max-age`` when the session's longest life is over, else ``stopped``."""
    try:
        end = datetime.fromisoformat(variables.get("AIINFN_ENDS_AT", ""))
        return "max-age" if end <= datetime.now(UTC) else "stopped"
    except (ValueError, TypeError):
        return "stopped"


def _log_file(variables: Mapping[str, str], home: Path) -> contextlib.AbstractContextManager[int]:
    """Where its output goes, made anew; nowhere when the home cannot be written."""
    folder = Path(variables.get("XDG_STATE_HOME") or home / ".local" / "state") / "aiinfn"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "before-stop.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError:
        descriptor = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    return _closing(descriptor)


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _limit() -> None:
    """In the child: no file may become larger than this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
