"""What a page says was chosen: read with suspicion."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tornado import web

from .known import BY_KEY
from .names import names_of

MOST = 500
"""Files and folders that may be chosen at a time; arbitrary, above what one page lists."""
WANTED = 'expected {"paths": […], "known": […]} with what the list offers'


@dataclass(frozen=True)
class Chosen:
    """Identifiers of paths in the home, and keys of known folders; all of them well formed."""

    paths: tuple[str, ...]
    known: tuple[str, ...]

    def as_json(self) -> bytes:
        """What the program that counts or deletes reads."""
        return json.dumps({"paths": self.paths, "known": self.known}).encode()


def read_chosen(body: bytes) -> Chosen:
    """The choice in a body; raises 400 in words."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise web.HTTPError(400, WANTED) from error
    if not isinstance(said, dict):
        raise web.HTTPError(400, WANTED)
    paths, known = texts(said.get("paths", [])), texts(said.get("known", []))
    try:
        for path in paths:
            names_of(path)
    except ValueError as error:
        raise web.HTTPError(400, f"{error}; load the page again") from error
    if unknown := [key for key in known if key not in BY_KEY]:
        raise web.HTTPError(400, f"there is no kind of folder {unknown[0][:40]!r}; load the page again")
    if not paths and not known:
        raise web.HTTPError(400, "nothing is chosen; choose at least one file or folder")
    return Chosen(paths, known)


def texts(value: object) -> tuple[str, ...]:
    """A list of texts that is not too long; raises 400."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise web.HTTPError(400, WANTED)
    if len(value) > MOST:
        raise web.HTTPError(400, f"{len(value)} are chosen, and {MOST} can be deleted at a time; choose fewer")
    return tuple(value)
