"""Command and variables of a session: which of them are secret, and what it is told about itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jupyterhub_aiinfn.model.launch_links import Launch
from jupyterhub_aiinfn.model.requests import Grant
from jupyterhub_aiinfn.values import Values

SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|(?:^|_)KEY(?:$|_)", re.IGNORECASE)
"""What stands in the names of variables that nobody else may see: those of JupyterHub, and those that a configuration
adds. Nothing secret may have another name."""
FIRST_PAGE = "/aiinfn/launch"
"""Where a session is opened: it brings the files of a link, and goes on to JupyterLab when there are none."""
RUNTIME_FOLDER = "/tmp/jupyter"  # noqa: S108  # inside the sandbox, whose /tmp is its own; sockets need short paths
ARGUMENTS = (
    # Sockets of kernels are files: TCP ports on the loopback that all sessions share could be read by other people.
    "--KernelManager.transport=ipc",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    # No login shell: /etc/profile of the machine would forget where the image's and the platform's programs are.
    "--ServerApp.terminado_settings={'shell_command': ['/bin/bash']}",
)


def command(lab_prefix: Path) -> tuple[str, ...]:
    """The server's command. Isolated mode keeps the person's files out of the server's own modules."""
    return (str(lab_prefix / "bin" / "python"), "-I", "-m", "jupyterhub.singleuser", *ARGUMENTS)


def secret(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that nobody else may see."""
    return {name: value for name, value in variables.items() if SECRET.search(name)}


def public(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that may be written to disk."""
    return {name: value for name, value in variables.items() if not SECRET.search(name)}


def launch_description(values: Values, launch: Launch | None) -> dict[str, str]:
    """Which hosts a link may bring files from, and what the person has let this session bring by pressing Start."""
    said = {"LAUNCH_HOSTS": ",".join(values.site.launch_links.hosts)}
    if launch is not None:
        said |= {"LAUNCH_GIT": launch.git, "LAUNCH_BRANCH": launch.branch, "LAUNCH_FILE": launch.file}
    return said


def description(
    values: Values,
    grant: Grant,
    *,
    workload: str,
    kernels: Path,
    service_url: str,
    started_at: datetime,
    ends_at: datetime,
) -> dict[str, str]:
    """What the session knows about itself; Lab shows it."""
    choice = grant.choice
    project = values.projects[choice.project]
    said = {
        "WORKLOAD": workload,
        "PROFILE": choice.profile,
        "PROFILE_NAME": values.profiles[choice.profile].name,
        "PROJECT": choice.project,
        "PROJECT_NAME": project.name or choice.project,
        "IMAGE": grant.image,
        "IMAGE_NAME": values.images[grant.image].name,
        "SIZE": choice.size,
        "CORES": f"{grant.size.cores:g}",
        "MEMORY_GIB": f"{grant.size.memory_gib:g}",
        "STARTED_AT": started_at.isoformat(timespec="seconds"),
        "ENDS_AT": ends_at.isoformat(timespec="seconds"),
        "SERVICE_URL": service_url,
    }
    if choice.accelerator is not None:
        said |= {
            "ACCELERATOR": choice.accelerator,
            "ACCELERATOR_COUNT": str(choice.count),
            "EMULATED": "1" if values.accelerators[choice.accelerator].emulated else "0",
        }
    said |= launch_description(values, choice.launch)
    if values.site.support:
        said |= {"SUPPORT": values.site.support}
    variables = {f"AIINFN_{name}": value for name, value in said.items()}
    return variables | {"JUPYTER_PATH": str(kernels), "JUPYTER_RUNTIME_DIR": RUNTIME_FOLDER}
