"""Where own environments can be: the home, and the folders of the person's projects."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jupyterhub_aiinfn.errors import OwnEnvironmentError
from jupyterhub_aiinfn.model.own_environments import HOME, NAME, checked_name

KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MOST = 500
"""Environments of one folder that are looked at; arbitrary."""


@dataclass(frozen=True)
class Place:
    """A folder of environments; it need not be there yet."""

    id: str
    """``~`` or the key of a project."""
    root: Path
    """The home or the project folder."""

    @property
    def folder(self) -> Path:
        """Where its environments are, one folder each."""
        return self.root.joinpath(*self.below)

    @property
    def below(self) -> tuple[str, ...]:
        """The folders from the root to the environments."""
        return (".local", "share", "aiinfn", "environments") if self.id == HOME else (".aiinfn", "environments")

    @property
    def words(self) -> str:
        """How a sentence names it."""
        return "your home" if self.id == HOME else f"the folder of the project {self.id}"

    @property
    def writable(self) -> bool:
        """Whether something can be made there."""
        return os.access(self.root, os.W_OK | os.X_OK)

    def path(self, name: str) -> Path:
        """The folder of one environment. Raises :class:`OwnEnvironmentError` for a bad name or a link on the way."""
        self.check()
        return self.folder / checked_name(name)

    def check(self) -> None:
        """Raise :class:`OwnEnvironmentError` when a link leads somewhere else: another member may have made it."""
        path = self.root
        for part in self.below:
            path = path / part
            if path.is_symlink():
                raise OwnEnvironmentError(f"{path} is a link and not a folder; remove it, then try again")

    def make(self) -> None:
        """Make the folder; in a project all members can make environments in it, and move or remove their own only."""
        self.check()
        before = os.umask(0o022 if self.id == HOME else 0o002)
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir()
        except FileExistsError:
            return
        finally:
            os.umask(before)
        if self.id != HOME:
            self.folder.chmod(stat.S_IMODE(self.folder.stat().st_mode) | stat.S_ISVTX)

    def names(self) -> list[str]:
        """The names that are taken; empty when the folder is absent, a link or unreadable."""
        try:
            self.check()
            with os.scandir(self.folder) as entries:
                found = [e.name for e in entries if NAME.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
        except (OSError, OwnEnvironmentError):
            return []
        return sorted(found)[:MOST]


def find_places(variables: Mapping[str, str]) -> dict[str, Place]:
    """The home and every project folder of this session, by the place's id."""
    found = {HOME: Place(HOME, Path(variables.get("HOME") or Path.home()))}
    folders = project_folders(Path(variables.get("AIINFN_PROJECTS_FOLDER", "").strip() or "/nonexistent"))
    key, own = variables.get("AIINFN_PROJECT", "").strip(), variables.get("AIINFN_PROJECT_FOLDER", "").strip()
    if own and KEY.fullmatch(key) and is_folder(Path(own)):
        folders[key] = Path(own)
    return found | {key: Place(key, path) for key, path in sorted(folders.items())}


def project_folders(folder: Path) -> dict[str, Path]:
    """The folders of projects below ``folder``, by key."""
    try:
        return {path.name: path for path in folder.iterdir() if KEY.fullmatch(path.name) and is_folder(path)}
    except OSError:
        return {}


def is_folder(path: Path) -> bool:
    """Whether it is a folder itself, not a link to one, that can be entered."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode) and os.access(path, os.X_OK)
    except OSError:
        return False


def find_place(places: Mapping[str, Place], key: str) -> Place:
    """The place of that id. Raises :class:`OwnEnvironmentError` that says which there are."""
    if key in places:
        return places[key]
    known = ", ".join(name for name in places if name != HOME)
    if not known:
        raise OwnEnvironmentError(
            "this session has no project folder; leave the project out: your home is always there"
        )
    raise OwnEnvironmentError(f'this session has no folder of a project "{key[:63]}"; there are {known}')
