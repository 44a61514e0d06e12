"""Files that a link brings: a git repository, a branch and the file to open. Untrusted, checked in one place.

A link prefills the spawn page, which says what would be fetched; the person presses Start, and their session fetches.
The same check stands before each fetch in the session itself, so that an address of a session is no way around it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from jupyterhub_aiinfn.errors import Malformed

from .options import LAUNCH_KEYS, quoted

LONGEST_GIT, LONGEST_BRANCH, LONGEST_FILE = 300, 100, 300
"""Characters; longer than those of real repositories, short enough for an address within an address."""
HOST = re.compile(r"(?!-)[a-z0-9.-]{1,253}(?<![.-])(:[1-9][0-9]{0,4})?")
PATH = re.compile(r"(/[A-Za-z0-9_~][A-Za-z0-9_.~+-]*)+/?")
"""No percent signs, quotes or blanks, and no part that begins with a dot or a hyphen."""
BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
FILE_PART = re.compile(r"[^\x00-\x1f\x7f/\\:?#%]{1,200}")
PLAIN = "http://"
TREE = "lab/tree/"


@dataclass(frozen=True)
class Launch:
    """Files to bring into a home, checked; :func:`read_launch` makes it."""

    git: str
    branch: str = ""
    file: str = ""

    @property
    def folder(self) -> str:
        """The folder of the home into which the repository goes."""
        return urlsplit(self.git).path.rstrip("/").rpartition("/")[2].removesuffix(".git")

    @property
    def page(self) -> str:
        """What is opened in the end, below the session's own address."""
        return f"{TREE}{self.folder}/{self.file}" if self.file else f"{TREE}{self.folder}"

    @property
    def arguments(self) -> dict[str, str]:
        """What nbgitpuller is told."""
        given = {"repo": self.git, "branch": self.branch, "urlpath": self.page, "targetpath": self.folder}
        return {name: value for name, value in given.items() if value}

    @property
    def address(self) -> str:
        """The page of nbgitpuller for it, below the session's own address."""
        return f"git-pull?{urlencode(self.arguments)}"

    @property
    def digest(self) -> str:
        """The same for the same repository, branch and folder, whatever is opened: what a confirmation is about."""
        return hashlib.sha256("\0".join((self.git, self.branch, self.folder)).encode()).hexdigest()

    def options(self) -> dict[str, str]:
        """The options that lead to it again."""
        given = {"git": self.git, "branch": self.branch, "file": self.file}
        return {name: value for name, value in given.items() if value}

    @property
    def sentence(self) -> str:
        """What it does, for people."""
        which = f", branch {self.branch}," if self.branch else ""
        opens = f" and opens {self.file}" if self.file else ""
        return f"the files of {self.git}{which} into the folder {self.folder} of your home{opens}"


def read_launch(options: Mapping[str, str], hosts: Iterable[str] = ()) -> Launch | None:
    """The files that options ask for; None when they ask for none. :class:`Malformed` says what is wrong.

    ``hosts`` are those of the values file (``site.launch_links.hosts``); without any, every host that speaks https.
    """
    git, branch, file = (options.get(name, "") for name in LAUNCH_KEYS)
    if not git:
        if branch or file:
            raise Malformed("a branch or a file of a link needs the git repository that it is of; add git=https://…")
        return None
    launch = Launch(_repository(git, tuple(hosts)), _branch(branch), _file(file))
    if not FOLDER.fullmatch(launch.folder):
        raise Malformed("the last part of the git repository's address must be a name of letters, digits and _ . + -")
    return launch


def read_pull(arguments: Mapping[str, str], hosts: Iterable[str] = ()) -> Launch:
    """The files that an address of nbgitpuller asks for; :class:`Malformed` for anything that our links have not."""
    unknown = set(arguments) - {"repo", "branch", "urlpath", "targetpath", "backup"}
    if unknown:
        raise Malformed(f"this link asks for {quoted(min(unknown))}, which is not possible here; leave it out")
    page = arguments.get("urlpath", "")
    launch = read_launch({"git": arguments.get("repo", ""), "branch": arguments.get("branch", "")}, hosts)
    if launch is None:
        raise Malformed("this link names no git repository; it needs repo=https://…")
    if arguments.get("targetpath", launch.folder) != launch.folder:
        raise Malformed(f"the files of a link go into the folder {launch.folder} and no other; leave targetpath out")
    return Launch(launch.git, launch.branch, _file(_below(launch.page, page)))


def _below(folder: str, page: str) -> str:
    if page in ("", folder):
        return ""
    if not page.startswith(f"{folder}/"):
        raise Malformed(f"a link opens a file of the repository that it brings; begin urlpath with {folder}/")
    return page.removeprefix(f"{folder}/")


def _repository(git: str, hosts: tuple[str, ...]) -> str:
    if len(git) > LONGEST_GIT:
        raise Malformed(f"the address of the git repository is longer than {LONGEST_GIT} characters; use a shorter one")
    scheme, separator, rest = git.partition("://")
    host, slash, path = rest.partition("/")
    if not separator or scheme not in ("https", "http"):
        raise Malformed("a link brings files over https only; write the git repository as https://host/path")
    if "@" in host:
        raise Malformed("the address of the git repository must hold no user name or password; leave it out")
    if not HOST.fullmatch(host) or not PATH.fullmatch(slash + path) or ".." in path:
        raise Malformed("the git repository must be an address such as https://host/group/name, without special signs")
    allowed = {entry.removeprefix("https://") for entry in hosts}
    if scheme == "http" and f"{PLAIN}{host}" not in allowed:
        raise Malformed("a link brings files over https only; write the git repository as https://host/path")
    if scheme == "https" and allowed and host not in allowed:
        names = ", ".join(sorted(allowed)[:8])
        raise Malformed(f"links of this site bring files from {names} only, not from {host[:60]}")
    return git


def _branch(branch: str) -> str:
    if not branch:
        return ""
    bad = any(sign in branch for sign in ("..", "//", "/.", ".lock/")) or branch.endswith((".lock", "/", "."))
    if len(branch) > LONGEST_BRANCH or bad or not BRANCH.fullmatch(branch):
        raise Malformed("the branch of a link must be a name such as main or course/2026, without special signs")
    return branch


def _file(file: str) -> str:
    if not file:
        return ""
    parts = file.split("/")
    fits = all(FILE_PART.fullmatch(part) and part not in (".", "..") and part.isprintable() for part in parts)
    if len(file) > LONGEST_FILE or not fits:
        raise Malformed("the file of a link must be a path within the repository, such as lessons/first.ipynb")
    return file
