"""The variables with which a program starts: a clean set, never those of hub or service."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyterhub_aiinfn.backends.base import WorkloadSpec

from .nvidia import Card, visibility
from .sandbox import PROJECTS, PUBLIC, Occupant

PATH = "/usr/local/bin:/usr/bin:/bin"
INHERITED = {"PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_CACHE_HOME"}
INHERITED_PREFIXES = ("UV_", "PIP_")
"""What builds of environments need: caches, certificates, addresses of indexes, proxies."""


def session_environment(
    spec: WorkloadSpec, occupant: Occupant, devices: Sequence[str], cards: Sequence[Card] = ()
) -> dict[str, str]:
    """What a person's program sees, besides the secrets of its own; ``cards`` are the GPUs that it holds."""
    program = Path(spec.command[0])
    path = f"{program.parent}:{PATH}" if program.is_absolute() and str(program.parent) not in PATH.split(":") else PATH
    given = {name: value for name, value in spec.environment.items() if not name.startswith("LD_")}
    return {
        "HOME": occupant.inner_home,
        "USER": occupant.name,
        "LOGNAME": occupant.name,
        "SHELL": "/bin/bash",
        # what git falls back to: without any address the Git panel of JupyterLab cannot make a repository
        "EMAIL": f"{occupant.name}@localhost",
        "LANG": "C.UTF-8",
        "PATH": path,
        # ~/.local of the home belongs to no Python in particular: every one of that version would read it
        "PYTHONNOUSERSITE": "1",
        "AIINFN_WORKLOAD": spec.id,
        **({"AIINFN_DEVICES": ",".join(devices)} if devices else {}),
        **shared_folders(spec, occupant),
        **given,
        **visibility(cards),
    }


def shared_folders(spec: WorkloadSpec, occupant: Occupant) -> dict[str, str]:
    """Where the shared folders are: all projects', the charged project's, the public one; absent when there is none."""
    names = {share.name for share in occupant.shares}
    found = {}
    if spec.folders:
        found["AIINFN_PROJECTS_FOLDER"] = f"{occupant.top}/{PROJECTS}"
    if f"{PROJECTS}/{spec.project}" in names:
        found["AIINFN_PROJECT_FOLDER"] = f"{occupant.top}/{PROJECTS}/{spec.project}"
    if PUBLIC in names:
        found["AIINFN_PUBLIC_FOLDER"] = f"{occupant.top}/{PUBLIC}"
    return found


def job_environment(spec: WorkloadSpec, progress: Path, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a job of the platform sees; ``own`` is the environment of this process."""
    variables = os.environ if own is None else own
    inherited = {name: value for name, value in variables.items() if is_inherited(name)}
    return {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        **inherited,
        "AIINFN_WORKLOAD": spec.id,
        "AIINFN_PROGRESS_FILE": str(progress),
        **spec.environment,
    }


def is_inherited(name: str) -> bool:
    """Whether a job of the platform gets this variable of the process that starts it."""
    return name in INHERITED or name.startswith(INHERITED_PREFIXES) or name.lower().endswith("_proxy")
