"""``spawn-local``: a warm session from POST to ready, ours and JupyterHub's ``simple``, in alternating pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from . import servers
from .figures import Figure, paired

PERSON = "carol"
OPTIONS = {"profile": "python", "size": "medium", "project": "personal"}
"""The size with both cores of the machine where this was written: `simple` limits nothing."""
GOAL = 1.25
SANDBOX_ONLY = ("JUPYTERHUB_", "JUPYTER_RUNTIME_DIR", "HOME", "USER", "PATH")


@dataclass
class Side:
    """One of the two hubs, and the figures of its sessions."""

    server: servers.Server
    api: httpx.Client
    options: Mapping[str, str]
    seconds: list[float]
    cpu: list[float]

    def measure(self) -> None:
        """One session: started, timed, stopped."""
        before = self.server.cpu_seconds()
        seconds = servers.start_session(self.api, PERSON, self.options)
        self.cpu.append(self.server.cpu_seconds() - before)
        self.seconds.append(seconds)
        servers.stop_session(self.api, PERSON)


def run(pairs: int = 20) -> list[Figure]:
    """The figures; ``pairs`` pairs are counted after one that is not."""
    with servers.Platform() as platform:
        ours = _side(platform, OPTIONS)
        servers.start_session(ours.api, PERSON, OPTIONS)
        command, environment = what_ran(platform)
        servers.stop_session(ours.api, PERSON)
        with servers.BareHub(command, environment) as bare:
            theirs = _side(bare, {})
            _alternate(ours, theirs, pairs)
    return [
        paired("warm spawn, POST to ready", ours.seconds, theirs.seconds),
        paired("CPU seconds of a warm spawn", ours.cpu, theirs.cpu),
    ]


def what_ran(platform: servers.Platform) -> tuple[list[str], dict[str, str]]:
    """Command and environment of the platform's newest session, without what only makes sense in its sandbox."""
    files = platform.state.glob("workloads/*/spec*")
    specs = [json.loads(file.read_text()) for file in sorted(files, key=lambda file: file.stat().st_mtime)]
    newest = [spec.get("spec", spec) for spec in specs][-1]
    environment = {name: value for name, value in newest["environment"].items() if not name.startswith(SANDBOX_ONLY)}
    return list(newest["command"]), environment


def _side(server: servers.Server, options: Mapping[str, str]) -> Side:
    return Side(server, server.api(PERSON), options, [], [])


def _alternate(ours: Side, theirs: Side, pairs: int) -> None:
    for number in range(pairs + 1):
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            side.measure()
        if number == 0:
            for side in (ours, theirs):
                side.seconds.clear()
                side.cpu.clear()
        else:
            print(f"  pair {number}: {ours.seconds[-1]:.2f} s, simple {theirs.seconds[-1]:.2f} s", flush=True)
