"""Who may enter an environment in a project folder: its maker alone, every member, or every member to change it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from jupyterhub_aiinfn.errors import OwnEnvironmentError

Sharing = Literal["private", "read", "write"]
DEFAULT_ACL = "system.posix_acl_default"
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


def keep_to_oneself(folder: Path) -> None:
    """Take a new folder out of what a project folder does by itself: its members would have the rights of the maker.

    From now on what is made in it follows the maker's umask, and members may read it, no more.
    """
    with contextlib.suppress(OSError):  # a file system without access lists, or a folder without
        os.removexattr(folder, DEFAULT_ACL)
    folder.chmod((folder.lstat().st_mode & 0o7000) | 0o755)


def share_again(folder: Path) -> None:
    """Give what this person made in an environment the sharing that it has; what others made they share themselves."""
    how = sharing(folder)
    if how == "private":
        return
    for path in _below(folder):
        with contextlib.suppress(PermissionError, FileNotFoundError):
            _set_group(path, how)


def _set_group(path: Path, how: Sharing) -> None:
    mode = path.lstat().st_mode
    entered = mode & 0o170000 == 0o040000 or mode & 0o100
    bits = BITS[how] if entered else BITS[how] & 0o060
    path.chmod((mode & 0o7707) | bits)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        paths = (Path(root, name) for name in [*folders, *files])
        yield from (path for path in paths if not path.is_symlink())
