"""The link between this machine and a cluster: one pair of interfaces and one route, deleted with the cluster."""

from __future__ import annotations

import json
import subprocess
from ipaddress import IPv4Network

from .errors import ClusterError, last_lines
from .namespaces import run_inside
from .place import Addresses, State

NUMBERS = range(200, 250)
"""Second bytes of the addresses that a cluster may take; arbitrary, away from what machines and clouds use."""


def connect(state: State) -> None:
    """Link this machine with the node, unless that is done; the first /16 that is free here is taken."""
    if state.done.get("network"):
        return
    state.number = free_number(routed())
    state.save()
    addresses, name = state.addresses, state.place.name
    assert state.first is not None
    _ip("link", "add", name, "type", "veth", "peer", "name", "machine", "netns", str(state.first.pid))
    _ip("address", "add", f"{addresses.machine}/30", "dev", name)
    _ip("link", "set", name, "up")
    run_inside(state, "ip", "link", "set", "lo", "up")
    run_inside(state, "ip", "address", "add", f"{addresses.node}/30", "dev", "machine")
    run_inside(state, "ip", "link", "set", "machine", "up")
    run_inside(state, "ip", "route", "add", "default", "via", str(addresses.machine))
    run_inside(state, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")  # of the node, not of this machine
    _ip("route", "add", str(addresses.all), "via", str(addresses.node))
    state.done["network"] = str(addresses.all)
    state.save()


def disconnect(state: State) -> None:
    """Delete the link, and with it the route; usually the kernel has done so when the cluster ended."""
    subprocess.run(["ip", "link", "delete", state.place.name], capture_output=True)


def free_number(taken: list[IPv4Network]) -> int:
    """The first number whose addresses overlap nothing that is taken; raises ClusterError when there is none."""
    for number in NUMBERS:
        if not any(Addresses(number).all.overlaps(network) for network in taken):
            return number
    raise ClusterError(f"all of 10.{NUMBERS[0]}.0.0/16 to 10.{NUMBERS[-1]}.0.0/16 are routed here: end a test cluster")


def routed() -> list[IPv4Network]:
    """The networks that this machine has routes to, but for the default."""
    routes = json.loads(_ip("-4", "-json", "route"))
    return [IPv4Network(each["dst"], strict=False) for each in routes if each["dst"] != "default"]


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"`ip {' '.join(arguments)}` failed:\n{last_lines(done.stderr)}")
    return done.stdout
