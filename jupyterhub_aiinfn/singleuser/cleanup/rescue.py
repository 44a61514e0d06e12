"""The rescue session from inside: its state in scratch space, and how it becomes an ordinary one without a restart.

JupyterLab and kernels know folders in scratch space. When there is room again, what changed there is copied into the
home, and the server's folders become links to the home's own: open documents, kernels and addresses stay.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from jupyterhub_aiinfn.model.rescue import HomeProbe, has_own_rights, rescue_reason, scratch_folders

from .probing import probe

SEEDS = (
    ("JUPYTERLAB_SETTINGS_DIR", "."),
    ("JUPYTERLAB_WORKSPACES_DIR", "."),
    ("JUPYTER_DATA_DIR", "notebook_secret"),
    ("JUPYTER_DATA_DIR", "nbsignatures.db"),
)
"""What a rescue session begins with from the home: settings, layout, and which notebooks are trusted."""
BROUGHT_BACK = ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTER_DATA_DIR")
"""What is copied into the home when there is room: what changed meanwhile, trust in notebooks among it."""
OF_KERNELS = ("IPYTHONDIR", "XDG_CACHE_HOME")
"""What running kernels have open: it stays where it is, and kernels that start from now on use the home's."""
LARGEST_SEED = 20 * 1024 * 1024
MOST_SEEDS = 500
"""Bytes of a file, and files of a folder, that are copied; arbitrary, far above what settings need."""


class Rescue:
    """The home of this session, and whether the session is a rescue session."""

    def __init__(self, variables: MutableMapping[str, str], home: Path) -> None:
        self.home = home
        self.active = variables.get("AIINFN_RESCUE") == "1"
        """Whether JupyterLab's state is in scratch space."""
        self.reason = variables.get("AIINFN_RESCUE_REASON", "") if self.active else ""
        self.lab_wanted = not self.active
        """Whether the person has gone on to JupyterLab, or needs not be asked."""
        self._variables = variables
        self._seeded_at = 0.0

    def seed(self) -> None:
        """Copy settings and layout from the home, which can be read also when it is full."""
        if not self.active:
            return
        folders = self._folders()
        for name, inner in SEEDS:
            scratch, own = folders[name]
            with contextlib.suppress(OSError):
                copy_small(own / inner, scratch / inner)
        for scratch, _ in folders.values():
            scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._seeded_at = time.time()

    def problem(self) -> str:
        """Why an ordinary session is not possible at this moment; empty when it is. Blocking (a few milliseconds)."""
        try:
            home = os.open(self.home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            return f"your home cannot be opened: {error.strerror}; tell an administrator"
        try:
            return rescue_reason(HomeProbe(**probe(home)))  # type: ignore[arg-type]
        finally:
            os.close(home)

    def can_unlock(self) -> bool:
        """Whether the person has taken their own rights to the home away and can have them back."""
        found = self.home.stat()
        return found.st_uid == os.geteuid() and not has_own_rights(stat.S_IMODE(found.st_mode))

    def unlock(self) -> None:
        """Give the person all rights to their own home; raises :class:`OSError`."""
        self.home.chmod(0o700)

    def become_ordinary(self) -> str:
        """Move the state into the home; empty when done, else why not. Blocking."""
        self.lab_wanted = True
        if not self.active:
            return ""
        problem = self.problem()
        if problem:
            return problem
        try:
            for name, (scratch, own) in self._folders().items():
                own.mkdir(mode=0o700, parents=True, exist_ok=True)
                if name in BROUGHT_BACK:
                    bring_back(scratch, own, self._seeded_at)
                if name not in OF_KERNELS:
                    replace_by_link(scratch, own)
        except OSError as error:
            return f"the state of this session could not be copied into your home: {error.strerror}; make more room"
        self.active = False
        self.reason = ""
        for name in ("AIINFN_RESCUE", "AIINFN_RESCUE_REASON", *OF_KERNELS):
            self._variables.pop(name, None)  # kernels that start from now on are those of an ordinary session
        return ""

    def _folders(self) -> dict[str, tuple[Path, Path]]:
        found = scratch_folders(str(self.home)).items()
        return {name: (Path(self._variables.get(name, scratch)), Path(own)) for name, (scratch, own) in found}


def copy_small(source: Path, target: Path) -> None:
    """Copy a file, or the files of a folder, unless large: for settings, which are text."""
    for file in [source] if source.is_file() else list(files_below(source))[:MOST_SEEDS]:
        if file.stat().st_size <= LARGEST_SEED:
            place = target / file.relative_to(source)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(file, place)


def bring_back(scratch: Path, own: Path, since: float) -> None:
    """Copy what was written since the session began; each file is whole in the home or not there."""
    for file in files_below(scratch):
        if file.stat().st_mtime < since:
            continue
        place = own / file.relative_to(scratch)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.aiinfn")
        shutil.copy2(file, temporary)
        temporary.replace(place)


def replace_by_link(scratch: Path, own: Path) -> None:
    """Have the scratch folder's name lead to the home; what has a file of it open goes on with that."""
    if scratch.is_symlink():
        return
    if scratch.exists():
        scratch.rename(scratch.with_name(f"{scratch.name}.before"))
    scratch.symlink_to(own)


def files_below(folder: Path) -> Iterator[Path]:
    """Ordinary files at any depth; links to folders are not followed."""
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            file = Path(place, name)
            if file.is_file() and not file.is_symlink():
                yield file
