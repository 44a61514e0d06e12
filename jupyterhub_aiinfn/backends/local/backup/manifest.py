"""``manifest.json``: what a backup holds, and what it lacks. Whoever reads one trusts nothing in it."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from jupyterhub_aiinfn.api.base import Message
from jupyterhub_aiinfn.errors import StateError

FORMAT = 1
NAME = "manifest.json"
FILE = re.compile(r"[a-z0-9][a-z0-9-]{0,60}\.(tar|sqlite)")
"""Names of parts."""
DATABASE = re.compile(r"(hub|service)/[a-z0-9][a-z0-9-]{0,60}\.sqlite")
LARGEST = 256 * 1024 * 1024
"""Bytes of a manifest that are read (arbitrary)."""


class PartKind(StrEnum):
    """What a part holds."""

    state = "state"
    database = "database"
    folder = "folder"
    """A home, a project's folder or the public one."""


class Part(Message):
    """One file of the backup."""

    file: str
    kind: PartKind
    name: str
    """Where it belongs below the state folder: ``homes/user-alice``, ``hub/jupyterhub.sqlite``, ``.``."""
    size: int
    sha256: str
    entries: int = 0
    """Files, folders and links in it."""
    snapshot: bool = False
    """Whether it was taken from a snapshot: all of one moment."""
    changed: tuple[str, ...] = ()
    """What changed while it was copied (the first of them)."""
    left_out: tuple[str, ...] = ()
    """What is not in it, with the reason (the first of them)."""


class Manifest(Message):
    """The whole backup."""

    format: int
    version: str
    """Of the program that made it."""
    made_at: datetime
    uid: int
    """The user who made it: only this user can give files their owners back."""
    values_file: str = ""
    """Where the values file was; a copy is ``values.yaml``."""
    parts: tuple[Part, ...]


def read_manifest(source: Path) -> Manifest:
    """The manifest of a backup; :class:`StateError` when there is none, or one that names what it must not."""
    if (source / NAME).is_symlink() or not (source / NAME).is_file():
        raise StateError(f"{source} is not a backup: it has no {NAME}; name the folder that `aiinfn backup` made")
    try:
        with (source / NAME).open("rb") as stream:
            found = Manifest.model_validate_json(stream.read(LARGEST))
    except (OSError, ValidationError, ValueError, RecursionError) as error:
        raise StateError(f"{source / NAME} cannot be read, so this backup is damaged; take another one") from error
    if found.format != FORMAT:
        raise StateError(f"{source} has format {found.format}, this program knows {FORMAT}; install the newer program")
    files, names = [part.file for part in found.parts], [part.name for part in found.parts]
    wrong = next((part for part in found.parts if not is_in_order(part)), None)
    if wrong is not None or len(set(files)) < len(files) or len(set(names)) < len(names) or "." not in names:
        which = f"{wrong.file!r} for {wrong.name!r}" if wrong else "parts that are there twice or not at all"
        raise StateError(f"{source / NAME} names {which[:200]}: nothing is taken from a backup that was tampered with")
    return found


def is_in_order(part: Part) -> bool:
    """Whether a part lies in the backup and belongs where parts of its kind may be."""
    if not FILE.fullmatch(part.file):
        return False
    if part.kind is PartKind.state:
        return part.name == "."
    if part.kind is PartKind.database:
        return DATABASE.fullmatch(part.name) is not None
    above, _, name = part.name.partition("/")
    if above == "public":
        return part.name == "public"
    return above in ("homes", "projects") and name not in ("", ".", "..") and not set("/\0") & set(name)
