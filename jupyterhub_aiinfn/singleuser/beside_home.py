"""Files that the person sees in the home and that are not there: those of projects, and public ones, behind links.

The home's trash is no place for them, and when they cannot be written it is not the home's fault.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_core.paths import is_hidden
from jupyter_core.utils import ensure_async
from tornado import web


def folder_beside(contents: Any, path: str, home: Path, *, inside: bool = False) -> Path | None:
    """The folder of what Jupyter calls ``path``, when that folder is not in the home; where links lead counts.

    ``inside``: a path that is a folder stands for itself.
    """
    find = getattr(contents, "_get_os_path", None)
    try:
        place = Path(find(path.strip("/"))) if find is not None else home
        folder = Path(os.path.realpath(place if inside and place.is_dir() else place.parent))
    except (web.HTTPError, ValueError, OSError):
        return None  # whoever is called with that path says what is wrong with it
    return None if folder.is_relative_to(os.path.realpath(home)) else folder


def words_for(folder: Path, variables: Mapping[str, str]) -> str:
    """How a sentence names a folder that is not in the home."""
    projects, public = variables.get("AIINFN_PROJECTS_FOLDER"), variables.get("AIINFN_PUBLIC_FOLDER")
    if projects and folder != Path(projects) and folder.is_relative_to(projects):
        return f"the folder of the project {folder.relative_to(projects).parts[0]}"
    if public and folder.is_relative_to(public):
        return "the public folder"
    return f"the folder {folder}"


def delete_for_good_beside(contents: Any, home: Path, variables: Mapping[str, str]) -> None:
    """From now on only what is in the home goes to its trash: the rest would be copied there, and fill the home."""
    usual = contents.delete_file

    async def delete_file(path: str) -> None:
        folder = folder_beside(contents, path, home)
        if folder is None:
            await ensure_async(usual(path))
        else:
            await _delete(contents, path.strip("/"), folder, variables)

    contents.delete_file = delete_file


async def _delete(contents: Any, path: str, folder: Path, variables: Mapping[str, str]) -> None:
    place = Path(contents._get_os_path(path))
    check_deletion(contents, path, place, is_a_project=str(folder) == variables.get("AIINFN_PROJECTS_FOLDER"))
    try:
        await asyncio.to_thread(delete_tree, place)
    except OSError as error:
        where = words_for(folder, variables)
        raise web.HTTPError(403, f'"{path}" in {where} cannot be deleted: {error.strerror or error}') from error


def check_deletion(contents: Any, path: str, place: Path, *, is_a_project: bool) -> None:
    """A refusal in words of what is not there, or not this person's to delete."""
    if not contents.allow_hidden and is_hidden(str(place), contents.root_dir):
        raise web.HTTPError(400, f'"{path}" is hidden and cannot be deleted here; a terminal can')
    if not os.path.lexists(place):
        raise web.HTTPError(404, f'there is no "{path}"')
    if is_a_project or os.path.ismount(place):
        raise web.HTTPError(403, f'"{path}" is a folder of the platform and stays; delete what is in it')
    if not place.is_symlink() and not contents.is_writable(path):
        raise web.HTTPError(403, f'"{path}" cannot be deleted: you may only read it')


def delete_tree(place: Path) -> None:
    """Remove a file, a link itself, or a folder with everything in it."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()
