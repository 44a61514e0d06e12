"""The machine: programs, kernel, GPU driver, clock."""

from __future__ import annotations

import ctypes
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from jupyterhub_aiinfn.backends.local.nvidia import GPUS
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.supervisor import proxy
from jupyterhub_aiinfn.supervisor.leftovers import local_backend
from jupyterhub_aiinfn.supervisor.unused import unused_installation
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.identity import Identity
from jupyterhub_aiinfn.values.images import Image
from jupyterhub_aiinfn.values.site import Site

from .findings import Finding, Patient, broken, ok, warning

TIME_ERROR = 5
"""What adjtimex(2) returns while nothing keeps the clock right."""
TIMEX_BYTES = 512
"""More than the structure takes on any processor."""
BUILT = 1_700_000_000
"""Seconds since the epoch before which this program did not exist: a clock that shows less is wrong."""


def programs(patient: Patient) -> Iterator[Finding]:
    """What must be installed beside Python."""
    try:
        node = proxy.find_node()
    except StateError as error:
        yield broken("Node", str(error))
    else:
        yield ok("Node", f"{node.program} runs the proxy")
    if shutil.which("git"):
        yield ok("git", "is installed")
    else:
        yield warning("git", "is not installed: people cannot fetch repositories", "install the system's package git")


def enforcement(patient: Patient) -> Iterator[Finding]:
    """Every promise of the sandbox. Without a sandbox nothing starts; the others are limits to know."""
    backend = local_backend(unused_installation(patient.state, patient.cache), patient.values or no_values())
    for one in backend.enforcement():
        if one.enforced:
            yield ok(one.name, one.sentence)
        elif one.name == "sandbox":
            yield broken(one.name, one.sentence)
        else:
            yield warning(one.name, one.sentence)


def gpu_driver(patient: Patient) -> Iterator[Finding]:
    """Whether the GPUs that the values name can be there."""
    catalogue = patient.values.accelerators if patient.values else {}
    wanted = [one.name for one in catalogue.values() if one.type == "gpu" and not one.emulated]
    cards = len(list(GPUS.iterdir())) if GPUS.is_dir() else 0
    if cards:
        version = Path("/proc/driver/nvidia/version")
        line = version.read_text(errors="replace").splitlines()[0] if version.is_file() else "version unknown"
        yield ok("GPU driver", f"{cards} NVIDIA cards; {line.strip()[:120]}")
    elif wanted:
        sentence = f"there is no NVIDIA driver with a card, so nobody can have {', '.join(wanted)}"
        yield warning("GPU driver", sentence, "install the driver, or remove the accelerators from the values")
    else:
        yield ok("GPU driver", "the values name no GPU of this machine")


def clock(patient: Patient) -> Iterator[Finding]:
    """Whether times can be trusted: of ends, limits and usage."""
    now, newest = time.time(), _newest(patient)
    if now < BUILT:
        yield broken("clock", f"it shows {time.strftime('%Y-%m-%d', time.gmtime(now))}", "set the machine's clock")
    elif newest > now + 60:
        sentence = f"files of the state folder are from {newest - now:.0f} s in the future: the clock was set back"
        yield warning("clock", sentence, "see that the machine's clock is right and kept so (NTP)")
    elif _is_kept():
        yield ok("clock", "is kept right by the system")
    else:
        sentence = "nothing keeps this machine's clock right, as far as the kernel knows"
        yield warning("clock", sentence, "switch time synchronisation on (chrony, systemd-timesyncd)")


def _newest(patient: Patient) -> float:
    try:
        found = [entry.stat(follow_symlinks=False).st_mtime for entry in patient.state.root.iterdir()]
    except OSError:
        return 0.0
    return max(found, default=0.0)


def _is_kept() -> bool:
    """What the kernel says about its clock; asking changes nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    said = int(libc.adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    return 0 <= said < TIME_ERROR


def no_values() -> Values:
    """Values that say nothing, for looking at a machine whose values cannot be read."""
    return Values(
        version=1, site=Site(name="none"), identity=Identity(), images={"none": Image(name="none")}, profiles={}
    )
