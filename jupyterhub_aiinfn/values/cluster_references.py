"""What the values say about a cluster, checked between entries: storage, numbers of people, guarantees, objects.

Everything here takes wrong types in its stride (they are reported by the models) and looks at the rest.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from .explain import nearest
from .findings import Data, Finding, as_map, entries_of, number_of, texts_of
from .numbers import PUBLIC, computed_gid, computed_uid
from .quoting import quote
from .reading import Path
from .storage import Home

SHARED = ("shared-claim", "nfs")
"""Storages of homes in which several people have folders."""
OF_BACKEND = {"claim": ("shared-claim",), "storage_class": ("claims",), "access": ("claims",)}
OF_BACKEND |= {"server": ("nfs",), "export": ("nfs",)}
"""Keys of ``storage.home`` that mean something for some backends only."""
LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
RESOURCE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
MAX_LABELS = 8
"""What Kueue takes of labels in one flavor."""
MAX_RESOURCES = 15
"""Kueue has 16 groups of resources in a queue; one is for cores and memory."""
MAX_GUARANTEED_KEY = 63 - len("-guaranteed")
"""The name of a queue is a label of its pods."""


def cluster_findings(data: Data) -> Iterator[Finding]:
    """Everything that is wrong with what concerns clusters."""
    yield from _sizes(data)
    yield from _guarantees(data)
    yield from _numbers(data)
    yield from _storage(as_map(data, "storage"))
    yield from _machines(data)
    if isinstance(data.get("kubernetes"), dict):
        yield from _cluster(data, data["kubernetes"])
    else:
        yield from _one_machine(data)


def _sizes(data: Data) -> Iterator[Finding]:
    for key, profile in entries_of(data, "profiles").items():
        for name, size in entries_of(profile, "sizes").items():
            for what in ("cores", "memory_gib"):
                kept, most = number_of(size, f"guaranteed_{what}"), number_of(size, what)
                if kept is not None and most is not None and kept > most:
                    path = ("profiles", key, "sizes", name, f"guaranteed_{what}")
                    yield Finding(path, f"must be at most {what}, {most:g}", f"{kept:g}")


def _guarantees(data: Data) -> Iterator[Finding]:
    catalogue = as_map(data, "accelerators")
    for key, project in entries_of(data, "projects").items():
        allowed, at_most = project.get("accelerators"), as_map(project, "at_most")
        for name, count in as_map(project, "guaranteed").items():
            path: Path = ("projects", key, "guaranteed", name)
            cap = number_of(at_most, name)
            if name not in catalogue:
                yield Finding(path, "is not an accelerator", quote(name), nearest(name, catalogue))
            elif isinstance(allowed, list) and name not in allowed:
                rule, hint = "guarantees an accelerator that the project may not use", "add it to its accelerators"
                yield Finding(path, rule, quote(name), hint)
            elif cap is not None and isinstance(count, int) and count > cap:
                yield Finding(path, f"must be at most what the project may hold (at_most), {cap:g}", quote(count))
        if project.get("personal") is True and as_map(project, "guaranteed"):
            path, hint = ("projects", key, "guaranteed"), "make a project of the people who shall have the guarantee"
            yield Finding(path, "a personal project has no guarantee", "", hint)


def _numbers(data: Data) -> Iterator[Finding]:
    """No two people have one uid, no two projects one gid, and no project the gid of a person's own group."""
    identity = as_map(data, "identity")
    uid = as_map(identity, "uid")
    table = {name: number for name, number in as_map(uid, "table").items() if isinstance(number, int)}
    if uid.get("method") in ("fixed", "claim") and table:
        rule = f"means nothing with method {uid['method']}: it corrects computed numbers"
        yield Finding(("identity", "uid", "table"), rule, "", "remove it, or write method: crc32")
    people: dict[int, str] = {}
    if uid.get("method") == "crc32":
        users = [name for name in as_map(identity, "users") if name not in table]
        numbers = {**table, **{name: computed_uid(name) for name in users}}
        yield from _doubles(numbers, people, "uid", ("identity", "uid", "table"))
    elif uid.get("method") == "fixed":
        people = {uid.get("uid", 1000): "everybody"} if isinstance(uid.get("uid", 1000), int) else {}
    if uid:
        yield from _gids(data, as_map(uid, "project_gids"), people)


