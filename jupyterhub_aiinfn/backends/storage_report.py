"""The one function behind every page, panel and command that says how full folders are."""

from __future__ import annotations

from collections.abc import Iterator

from jupyterhub_aiinfn.api.storage import FolderKind, StorageFolder, StorageReport
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.model.folders import Folders
from jupyterhub_aiinfn.values import Values

from .base import Storage

PUBLIC = "public"


def report_of(values: Values, storage: Storage, person: str, folders: Folders) -> StorageReport:
    """The home of a person and the shared folders that they have. Blocking."""
    found = [_folder(values, storage, FolderKind.home, person)]
    found += [_folder(values, storage, FolderKind.project, key) for key in folders.projects]
    if folders.public:
        public = _folder(values, storage, FolderKind.public, PUBLIC)
        found.append(public.model_copy(update={"read_only": not folders.writes_public}))
    return StorageReport(folders=tuple(found))


def report_of_all(values: Values, storage: Storage) -> StorageReport:
    """Every folder that is made: homes, projects, the public one. Blocking."""
    return StorageReport(folders=tuple(_everything(values, storage)))


def _everything(values: Values, storage: Storage) -> Iterator[StorageFolder]:
    for kind in FolderKind:
        for key in storage.keys(kind):
            yield _folder(values, storage, kind, key)


def _folder(values: Values, storage: Storage, kind: FolderKind, key: str) -> StorageFolder:
    """One folder. Its path is the usual one; a platform that is itself installed there moves it."""
    names = {FolderKind.home: key, FolderKind.public: "Public"}
    project = values.projects.get(key)
    name = names.get(kind) or (project.name if project and project.name else key)
    path = {FolderKind.home: f"/home/{key}", FolderKind.project: f"/projects/{key}", FolderKind.public: "/public"}[kind]
    try:
        return StorageFolder(kind=kind, key=key, name=name, path=path, use=storage.use(kind, key))
    except BackendError as error:  # one folder that is not in order must not hide the others
        return StorageFolder(kind=kind, key=key, name=name, path=path, problem=str(error))
