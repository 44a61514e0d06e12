"""How the checks between entries look at data as read, whose types may be wrong, and what they find."""

from __future__ import annotations

from typing import Any, NamedTuple

from .reading import Path

Data = dict[str, Any]


class Finding(NamedTuple):
    """A problem whose path is not written out yet."""

    path: Path
    rule: str
    value: str = ""
    hint: str = ""


def as_map(data: Data, key: str) -> Data:
    """The map at ``key``; empty when there is none."""
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def entries_of(data: Data, key: str) -> dict[str, Data]:
    """The entries of the map at ``key`` that are maps themselves."""
    return {name: entry for name, entry in as_map(data, key).items() if isinstance(entry, dict)}


def texts_of(data: Data, key: str) -> list[tuple[int, str]]:
    """The texts of the list at ``key``, with their places."""
    found = data.get(key)
    return [(i, one) for i, one in enumerate(found) if isinstance(one, str)] if isinstance(found, list) else []


def number_of(data: Data, key: str) -> float | None:
    """The number at ``key``; None when there is none."""
    found = data.get(key)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
