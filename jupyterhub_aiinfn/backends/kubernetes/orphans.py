"""What a killed hub left: pods that no server of it knows, and Secrets without a pod or without an owner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .names import WORKLOAD
from .translation import part, parts

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Orphans:
    """What is to be done."""

    useless: tuple[str, ...]
    """Names of Secrets without a pod."""
    unowned: tuple[tuple[str, Object], ...]
    """Names of Secrets that do not go with their pod yet, each with it."""


def orphans(secrets: Iterable[Object], pods: Iterable[Object], under_way: Collection[str] = ()) -> Orphans:
    """Sort Secrets that belong to nothing; starts ``under_way``, by the names of their pods, are left alone.

    A Secret has the name of its pod, and is made before it: list the Secrets first.
    """
    by_name = {str(part(pod, "metadata").get("name")): pod for pod in pods}
    heads = [part(secret, "metadata") for secret in secrets]
    loose = [str(head.get("name")) for head in heads if not parts(head, "ownerReferences")]
    left = [name for name in loose if name not in under_way]
    return Orphans(
        useless=tuple(name for name in left if name not in by_name),
        unowned=tuple((name, by_name[name]) for name in left if name in by_name),
    )


def unclaimed(pods: Iterable[Object], claimed: Collection[str], under_way: Collection[str] = ()) -> list[str]:
    """Names of pods whose session nobody can reach or stop any more.

    ``claimed`` are the ids of the workloads that a server of the hub knows; it knows them before there is a pod, so
    ask for them after the pods.
    """
    names = {str(part(pod, "metadata").get("name")): pod for pod in pods}
    return [name for name, pod in names.items() if name not in under_way and _id(pod) not in claimed]


def _id(pod: Object) -> str:
    return str(part(part(pod, "metadata"), "labels").get(WORKLOAD))
