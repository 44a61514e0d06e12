"""`aiinfn down`: end the platform of one state folder, and what a dead supervisor left."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import StateError

from .known_values import known_values
from .leftovers import end_workloads, has_leftovers
from .places import find_state
from .record import Record, of_another_user, read_record
from .unused import unused_installation

PATIENCE = ((signal.SIGTERM, 12.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
"""Signals in turn, and the seconds given to each; the supervisor ends within ten after the first."""


def down(state: Path | None, values: Path | None, say: Callable[[str], None]) -> None:
    """End it, and say what was done. Raises :class:`AiinfnError` when something stays."""
    folder = StateFolder(find_state(state))
    found = read_record(folder)
    if found is not None and found[0].alive():
        _end_supervisor(found[0], say)
        say(f"The platform of {folder.root} is stopped.")
    else:
        say(f"No platform runs on {folder.root}.")
    try:
        _sweep(folder, values, found, say)
    except PermissionError as error:
        raise of_another_user(error, folder.root) from error


def _end_supervisor(identity: ProcessIdentity, say: Callable[[str], None]) -> None:
    descriptor = identity.open()
    if descriptor is None:
        return
    try:
        say(f"Stopping the platform (process {identity.pid}).")
        for number, seconds in PATIENCE:
            signal.pidfd_send_signal(descriptor, number)
            if _wait(descriptor, seconds):
                return
            say("It takes longer than it should; asking more firmly.")
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise StateError(f"process {identity.pid} belongs to another user; run this command as that user") from error
    finally:
        os.close(descriptor)
    raise StateError(f"process {identity.pid} does not end, although it was killed; is its disk still there?")


def _wait(descriptor: int, seconds: float) -> bool:
    """Wait until a process has ended; whether it has."""
    ended, _, _ = select.select([descriptor], [], [], seconds)
    return bool(ended)


def _sweep(
    folder: StateFolder, values: Path | None, found: tuple[ProcessIdentity, Record] | None, say: Callable[[str], None]
) -> None:
    """End workloads of a supervisor that is gone, and remove the files that name it."""
    if has_leftovers(folder):
        known = known_values(values, folder)
        installation = unused_installation(folder, known.file)
        say("Something was left; ending it takes a few seconds.")
        count = asyncio.run(end_workloads(installation, known.values, 2.0))
        say(f"{count} workloads that were left are ended." if count else "No workload was left running.")
    if found is not None and not found[0].alive():
        ready_file = found[1].ready_file
        for file in (folder.supervisor, Path(ready_file) if ready_file else None):
            if file is not None:
                file.unlink(missing_ok=True)
