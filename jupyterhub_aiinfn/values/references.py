"""What one entry of the values file says about another: checked on the data as read, so that no typo hides another.

Everything here takes wrong types in its stride (they are reported by the models) and looks at the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import chain, combinations, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from jupyterhub_aiinfn.errors import Problem

from .cluster_references import cluster_findings
from .explain import nearest
from .findings import Data, Finding, as_map, entries_of, texts_of
from .quoting import quote
from .reading import Document, Path, dotted
from .site import Site

MAX_ALIKE = 200
"""Accelerators of one resource: each is compared with each, which in a hostile file would take minutes."""


def reference_problems(document: Document) -> Iterator[Problem]:
    """Everything that is wrong between entries, in the order of the file's sections."""
    if isinstance(document.data, dict):
        for found in _findings(document.data):
            yield Problem(dotted(found.path), found.rule, found.value, found.hint, document.line(found.path))


def _findings(data: Data) -> Iterator[Finding]:
    yield from _site(as_map(data, "site"))
    yield from _accelerators(entries_of(data, "accelerators"))
    yield from _images(entries_of(data, "images"))
    yield from _projects(data)
    yield from _profiles(data)
    for key in ("cpu_core_hour", "memory_gib_hour"):
        yield from _prices(("accounting", key), as_map(data, "accounting").get(key))
    yield from cluster_findings(data)


def _site(site: Data) -> Iterator[Finding]:
    zone = site.get("timezone", Site.model_fields["timezone"].default)
    if isinstance(zone, str) and zone and not _is_zone(zone):
        yield Finding(("site", "timezone"), "must be an IANA time zone such as Europe/Rome", quote(zone))


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def _accelerators(entries: dict[str, Data]) -> Iterator[Finding]:
    for key, entry in entries.items():
        yield from _fraction(key, entry)
        yield from _prices(("accelerators", key, "price_per_hour"), entry.get("price_per_hour"))
        counts = entry.get("per_session")
        if isinstance(counts, list) and all(isinstance(one, int) for one in counts) and len(set(counts)) < len(counts):
            yield Finding(("accelerators", key, "per_session"), "must not list a number twice", quote(counts))
    yield from _overlaps(entries)


def _fraction(key: str, entry: Data) -> Iterator[Finding]:
    parts = str(entry.get("fraction", "")).split("/")
    is_fraction = len(parts) == 2 and all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts)
    if is_fraction and int(parts[0]) > int(parts[1]):
        yield Finding(("accelerators", key, "fraction"), "must be at most 1", quote(entry["fraction"]))


def _prices(path: Path, prices: Any) -> Iterator[Finding]:
    """Each price begins after the one before it, so that one price holds on each day."""
    entries = prices if isinstance(prices, list) else []
    days = [_date(entry.get("from")) if isinstance(entry, dict) else None for entry in entries]
    for index, (before, day) in enumerate(pairwise(days), 1):
        if before and day and day <= before:
            rule = f"must be after the day of the price before it, {before}"
            yield Finding((*path, index, "from"), rule, str(day), "write prices in the order of their days")


def _overlaps(entries: dict[str, Data]) -> Iterator[Finding]:
    """Two accelerators of one resource are told apart by a node label on which their selectors differ."""
    by_resource: dict[str, list[str]] = {}
    for key, entry in entries.items():
        if isinstance(entry.get("resource"), str):
            by_resource.setdefault(entry["resource"], []).append(key)
    for resource, keys in by_resource.items():
        if len(keys) > MAX_ALIKE:
            rule = f"must have at most {MAX_ALIKE} entries of one resource, and {len(keys)} have {quote(resource)}"
            yield Finding(("accelerators",), rule)
    pairs = chain.from_iterable(combinations(keys[:MAX_ALIKE], 2) for keys in by_resource.values())
    for one, other in pairs:
        if _overlap(entries[one], entries[other]):
            same = f"which has the same resource {quote(entries[one]['resource'])}"
            yield Finding(
                ("accelerators", other, "node_selector"),
                f"a node could be both this and {quote(one)}, {same}",
                quote(entries[other].get("node_selector", {})),
                "give both a node label with different values",
            )


