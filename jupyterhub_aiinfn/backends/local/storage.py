"""Homes, project folders and the public folder of one installation: made, limited, measured, kept in order."""

from __future__ import annotations

import contextlib
import logging
import os
from functools import cached_property
from pathlib import Path

from jupyterhub_aiinfn.api.storage import FolderKind, StorageUse
from jupyterhub_aiinfn.backends.base import Storage
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from .homes import prepare_home
from .quota.base import GIB, Quota, said
from .quota.choose import choose_quota
from .quota.measured import PATIENCE_SECONDS
from .shared_rights import Rights, repair, share
from .state import StateFolder
from .uids import QUOTA_IDS, allotted, gid_of

PUBLIC = "/public"
"""The public folder's name among those of projects, where it can be no project's."""

log = logging.getLogger(__name__)


class LocalStorage(Storage):
    """The folders of one state folder. All methods block."""

    def __init__(self, values: Values | CurrentValues, state: StateFolder, patience: float = PATIENCE_SECONDS) -> None:
        """``patience``: seconds that whoever asks for a use waits for a count."""
        self._current = CurrentValues.of(values)
        self.state = state
        self._patience = patience

    @property
    def values(self) -> Values:
        """The values that count at this moment."""
        return self._current.values

    @cached_property
    def quota(self) -> Quota:
        """What the file system of the state folder can do."""
        return choose_quota(self.state.homes, self._quota_number, self._patience)

    def _quota_number(self, folder: Path) -> int:
        return allotted(self.state, QUOTA_IDS, str(folder.relative_to(self.state.root)))

    # ------------------------------------------------------------------------------------------------------ verbs

    def use(self, kind: FolderKind, key: str) -> StorageUse | None:
        """Use and limit now."""
        folder = self.folder(kind, key)
        return self.quota.use(folder, self.limit(kind, key)) if os.path.lexists(folder) else None

    def forget(self, kind: FolderKind, key: str) -> None:
        """Do not rely on an earlier count."""
        self.quota.forget(self.folder(kind, key))

    def keys(self, kind: FolderKind) -> list[str]:
        """What is made; folders with other names (made by hand, by an earlier pattern) are not listed."""
        if kind is FolderKind.public:
            return ["public"] if self.state.public.is_dir() else []
        above = self.state.homes if kind is FolderKind.home else self.state.projects
        before, after = self._pattern(kind)
        names = [entry.name for entry in above.iterdir() if not entry.name.startswith(".")] if above.is_dir() else []
        fitting = [name for name in names if name.startswith(before) and name.endswith(after)]
        return sorted(key for name in fitting if (key := name[len(before) : len(name) - len(after)]))

    def repair(self) -> None:
        """Bring the rights in all shared folders in line; as an ordinary user everybody is the same user anyway."""
        if os.geteuid() != 0:
            return
        for folder, rights in self.shared():
            try:
                repair(folder, rights)
            except OSError as error:
                log.warning("the rights in %s could not be looked at: %s", folder, said(error))

    # --------------------------------------------------------------------------------------------- what is prepared

    def prepare_home(self, person: str, uid: int) -> Path:
        """The home of a person, made now when this is the first time, with the limit of the values."""
        home = self.folder(FolderKind.home, person)
        prepare_home(home, uid, self.quota)
        self._limit(home, FolderKind.home, person)
        return home

    def prepare_project(self, key: str) -> tuple[Path, int]:
        """A project's folder and its group."""
        gid = gid_of(self.state, key) if os.geteuid() == 0 else os.getgid()
        folder = self.folder(FolderKind.project, key)
        self._prepare_shared(folder, Rights(gid))
        self._limit(folder, FolderKind.project, key)
        return folder, gid

    def prepare_public(self) -> tuple[Path, int]:
        """The public folder and the group of its writers."""
        gid = gid_of(self.state, PUBLIC) if os.geteuid() == 0 else os.getgid()
        self._prepare_shared(self.state.public, Rights(gid, readable=True))
        self._limit(self.state.public, FolderKind.public, "public")
        return self.state.public, gid

    def _prepare_shared(self, folder: Path, rights: Rights) -> None:
        try:
            folder.parent.mkdir(mode=0o711, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.quota.make(folder)
            if os.geteuid() == 0:
                share(folder, rights)
        except OSError as error:
            raise BackendError(
                f"the shared folder {folder} cannot be used: {said(error)}; make room, or move away what has its name"
            ) from error

    def _limit(self, folder: Path, kind: FolderKind, key: str) -> None:
        """Set the limit; one that cannot be set locks nobody out."""
        try:
            self.quota.set_limit(folder, self.limit(kind, key))
        except BackendError as error:
            log.warning("no limit could be set: %s", error)

    # ------------------------------------------------------------------------------------------------- what is where

    def folder(self, kind: FolderKind, key: str) -> Path:
        """Where a folder is; :class:`BackendError` for a name that would lead elsewhere."""
        if "/" in key or "\0" in key or key in ("", ".", ".."):
            raise BackendError(f"{key!r} cannot be the name of a {'person' if kind is FolderKind.home else 'project'}")
        if kind is FolderKind.public:
            return self.state.public
        before, after = self._pattern(kind)
        return (self.state.homes if kind is FolderKind.home else self.state.projects) / f"{before}{key}{after}"

    def limit(self, kind: FolderKind, key: str) -> int | None:
        """The limit that the values give, in bytes."""
        if kind is FolderKind.home:
            gib = self.values.storage.home.quota_gib
        elif kind is FolderKind.project:
            gib = self.values.projects[key].storage_gib if key in self.values.projects else None
        else:
            gib = self.values.storage.public.quota_gib if self.values.storage.public else None
        return None if gib is None else int(gib * GIB)

    def shared(self) -> list[tuple[Path, Rights]]:
        """The shared folders that are made, with the rights in them."""
        projects = [key for key in self.keys(FolderKind.project) if key in self.values.projects]
        found = [(self.folder(FolderKind.project, key), Rights(gid_of(self.state, key))) for key in projects]
        if self.values.storage.public is not None and self.state.public.is_dir():
            found.append((self.state.public, Rights(gid_of(self.state, PUBLIC), readable=True)))
        return found

    def _pattern(self, kind: FolderKind) -> tuple[str, str]:
        storage = self.values.storage
        if kind is FolderKind.home:
            before, _, after = storage.home.path.partition("{name}")
        else:
            before, _, after = storage.project.path.partition("{group}")
        return before, after
