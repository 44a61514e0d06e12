"""Who may enter an environment in a project folder: its maker alone, every member, or every member to change it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from jupyterhub_aiinfn.errors import OwnEnvironmentError

Sharing = Literal["private", "read", "write"]
BITS: dict[Sharing, int] = {"private": 0o000, "read": 0o050, "write": 0o070}
"""The group's bits; with access lists (a project folder has them) they are the mask of all members."""


def sharing(folder: Path) -> Sharing:
    """What the members of the project may do with an environment now."""
    bits = folder.lstat().st_mode & 0o070
    return "write" if bits & 0o020 else "read" if bits & 0o010 else "private"


def share(folder: Path, how: Sharing) -> None:
    """Let the members of the project in, or keep them out. Raises :class:`OwnEnvironmentError`."""
    try:
        if how != "private":  # a locked door is enough for what is behind it
            for path in _below(folder):
                _set_group(path, how)
        _set_group(folder, how)
    except PermissionError:
        raise OwnEnvironmentError(
            f"only who made {folder.name} can change who may use it; ask them, or make your own from its lock file"
        ) from None


def _set_group(path: Path, how: Sharing) -> None:
    mode = path.lstat().st_mode
    entered = mode & 0o170000 == 0o040000 or mode & 0o100
    bits = BITS[how] if entered else BITS[how] & 0o060
    path.chmod((mode & 0o7707) | bits)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        paths = (Path(root, name) for name in [*folders, *files])
        yield from (path for path in paths if not path.is_symlink())