def _gids(data: Data, given: Data, people: dict[int, str]) -> Iterator[Finding]:
    projects = entries_of(data, "projects")
    for key in given.keys() - projects.keys():
        path = ("identity", "uid", "project_gids", key)
        yield Finding(path, "is not a project", quote(key), nearest(key, projects))
    gids = {key: given.get(key, computed_gid(key)) for key in projects if projects[key].get("personal") is not True}
    numbers = {key: number for key, number in gids.items() if isinstance(number, int)}
    taken = dict(people)
    if isinstance(as_map(data, "storage").get("public"), dict):
        taken.setdefault(computed_gid(PUBLIC), PUBLIC)
    yield from _doubles(numbers, taken, "gid", ("identity", "uid", "project_gids"))


def _doubles(numbers: dict[str, int], taken: dict[int, str], word: str, path: Path) -> Iterator[Finding]:
    """Each name whose number another has; what is found is added to ``taken``."""
    for name, number in numbers.items():
        other = taken.setdefault(number, name)
        if other != name:
            rule = f"must hold another {word} for {quote(name)} or for {quote(other)}: both would have {number}"
            yield Finding((*path, name), rule, "", "write one that nobody has")


def _storage(storage: Data) -> Iterator[Finding]:
    home = as_map(storage, "home")
    backend = home.get("backend", "local")
    for key, backends in OF_BACKEND.items():
        said = home.get(key) not in (None, Home.model_fields[key].default)
        if said and isinstance(backend, str) and backend not in backends:
            rule = f"means nothing with backend {backend}"
            yield Finding(("storage", "home", key), rule, quote(home[key]), f"it belongs to {' and '.join(backends)}")
    needs = {"claims": "quota_gib", "shared-claim": "claim", "nfs": "server"}.get(str(backend))
    if needs is not None and home.get(needs) is None:
        yield Finding(("storage", "home", needs), f"is missing: backend {backend} needs it")
    for name in ("project", "public"):
        volume = as_map(storage, name).get("volume")
        if isinstance(volume, dict) and (volume.get("claim") is None) == (volume.get("server") is None):
            yield Finding(("storage", name, "volume"), "must have either a claim or a server")
    yield from _beside_claims(storage, str(backend))
    scratch = as_map(storage, "scratch")
    if scratch.get("storage_class") is not None and scratch.get("kind") != "claim":
        yield Finding(("storage", "scratch", "storage_class"), "means nothing with kind node", "", "write kind: claim")


def _beside_claims(storage: Data, backend: str) -> Iterator[Finding]:
    """A cluster gives all claims of a pod to one group, where one of them is the person's own: none may be shared."""
    scratch = as_map(storage, "scratch").get("kind") == "claim"
    volumes: list[Path] = [("project", "volume"), ("public", "volume"), *([("home",)] if backend != "claims" else [])]
    for first, *rest in volumes if backend == "claims" or scratch else []:
        place = as_map(as_map(storage, str(first)), "volume") if rest else as_map(storage, str(first))
        if place.get("claim") is not None:
            own = "homes" if backend == "claims" else "scratch space"
            rule = f"must not be beside {own} in claims of their own: the cluster would give its files to one person"
            hint = "use a server with an export" + ("" if backend == "claims" else ", or scratch space of kind node")
            yield Finding(("storage", first, *rest, "claim"), rule, "", hint)
    if backend != "claims":
        return
    if isinstance(storage.get("public"), dict) and not isinstance(storage["public"].get("volume"), dict):
        rule = "is missing: homes in claims of their own have no place beside them"
        yield Finding(("storage", "public", "volume"), rule)


def _machines(data: Data) -> Iterator[Finding]:
    catalogue = as_map(data, "accelerators")
    for key, entry in entries_of(data, "nodes").items():
        labels = as_map(entry, "selector")
        for name in as_map(as_map(entry, "machines"), "accelerators"):
            path = ("nodes", key, "machines", "accelerators", name)
            wanted = as_map(catalogue[name], "node_selector") if isinstance(catalogue.get(name), dict) else {}
            other = next((label for label in wanted if label in labels and labels[label] != wanted[label]), None)
            if name not in catalogue:
                yield Finding(path, "is not an accelerator", quote(name), nearest(name, catalogue))
            elif other is not None:
                rule = f"is on nodes whose label {quote(other)} is {quote(wanted[other])}, and this class has another"
                yield Finding(path, rule, quote(labels[other]), "correct the selector of one of them")


def _one_machine(data: Data) -> Iterator[Finding]:
    """What one machine cannot do and must not seem to do; the rest of what is for clusters it ignores."""
    backend = as_map(as_map(data, "storage"), "home").get("backend", "local")
    if backend in ("claims", *SHARED):
        path, hint = ("storage", "home", "backend"), "write local, or add the section kubernetes"
        yield Finding(path, "needs a cluster", quote(backend), hint)


