"""What this machine enforces and what it does not, in sentences for start-up and ``aiinfn status``."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from .cgroups import Cgroups
from .listening import root_has_ports
from .quota.base import Quota
from .quota.measured import MeasuredQuota
from .sandbox import Host
from .seccomp import seccomp_program


@dataclass(frozen=True)
class Enforcement:
    """One promise of the sandbox and whether it holds here."""

    name: str
    """One word or two: ``sandbox``, ``uid``, ``abstract sockets``, ``memory``."""
    enforced: bool
    sentence: str


def sandbox_works(host: Host) -> str:
    """Empty when a sandbox can be made; else why not, with the remedy. Blocking (about 10 ms)."""
    user = [] if host.as_root else ["--unshare-user"]
    command = [host.bwrap, "--unshare-pid", *user, "--ro-bind", "/", "/", "--proc", "/proc", "--", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return "bubblewrap is not installed (the program bwrap); install the system's package bubblewrap"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here: {error}"
    if done.returncode == 0:
        return ""
    said = done.stderr.strip() or f"exit code {done.returncode}"
    return f"bubblewrap does not work here ({said}); allow user namespaces or run the platform as root"


def describe_enforcement(host: Host, problem: str, cgroups: Cgroups) -> list[Enforcement]:
    """Every promise, kept or not."""
    return [
        Enforcement("sandbox", not problem, problem or "each workload sees its own home, processes and files only"),
        uid_enforcement(host),
        system_calls(),
        abstract_sockets(host),
        NETWORK,
        ports_of_the_platform(),
        *(limit_enforcement(cgroups, *row) for row in LIMITS),
    ]


NETWORK = Enforcement(
    "network",
    False,
    "sessions share the network of this machine: a port that a program opens in one can be reached from all others",
)


def ports_of_the_platform() -> Enforcement:
    """Whether a session can listen where hub or service should, while these are being started again."""
    if root_has_ports():
        return Enforcement("ports", True, "no session can take the ports of hub, service and the proxy's API")
    return Enforcement(
        "ports",
        False,
        "a session could take a port of the platform while that part is being started again (it is ended when it is "
        "found there): run the platform as root, where the ports below 1024 are root's alone",
    )


def abstract_sockets(host: Host) -> Enforcement:
    """Whether abstract Unix sockets of others are out of reach."""
    if host.own_abstract_sockets:
        return Enforcement("abstract sockets", True, "a session reaches no abstract Unix socket but its own")
    return Enforcement(
        "abstract sockets",
        False,
        "abstract Unix sockets of this machine and of other sessions can be reached: that needs Linux 6.12 or newer "
        "with Landlock, and a bubblewrap that is not setuid",
    )


LIMITS = (
    ("memory", "memory", "a session that goes over its memory is ended", "a session may use all memory of the machine"),
    ("cores", "cpu", "a session gets no more than its cores", "a session may use all processors"),
    (
        "processes",
        "pids",
        "a session has at most 4096 processes",
        "the number of processes of a session is not limited",
    ),
)


REMEDY = "run as root or in a delegated one; in a service that has limits itself, in a subgroup of its own"


def limit_enforcement(cgroups: Cgroups, name: str, controller: str, kept: str, broken: str) -> Enforcement:
    """Whether one limit holds."""
    if controller in cgroups.folders:
        return Enforcement(name, True, kept)
    return Enforcement(name, False, f"{broken}: no control group can be made here ({REMEDY})")


def uid_enforcement(host: Host) -> Enforcement:
    """Whether people have uids of their own."""
    if host.as_root:
        return Enforcement("uid", True, "each person has a uid of their own and no capability")
    sentence = "all people share the uid of the user who runs the platform: only the sandbox keeps them apart"
    return Enforcement("uid", False, f"{sentence}; run it as root for a uid each")


def system_calls() -> Enforcement:
    """Whether the filter of system calls is known for this processor."""
    if seccomp_program() is not None:
        return Enforcement(
            "system calls", True, "sessions cannot make user namespaces, mounts, key rings or BPF programs"
        )
    return Enforcement(
        "system calls", False, "system calls are not filtered: their numbers are not known for this processor"
    )


def size_enforcement(quota: Quota) -> Enforcement:
    """Whether the file system keeps homes and shared folders below their limits."""
    if isinstance(quota, MeasuredQuota):
        sentence = "the size of homes and shared folders is counted, and nothing refuses what goes over a limit"
        return Enforcement("size", False, f"{sentence}: {quota.note}")
    return Enforcement("size", True, f"homes and shared folders with a limit cannot grow over it ({quota.method})")


def address_enforcement(url: str | None) -> Enforcement:
    """Whether browsers keep what sessions serve apart from the hub, and from each other."""
    if url is not None:
        return Enforcement("addresses", True, "the sessions of each person have an address of their own in the browser")
    sentence = "sessions have the address of the hub: a page that one serves can act for whoever opens it"
    return Enforcement("addresses", False, f"{sentence}; site.url in the values gives each person an own address")
