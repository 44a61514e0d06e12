"""Reading the state folder for a bundle: regular files only, never through a link, never more than wished."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_SECRET = 64 * 1024
BLIND = 4096
"""Bytes that are dropped where a line is cut that has no end in sight: longer than any secret."""


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A folder, as a descriptor; :class:`OSError` when it is a link or none."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(folder: Path) -> list[str]:
    """Names in a folder, sorted; none when it is not there."""
    try:
        with opened(folder) as descriptor:
            return sorted(os.listdir(descriptor))  # noqa: PTH208  # a descriptor, which no link can replace
    except FileNotFoundError:
        return []


def end_of_file(folder: Path, name: str, most: int) -> bytes:
    """The last ``most`` bytes of a regular file, from the start of a line on; :class:`OSError` for anything else."""
    with opened(folder) as place:
        # not blocking: a pipe with nobody at its other end would keep us for ever
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=place), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise OSError(0, "it is not a regular file")
            file.seek(max(0, found.st_size - most))
            data = file.read(most)
    return data if found.st_size <= most else _from_line_start(data)


def _from_line_start(data: bytes) -> bytes:
    """A line whose beginning is cut off could hold half a secret, which nobody would recognise."""
    first = data.find(b"\n", 0, MAX_SECRET)
    return data[first + 1 :] if first >= 0 else data[BLIND:]


def read_or_note(folder: Path, name: str, most: int, notes: list[str]) -> bytes:
    """:func:`end_of_file`; nothing when the file is not there, or cannot be read, which is noted."""
    try:
        return end_of_file(folder, name, most)
    except FileNotFoundError:
        return b""
    except OSError as error:
        notes.append(f"{folder / name} was not read: {(error.strerror or str(error)).lower()}")
        return b""


def names_or_note(folder: Path, notes: list[str]) -> list[str]:
    """:func:`names_in`; none for a folder that cannot be read, which is noted."""
    try:
        return names_in(folder)
    except OSError as error:
        notes.append(f"{folder} was not read: {(error.strerror or str(error)).lower()}")
        return []