def _overlap(one: Data, other: Data) -> bool:
    first, second = as_map(one, "node_selector"), as_map(other, "node_selector")
    return not any(_differ(first[label], second[label]) for label in first.keys() & second.keys())


def _differ(one: Any, other: Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one != other


def _images(entries: dict[str, Data]) -> Iterator[Finding]:
    for key, entry in entries.items():
        if entry.get("folder") is None and entry.get("reference") is None:
            hint = "a folder serves one machine, a reference serves Kubernetes"
            yield Finding(("images", key), "must have a folder or a reference", hint=hint)


def _projects(data: Data) -> Iterator[Finding]:
    projects = entries_of(data, "projects")
    personal = [key for key, entry in projects.items() if entry.get("personal") is True]
    for key in personal[1:]:
        rule = f"only one project may be personal, and {quote(personal[0])} is"
        yield Finding(("projects", key, "personal"), rule, "true")
    units = [unit for _, unit in texts_of(as_map(data, "site"), "units")]
    catalogue = as_map(data, "accelerators")
    for key, entry in projects.items():
        yield from _project(key, entry, units)
        yield from _project_devices(key, entry, catalogue)


def _project(key: str, entry: Data, units: list[str]) -> Iterator[Finding]:
    unit = entry.get("unit")
    if isinstance(unit, str) and unit not in units:
        yield Finding(("projects", key, "unit"), "is not one of site.units", quote(unit), nearest(unit, units))
    starts, until = _date(entry.get("from")), _date(entry.get("until"))
    if starts and until and starts > until:
        yield Finding(("projects", key, "until"), f"must not be before from, {starts}", str(until))
    members = entry.get("groups") or entry.get("leaders")
    if entry.get("personal") is True and entry.get("groups"):
        hint = "remove the groups: everybody who is in no other project is in it"
        rule = "a personal project has no groups"
        yield Finding(("projects", key, "groups"), rule, quote(entry["groups"]), hint)
    if entry.get("personal") is True and entry.get("storage_gib") is not None:
        hint = "remove it: the home is the place of who is in no other project"
        yield Finding(("projects", key, "storage_gib"), "a personal project has no folder", "", hint)
    if entry.get("personal") is not True and not members:
        hint = "name groups or leaders, or set personal: true"
        yield Finding(("projects", key), "nobody would be a member", "", hint)


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        return None


def _project_devices(key: str, entry: Data, catalogue: Data) -> Iterator[Finding]:
    allowed = [name for _, name in texts_of(entry, "accelerators")]
    yield from _known(("projects", key), entry, catalogue)
    of_user = as_map(as_map(entry, "per_user"), "accelerators")
    caps: list[tuple[Path, Data]] = [(("at_most",), as_map(entry, "at_most")), (("per_user", "accelerators"), of_user)]
    for where, names in caps:
        for name in names:
            path = ("projects", key, *where, name)
            if name not in catalogue:
                yield Finding(path, "is not an accelerator", quote(name), nearest(name, catalogue))
            elif isinstance(entry.get("accelerators"), list) and name not in allowed:
                rule = "limits an accelerator that the project may not use"
                yield Finding(path, rule, quote(name), "add it to the project's accelerators, or remove the limit")


def _known(path: Path, entry: Data, catalogue: Data) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in texts_of(entry, "accelerators"):
        where = (*path, "accelerators", index)
        if name not in catalogue:
            yield Finding(where, "is not an accelerator", quote(name), nearest(name, catalogue))
        elif name in seen:
            yield Finding(where, "is listed twice", quote(name))
        seen.add(name)


def _profiles(data: Data) -> Iterator[Finding]:
    images, catalogue = as_map(data, "images"), as_map(data, "accelerators")
    for key, entry in entries_of(data, "profiles").items():
        image = entry.get("image")
        if isinstance(image, str) and image not in images:
            yield Finding(("profiles", key, "image"), "is not an image", quote(image), nearest(image, images))
        yield from _known(("profiles", key), entry, catalogue)