def _cluster(data: Data, cluster: Data) -> Iterator[Finding]:
    yield from _namespaces(cluster)
    yield from _networks(as_map(cluster, "network"))
    yield from _images(data, cluster)
    yield from _devices(data)
    yield from _people(data)
    yield from _one_volume(as_map(data, "storage"))
    if isinstance(cluster.get("kueue"), dict):
        yield from _kueue(data)
    else:
        yield from _without_kueue(data)


def _namespaces(cluster: Data) -> Iterator[Finding]:
    defaults = {"namespace": "aiinfn", "sessions_namespace": "aiinfn-sessions", "jobs_namespace": "aiinfn-jobs"}
    seen: dict[str, str] = {}
    for key, default in defaults.items():
        name = cluster.get(key, default)
        other = seen.setdefault(name, key) if isinstance(name, str) else key
        if other != key:
            yield Finding(("kubernetes", key), f"must be another namespace than {other}", quote(name))


def _networks(network: Data) -> Iterator[Finding]:
    opened = network.get("open_to")
    for index, entry in enumerate(opened if isinstance(opened, list) else []):
        to = entry.get("to") if isinstance(entry, dict) else None
        if isinstance(to, str) and not _is_network(to):
            path = ("kubernetes", "network", "open_to", index, "to")
            yield Finding(path, "must be a network whose address ends in zeros, such as 10.1.2.0/24", quote(to))


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _images(data: Data, cluster: Data) -> Iterator[Finding]:
    images, sessions = entries_of(data, "images"), as_map(cluster, "sessions")
    used = {
        entry.get("image") for entry in entries_of(data, "profiles").values() if isinstance(entry.get("image"), str)
    }
    wanted: list[tuple[Path, Any]] = [
        (("images", key, "reference"), images[key].get("reference")) for key in images if key in used
    ]
    sidecars = entries_of(sessions, "sidecars").items()
    wanted += [(("kubernetes", "sessions", "sidecars", key, "image"), one.get("image")) for key, one in sidecars]
    for path, reference in wanted:
        if reference is None:
            yield Finding(path, "is missing: a cluster starts sessions of this image")
        elif isinstance(reference, str) and not _is_reference(reference, sessions.get("pull")):
            rule = "must be a container image with its digest, such as registry.example.org/lab@sha256:…"
            yield Finding(path, rule, quote(reference), "a tag can come to mean another image from one day to the next")


def _is_reference(text: str, pull: Any) -> bool:
    return bool(DIGEST.fullmatch(text)) or (pull == "Never" and not re.search(r"\s", text))


def _devices(data: Data) -> Iterator[Finding]:
    catalogue = entries_of(data, "accelerators")
    offered = {name for entry in entries_of(data, "profiles").values() for _, name in texts_of(entry, "accelerators")}
    for key, entry in catalogue.items():
        resource = entry.get("resource")
        if resource is None and key in offered:
            yield Finding(("accelerators", key, "resource"), "is missing: by it a cluster knows where the device is")
        elif isinstance(resource, str) and not RESOURCE.fullmatch(resource):
            rule = "must be an extended resource such as nvidia.com/gpu"
            yield Finding(("accelerators", key, "resource"), rule, quote(resource))
        if number_of(entry, "emulated"):
            yield Finding(("accelerators", key, "emulated"), "must be 0: a cluster pretends to have nothing")
        yield from _labels(("accelerators", key, "node_selector"), as_map(entry, "node_selector"))
    for key, entry in entries_of(data, "nodes").items():
        yield from _labels(("nodes", key, "selector"), as_map(entry, "selector"))


def _labels(path: Path, labels: Data) -> Iterator[Finding]:
    for name, value in labels.items():
        if not LABEL_KEY.fullmatch(name):
            yield Finding((*path, name), "the key must be the name of a node label", quote(name))
        elif isinstance(value, str) and not LABEL_VALUE.fullmatch(value):
            rule = "must be the value of a node label: at most 63 letters, digits and _ . -"
            yield Finding((*path, name), rule, quote(value))


