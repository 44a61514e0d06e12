"""The lock beside an environment: who builds or removes it holds it, so that it is built once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SECONDS_BETWEEN_TRIES = 0.3


def lock_file(path: Path) -> Path:
    """The lock of the environment ``path``; it lies beside, because the environment is cleared under it."""
    return path.with_name(f"{path.name}.lock")


@contextlib.contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold the lock of an environment, calling ``waiting`` while another holds it; yields its descriptor.

    A child that inherits the descriptor keeps the lock: nobody clears what a forgotten pip still writes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while (descriptor := take(path)) is None:
        waiting()
        time.sleep(SECONDS_BETWEEN_TRIES)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def take(path: Path) -> int | None:
    """The descriptor of the lock, now held; None when another holds it. Whoever closes it gives it back."""
    file = lock_file(path)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if file.stat().st_ino == os.fstat(descriptor).st_ino:  # else it was removed between open and lock
            return descriptor
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Whether somebody builds or removes the environment now; leaves no trace."""
    try:
        descriptor = os.open(lock_file(path), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
