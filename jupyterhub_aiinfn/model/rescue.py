"""Whether a session must start as a rescue session, why, and where it then keeps what JupyterLab writes.

A home that is full or cannot be written never locks anybody out. What was tried in the home, as its person, goes in; a
sentence comes out, and the variables that point JupyterLab and kernels to scratch space.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass

SCRATCH = "/tmp/aiinfn-rescue"  # noqa: S108  # inside the sandbox, whose /tmp is its own
"""Where a rescue session keeps what would be in the home; gone with the session."""
NEEDED_BYTES = 1024 * 1024
"""What must fit into the home for an ordinary session: its settings, layout and history (arbitrary)."""
NEEDED_FILES = 24
"""So many new files and folders does the first start of JupyterLab with a kernel make, and some to spare."""
STATE = (".jupyter", ".local/share/jupyter", ".ipython", ".cache")
"""What the server and kernels keep in the home; where one exists and cannot be written, they fail."""
REMEDY = "delete what is not needed"


@dataclass(frozen=True)
class HomeProbe:
    """What happened when a file of :data:`NEEDED_BYTES` was made in the home and removed again, as its person."""

    failed: str = ""
    """``open``: it could not be made; ``write``: not written to its end; empty: all went well."""
    error: int = 0
    """The system's number of that failure."""
    free_files: int | None = None
    """Files that can still be made; None where the file system does not count them."""
    mode: int = 0o700
    """Permissions of the home."""
    blocked: str = ""
    """The first of :data:`STATE` that exists and is not a folder that can be written."""


def rescue_reason(probe: HomeProbe) -> str:
    """A sentence with the remedy; empty when an ordinary session can start."""
    if probe.failed:
        return failure(probe)
    if probe.free_files is not None and probe.free_files < NEEDED_FILES:
        return f"only {probe.free_files} more files can be made in your home; {REMEDY}"
    if probe.blocked:
        return (
            f"~/{probe.blocked} is in your home and cannot be written, so JupyterLab cannot keep its state there; "
            "delete it or give yourself the right to write it"
        )
    return ""


def failure(probe: HomeProbe) -> str:
    """Why nothing, or not enough, can be written."""
    if probe.error == errno.EDQUOT:
        return f"your home has reached its limit; {REMEDY}"
    if probe.error == errno.ENOSPC and probe.failed == "open" and probe.free_files == 0:
        return f"no more files can be made in your home, however small; {REMEDY}"
    if probe.error == errno.ENOSPC:
        return f"the disk of your home is full; {REMEDY}"
    if probe.error == errno.EROFS:
        return "your home can only be read at this moment; only an administrator can change that, tell them"
    if probe.error in (errno.EACCES, errno.EPERM) and not has_own_rights(probe.mode):
        return f"your home has the mode {probe.mode:04o}, so you cannot write in it; give yourself the right back here"
    name = errno.errorcode.get(probe.error, "unknown")
    return f"your home cannot be written (error {probe.error}: {name}); tell an administrator"


def has_own_rights(mode: int) -> bool:
    """Whether the owner may read, write and enter."""
    return mode & 0o700 == 0o700


def scratch_folders(home: str) -> dict[str, tuple[str, str]]:
    """Variable: (folder in scratch space, the folder of the home for which it stands)."""
    places = {
        "JUPYTER_CONFIG_DIR": ("config", ".jupyter"),
        "JUPYTER_DATA_DIR": ("data", ".local/share/jupyter"),
        "JUPYTERLAB_SETTINGS_DIR": ("settings", ".jupyter/lab/user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": ("workspaces", ".jupyter/lab/workspaces"),
        "IPYTHONDIR": ("ipython", ".ipython"),
        "XDG_CACHE_HOME": ("cache", ".cache"),
    }
    return {name: (f"{SCRATCH}/{folder}", f"{home}/{own}") for name, (folder, own) in places.items()}


def rescue_environment(reason: str, home: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a rescue session; kernels that the person installed in the home are found as before."""
    folders = scratch_folders(home)
    kernels = [path for path in (given.get("JUPYTER_PATH", ""), folders["JUPYTER_DATA_DIR"][1]) if path]
    return {
        "AIINFN_RESCUE": "1",
        "AIINFN_RESCUE_REASON": reason,
        "JUPYTER_PATH": ":".join(kernels),
        **{name: scratch for name, (scratch, _) in folders.items()},
    }
