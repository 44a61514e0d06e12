"""The first process of the cluster's namespaces: it makes the folders that only the cluster sees, then buries orphans.

Run in new namespaces as ``first.py FOLDER``; stdlib only.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

OWN = {"var-log": "/var/log", "var-lib-cni": "/var/lib/cni"}
"""Folders that programs of the cluster write to whatever they are told, each kept below the cluster's folder."""


def main(folder: Path) -> None:
    """Never returns; ``FOLDER/first.ready`` appears when the others may start."""
    mount("--make-rshared", "/")  # shared among the cluster's processes, not with the machine
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for name, seen in OWN.items():
        own = folder / name
        own.mkdir(exist_ok=True)
        Path(seen).mkdir(parents=True, exist_ok=True)
        mount("--bind", str(own), seen)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans are buried without being waited for
    (folder / "first.ready").touch()
    while True:
        signal.pause()


def mount(*arguments: str) -> None:
    """Raises CalledProcessError, having printed why, when it cannot be."""
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