def _people(data: Data) -> Iterator[Finding]:
    home, identity = as_map(as_map(data, "storage"), "home"), as_map(data, "identity")
    if home.get("backend", "local") == "local":
        hint = "write claims, shared-claim or nfs"
        yield Finding(("storage", "home", "backend"), "needs one machine, and these values are for a cluster", "", hint)
    if identity.get("uid") is None:
        hint = "write identity: {uid: {method: crc32}}, or another method"
        yield Finding(("identity", "uid"), "is missing: a cluster must know to whom files belong", "", hint)
    many = number_of(as_map(data, "limits"), "sessions_per_person") or 1
    if home.get("access") == "ReadWriteOnce" and many > 1:
        rule = "must be ReadWriteMany where a person may have several sessions: they may be on different nodes"
        yield Finding(("storage", "home", "access"), rule, quote("ReadWriteOnce"), "or allow one session a person")


def _one_volume(storage: Data) -> Iterator[Finding]:
    """Folders beside one another in one volume: no person's name makes a home of the folder of a project."""
    home, project = as_map(storage, "home"), as_map(storage, "project")
    homes, projects = _place(home), _place(as_map(project, "volume")) or _place(home)
    own = _beginning(home.get("path", "user-{name}"))
    theirs = _beginning(project.get("path", "shared-{group}"))
    if homes and homes == projects and (own.startswith(theirs) or theirs.startswith(own)):
        rule = "must begin in another way than storage.home.path: both are in one volume"
        yield Finding(("storage", "project", "path"), rule, quote(project.get("path", "shared-{group}")))
    public = as_map(storage, "public")
    folder, place = public.get("folder", "public"), _place(as_map(public, "volume")) or homes
    beginnings = [one for one, where in ((own, homes), (theirs, projects)) if where and where == place]
    if public and isinstance(folder, str) and any(folder.startswith(one) for one in beginnings):
        rule = "must begin in another way than the folders of people and projects in the same volume"
        yield Finding(("storage", "public", "folder"), rule, quote(folder))


def _place(volume: Data) -> tuple[Any, ...]:
    """What tells volumes apart; empty when nothing is said, or when everybody has an own one."""
    if volume.get("claim") is not None:
        return ("claim", str(volume["claim"]))
    return ("nfs", str(volume["server"]), str(volume.get("export", "/"))) if volume.get("server") is not None else ()


def _beginning(pattern: Any) -> str:
    """What stands in a pattern before the name."""
    return pattern.partition("{")[0] if isinstance(pattern, str) else "?"


def _kueue(data: Data) -> Iterator[Finding]:
    catalogue, nodes = entries_of(data, "accelerators"), entries_of(data, "nodes")
    resources = {entry["resource"] for entry in catalogue.values() if isinstance(entry.get("resource"), str)}
    if len(resources) > MAX_RESOURCES:
        rule = f"must have at most {MAX_RESOURCES} different resources for Kueue, and there are {len(resources)}"
        yield Finding(("accelerators",), rule)
    reserved = {key: as_map(entry, "selector") for key, entry in nodes.items() if entry.get("taint") is not None}
    for key, selector in reserved.items():
        if not selector:
            hint = "give the nodes a label, and write it"
            yield Finding(("nodes", key, "selector"), "is missing: a reserved class needs one", "", hint)
        most = max((len(as_map(entry, "node_selector")) for entry in catalogue.values()), default=0)
        if len(selector) + most > MAX_LABELS:
            rule = f"must have at most {MAX_LABELS} labels together with the node selector of any accelerator"
            yield Finding(("nodes", key, "selector"), rule, f"{len(selector)} and {most}")
    for key, project in entries_of(data, "projects").items():
        if as_map(project, "guaranteed") and len(key) > MAX_GUARANTEED_KEY:
            rule = f"the key must have at most {MAX_GUARANTEED_KEY} characters where there is a guarantee"
            yield Finding(("projects", key), rule, quote(key))
        yield from _queue_of(key, project, as_map(data, "projects"))


def _queue_of(key: str, project: Data, projects: Data) -> Iterator[Finding]:
    other = f"{key}-guaranteed"
    if as_map(project, "guaranteed") and other in projects:
        rule = f"the key must be another one: the guarantee of {quote(key)} has a queue of that name"
        yield Finding(("projects", other), rule, quote(other))


def _without_kueue(data: Data) -> Iterator[Finding]:
    hint = "add kubernetes: {kueue: {}}, or remove it"
    for key, project in entries_of(data, "projects").items():
        if as_map(project, "guaranteed"):
            yield Finding(("projects", key, "guaranteed"), "needs Kueue, and the cluster has none", "", hint)
    for key, profile in entries_of(data, "profiles").items():
        if profile.get("wait") is not None:
            yield Finding(("profiles", key, "wait"), "needs Kueue, and the cluster has none", "", hint)
