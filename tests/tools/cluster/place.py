"""Where a cluster is: its folder on this machine, its names, and its addresses, a /16 that nobody else routes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity

CHECKOUT = Path(__file__).resolve().parents[3]
ROOT = Path("/var/lib/aiinfn-test-clusters")
NODE = "aiinfn-test"
"""The name of the cluster's one node."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of one cluster: ``10.<number>.0.0/16``, for pods, services and the link to this machine."""

    number: int

    @property
    def all(self) -> IPv4Network:
        return IPv4Network(f"10.{self.number}.0.0/16")

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network(f"10.{self.number}.0.0/17")

    @property
    def services(self) -> IPv4Network:
        return IPv4Network(f"10.{self.number}.128.0/20")

    @property
    def api_service(self) -> IPv4Address:
        """Where pods find the API server."""
        return self.services[1]

    @property
    def dns(self) -> IPv4Address:
        return self.services[10]

    @property
    def machine(self) -> IPv4Address:
        """This machine, as the pods see it: a hub under test listens here."""
        return IPv4Address(f"10.{self.number}.255.1")

    @property
    def node(self) -> IPv4Address:
        """The node, as this machine sees it: the API server listens here."""
        return IPv4Address(f"10.{self.number}.255.2")


@dataclass(frozen=True)
class Place:
    """The folder of one cluster and what is called after it."""

    folder: Path

    @classmethod
    def of_checkout(cls, checkout: Path = CHECKOUT) -> Place:
        """Each checkout has a cluster of its own."""
        return cls(ROOT / hashlib.sha256(str(checkout).encode()).hexdigest()[:8])

    @property
    def name(self) -> str:
        """Of its network interface (15 characters at most) and of its control groups."""
        return f"kube-{self.folder.name[:8]}"

    @property
    def certificates(self) -> Path:
        return self.folder / "certificates"

    @property
    def settings(self) -> Path:
        return self.folder / "settings"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.kubeconfig_of("admin")

    def kubeconfig_of(self, who: str) -> Path:
        return self.settings / f"{who}.kubeconfig"

    @cached_property
    def record(self) -> Path:
        return self.folder / "state.json"


def write(path: Path, content: str) -> None:
    """Write a settings file, unless it says so already: some programs end when theirs is touched."""
    if not path.exists() or path.read_text() != content:
        path.write_text(content)


@dataclass
class State:
    """What was started, kept in a file: addresses, the first process, the others by name, and which steps are done."""

    place: Place
    number: int | None = None
    first: ProcessIdentity | None = None
    processes: dict[str, ProcessIdentity] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)
    """Steps that need not be taken again while the same processes run, each with what it was taken for."""

    @classmethod
    def load(cls, place: Place) -> State:
        """What the file says; nothing started when there is none or when it is not ours."""
        try:
            data: Any = json.loads(place.record.read_text())
            number, first = data["number"], ProcessIdentity.from_json(data["first"])
            read = {name: ProcessIdentity.from_json(each) for name, each in data["processes"].items()}
            done = {str(step): str(what) for step, what in data["done"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return cls(place)
        return cls(place, number, first, {name: each for name, each in read.items() if each is not None}, done)

    def save(self) -> None:
        """Write the file so that a reader never sees half of it."""
        data = {
            "number": self.number,
            "first": self.first and self.first.as_json(),
            "processes": {name: each.as_json() for name, each in self.processes.items()},
            "done": self.done,
        }
        part = self.place.record.with_suffix(".part")
        part.write_text(json.dumps(data, indent=1))
        part.replace(self.place.record)

    @property
    def addresses(self) -> Addresses:
        assert self.number is not None, "the cluster has no addresses yet"
        return Addresses(self.number)

    def up(self) -> bool:
        """Whether the cluster's first process runs."""
        return self.first is not None and self.first.alive()

    def alive(self, name: str) -> bool:
        """Whether a part of the cluster runs."""
        return self.up() and name in self.processes and self.processes[name].alive()
