"""Properties of the groups of today's hub: groups become projects, privileges and extra choices become sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from .base import GROUP, PATTERN_RULES
from .quoting import quote
from .words import figure, free_key, word

Data = dict[str, Any]
Say = Callable[[str], None]
MAX_TEXT = 100_000
"""Characters of properties that the database keeps as a text (arbitrary)."""
OF_THE_HUB = frozenset({"kind", "name", "users", "roles", "properties", "id"})
"""What the hub says about a group beside its properties."""
KNOWN = frozenset({"cpu", "mem_gb", "storage", "system"})


def read_groups(data: dict[str, Any] | list[Any], projects: Data, say: Say) -> None:
    """Every group that is no privilege becomes a project of its members; the rest is said."""
    for name, properties in _groups(data, say):
        where = f"group {quote(name)}"
        for key in sorted(properties.keys() - KNOWN):
            say(f"{where}: the property {quote(key)} is not known and was not carried over")
        _say_choices(name, properties, say)
        if (buckets := properties.get("storage")) is not None and buckets != []:
            listed = ", ".join(quote(bucket) for bucket in (buckets if isinstance(buckets, list) else [buckets])[:20])
            say(f"{where}: its extra buckets were not carried over, values have no section for them: {listed}")
        if _is_true(properties.get("system")):
            say(
                f"{where} is a privilege and no project, and was not carried over; where its members administer the "
                "platform, write it into identity.admin_groups"
            )
        elif not re.fullmatch(GROUP, name):
            say(f"{where} was not carried over: {PATTERN_RULES[GROUP]}")
        else:
            projects[free_key(name, projects)] = {"name": name[:120], "groups": [name]}


def _groups(data: dict[str, Any] | list[Any], say: Say) -> Iterator[tuple[str, Data]]:
    """Names and properties, from a map or from a list as the hub's REST API and its table of groups give it."""
    entries = data.items() if isinstance(data, dict) else ((_name(entry), entry) for entry in data)
    seen: set[str] = set()
    for number, (name, entry) in enumerate(entries, 1):
        title = word(name)
        if not title or title in seen:
            what = f"group {quote(title)} is there twice; the second" if title else f"group {number}"
            say(f"{what} was not carried over{'' if title else ': it has no name'}")
            continue
        seen.add(title)
        yield title, _properties(title, entry, say)


def _name(entry: Any) -> Any:
    return entry.get("name") if isinstance(entry, dict) else None


def _properties(name: str, entry: Any, say: Say) -> Data:
    found = entry
    if isinstance(entry, dict) and "properties" in entry and not entry.keys() - OF_THE_HUB:
        found = entry["properties"]
    elif isinstance(entry, dict) and "name" in entry:
        found = {key: value for key, value in entry.items() if key not in OF_THE_HUB}
    if isinstance(found, str) and word(found):
        found = _from_text(found)
    if found is None or found == "":
        return {}
    if not isinstance(found, dict):
        say(f"group {quote(name)}: its properties are {quote(found)}, not a map, and were not carried over")
        return {}
    return found


def _from_text(text: str) -> Any:
    """The hub's table of groups keeps properties as JSON; the text itself when it is none."""
    try:
        return json.loads(text) if len(text) <= MAX_TEXT else text
    except (ValueError, RecursionError):
        return text


def _say_choices(name: str, properties: Data, say: Say) -> None:
    """Extra choices belong to profiles, and no profile is invented: say which sizes members have today."""
    cores, memory = _figures(properties.get("cpu")), _figures(properties.get("mem_gb"))
    for key in ("cpu", "mem_gb"):
        if properties.get(key) is not None and not _figures(properties[key]):
            say(f"group {quote(name)}: {key} is {quote(properties[key])}, no figure, and was not carried over")
    said = [f"{', '.join(cores)} cores"] if cores else []
    said += [f"{', '.join(memory)} GB"] if memory else []
    if said:
        say(
            f"group {quote(name)}: its members may choose also {' and '.join(said)}; this was not carried over, "
            f"add a profile with these sizes and for: [{name}]"
        )


def _figures(value: Any) -> list[str]:
    """``[8, 16]``, ``8`` or ``"8, 16"`` as figures above 0."""
    parts = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else [value]
    numbers = [figure(part) for part in parts[:100]]
    return [f"{number:g}" for number in numbers if number is not None and number > 0]


def _is_true(value: Any) -> bool:
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in ("true", "yes", "1"))
