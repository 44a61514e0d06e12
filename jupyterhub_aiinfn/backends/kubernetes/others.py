"""Devices that pods of others hold: those in namespaces that are not ours, on nodes from which we give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values

from .capacity import quantity
from .free import Machine, Use
from .translation import part, parts

Object = dict[str, Any]
PATH = "/api/v1/pods"
KEPT: dict[str, tuple[str, ...]] = {
    "metadata": ("uid", "resourceVersion"),
    "spec": ("nodeName", "containers", "initContainers"),
}


def selector(namespaces: Iterable[str]) -> str:
    """The field selector of pods that are on a node, not over, and in none of these namespaces."""
    wanted = [f"metadata.namespace!={one}" for one in namespaces]
    return ",".join([*wanted, "spec.nodeName!=", "status.phase!=Succeeded", "status.phase!=Failed"])


def keep_devices(pod: Object) -> None:
    """Drop everything but on which node it is and what it asks for: the rest of a pod of others is not ours to know."""
    for name in [one for one in pod if one not in KEPT and one != "kind"]:
        del pod[name]
    for section, names in KEPT.items():
        pod[section] = {key: value for key, value in part(pod, section).items() if key in names}
    spec = pod["spec"]
    for name in ("containers", "initContainers"):
        spec[name] = [_needs(one) for one in parts(spec, name)]


def _needs(container: Mapping[str, Any]) -> Object:
    found: Object = {"resources": {"limits": dict(part(part(container, "resources"), "limits"))}}
    return found | ({"restartPolicy": container["restartPolicy"]} if "restartPolicy" in container else {})


class Others:
    """Node and devices of each such pod that asks for a resource of an accelerator."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[str, dict[str, int]]] = {}

    def pod(self, values: Values, found: Mapping[str, Any], is_gone: bool) -> bool:
        """A pod has changed; whether that may change what is free."""
        uid, node = str(part(found, "metadata").get("uid")), part(found, "spec").get("nodeName")
        before = self._pods.pop(uid, None)
        if node and not is_gone:
            resources = {str(entry.resource) for entry in values.accelerators.values()}
            needs = {name: count for name in resources if (count := needed(part(found, "spec"), name)) > 0}
            if needs:
                self._pods[uid] = (str(node), needs)
        return before != self._pods.get(uid)

    def uses(self, values: Values, machines: Iterable[Machine]) -> Iterator[Use]:
        """What they hold of the devices of nodes that take somebody: of others nothing is given."""
        by_name = {one.name: one for one in machines if one.takes}
        for node, needs in self._pods.values():
            for key in by_name[node].devices if node in by_name else ():
                if count := needs.get(str(values.accelerators[key].resource), 0):
                    yield Use(key, count, node)


def needed(spec: Mapping[str, Any], resource: str) -> int:
    """How many of a resource the scheduler counts for a pod: of containers that run at once the sum, else the most."""
    beside = most = 0
    for one in parts(spec, "initContainers"):
        count = _count(one, resource)
        beside += count if one.get("restartPolicy") == "Always" else 0
        most = max(most, beside if one.get("restartPolicy") == "Always" else beside + count)
    return max(most, beside + sum(_count(one, resource) for one in parts(spec, "containers")))


def _count(container: Mapping[str, Any], resource: str) -> int:
    try:
        return int(
            quantity(part(part(container, "resources"), "limits").get(resource, "0"), "of the cluster", resource)
        )
    except BackendError:
        return 0
