"""Files that a link brings: nbgitpuller, behind the check of the platform and after the person has agreed.

Nbgitpuller by itself fetches whatever an address names into whichever folder it names, as soon as a browser opens it:
a link could write a person's ``.local``. Here each address passes :func:`read_pull`, and nothing is fetched that the
person has not agreed to, with Start on the spawn page or with the button of our own page.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

from jupyterhub_aiinfn.errors import Malformed
from jupyterhub_aiinfn.model.launch_links import Launch, read_launch, read_pull
from jupyterhub_aiinfn.model.options import LAUNCH_KEYS

from .session import text

IGNORED = ("_xsrf",)
GIT_SECONDS = 10
"""How long git may think about what is in a folder; it asks nobody."""


class Launches:
    """What links may bring into this session and what the person has agreed to; kept as long as the server runs."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.hosts = tuple(filter(None, (text(variables, "LAUNCH_HOSTS") or "").split(",")))
        asked = {name: text(variables, f"LAUNCH_{name.upper()}") or "" for name in LAUNCH_KEYS}
        self.first = read_launch(asked, self.hosts)
        self._agreed = {self.first.digest} if self.first else set()

    def take_first(self) -> Launch | None:
        """What this session was started with, once: who comes back later goes on where they were."""
        first, self.first = self.first, None
        return first

    def agree(self, launch: Launch) -> None:
        """The person wants these files."""
        self._agreed.add(launch.digest)

    def is_agreed(self, launch: Launch) -> bool:
        """Whether the person wants these files."""
        return launch.digest in self._agreed

    def of_link(self, arguments: Mapping[str, list[bytes]]) -> Launch | None:
        """The files that a link of the hub names; 400 in words when they cannot be brought."""
        named = {name.removeprefix("opt-"): values for name, values in arguments.items()}
        try:
            return read_launch(single({name: named[name] for name in LAUNCH_KEYS if name in named}), self.hosts)
        except Malformed as refusal:
            raise web.HTTPError(400, str(refusal)) from refusal

    def read(self, arguments: Mapping[str, list[bytes]]) -> Launch:
        """The files that an address names; 400 in words for anything else."""
        try:
            return read_pull(single(arguments), self.hosts)
        except Malformed as refusal:
            raise web.HTTPError(400, str(refusal)) from refusal


def single(arguments: Mapping[str, list[bytes]]) -> dict[str, str]:
    """Each argument once and as text; :class:`Malformed` otherwise."""
    found = {}
    for name, values in arguments.items():
        if name not in IGNORED:
            if len(values) != 1:
                raise Malformed("this link says something twice; correct it")
            try:
                found[name] = values[0].decode()
            except UnicodeDecodeError as error:
                raise Malformed("this link holds characters that are not UTF-8; correct it") from error
    return found


class LaunchHandler(JupyterHandler):
    """``GET aiinfn/launch``: where a session that brings files begins."""

    def initialize(self, launches: Launches) -> None:
        """``launches`` knows what it was started with."""
        self._launches = launches

    @web.authenticated
    def get(self) -> None:
        """On to nbgitpuller's page for a link, and for what the session was started with; else to JupyterLab.

        The hub sends who follows a link while their session runs here, with the link's own words.
        """
        launch = self._launches.of_link(self.request.query_arguments) or self._launches.take_first()
        self.redirect(url_path_join(self.base_url, launch.address if launch else "lab"))


async def in_the_way(home: Path, launch: Launch) -> str:
    """Why the files cannot go into their folder: it is there and of something else. Empty when they can."""
    folder = home / launch.folder
    if not os.path.lexists(folder):  # noqa: ASYNC240 - one look at the person's own disk
        return ""
    origin = await origin_of(folder)
    if origin.rstrip("/") == launch.git.rstrip("/"):
        return ""
    whose = f"a copy of {origin}" if origin else "not from a link"
    sentence = f"The folder {launch.folder} of your home is there already and is {whose}"
    return f"{sentence}; rename it to bring the files of {launch.git}, then open the link again."


async def origin_of(folder: Path) -> str:
    """Address from which the git repository of exactly this folder was fetched; empty for anything else."""
    command = ["git", f"--git-dir={folder / '.git'}", "config", "--local", "--get", "remote.origin.url"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), GIT_SECONDS)
    except TimeoutError:
        process.kill()
        return ""
    return said.decode(errors="replace").strip()
