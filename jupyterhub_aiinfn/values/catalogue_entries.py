"""One entry of today's accelerator catalogue: an accelerator, or a class of machines when it has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .prices import check_price
from .quoting import quote
from .words import figure, free_key, word

Data = dict[str, Any]
Say = Callable[[str], None]
PRICE = "price_per_hour"
"""Today's catalogue has no prices; a site that added them under the name of the values file means what it says."""
KNOWN = frozenset(
    (
        *("name", "short_name", "description", "node_selector", "memory_gb", "preference_weight"),
        *("type", "extended_resource", PRICE),
    )
)
TYPES = ("gpu", "fpga", "qpu")
OF_RESOURCE = (("xilinx", "fpga"), ("fpga", "fpga"), ("/gpu", "gpu"), ("/mig-", "gpu"))
"""What the name of a resource says about the type of an entry that says nothing itself."""


def read_entry(number: int, entry: Any, sections: dict[str, Data], say: Say) -> None:
    """Carry one entry over into ``nodes`` or ``accelerators``, and say what of it could not be."""
    if not isinstance(entry, dict):
        say(f"entry {number} was not carried over: it is {quote(entry)}, not a map of keys and values")
        return
    title = word(entry.get("name")) or word(entry.get("short_name"))
    where = f"entry {number} ({quote(title)})" if title else f"entry {number}"
    if not title:
        say(f"{where} was not carried over: it has no name")
        return
    for key in entry.keys() - KNOWN:
        say(f"{where}: {quote(key)} is not known and was not carried over")
    kind = _kind(entry, where, say)
    if kind == "cpu":
        _node_class(entry, title, where, sections["nodes"], say)
    elif kind:
        _accelerator(entry, kind, title, where, sections["accelerators"], say)


def _kind(entry: Data, where: str, say: Say) -> str:
    """``gpu``, ``fpga``, ``qpu``; ``cpu`` for an entry without an accelerator; "" (said) when nobody can know."""
    given, resource = word(entry.get("type")).lower(), word(entry.get("extended_resource"))
    if given in TYPES:
        return given
    if given and given != "cpu":
        say(f"{where} was not carried over: its type is {quote(entry['type'])}; known are {', '.join(TYPES)}")
        return ""
    if not resource:
        return "cpu"
    kind = next((kind for mark, kind in OF_RESOURCE if mark in resource.lower()), "")
    if kind:
        say(f"{where} has no type; {kind} was taken from its resource {quote(resource)}")
    else:
        say(f"{where} was not carried over: it has no type, and {quote(resource)} does not say one; write its type")
    return kind


def _node_class(entry: Data, title: str, where: str, nodes: Data, say: Say) -> None:
    selector = _selector(entry, where, say)
    if not selector:
        say(f"{where} has no accelerator and no node selector: its class of nodes stands for every node")
    for key in ("memory_gb", "preference_weight", PRICE):
        if figure(entry.get(key)):
            say(f"{where}: {key} means nothing without an accelerator and was not carried over")
    nodes[free_key(title, nodes)] = {"selector": selector}


def _accelerator(entry: Data, kind: str, title: str, where: str, accelerators: Data, say: Say) -> None:
    shown = word(entry.get("short_name")) or title
    key = free_key(shown, accelerators)
    if key != free_key(shown, ()):
        say(f"{where}: another entry has the key {free_key(shown, ())} already, so this one is {key}")
    resource = word(entry.get("extended_resource"))
    if len(resource) > 120:
        say(f"{where} was not carried over: its resource has {len(resource)} characters, at most 120 are a resource")
        return
    if not resource:
        say(f"{where} has no extended resource: a cluster cannot tell where it is; add accelerators.{key}.resource")
    fields = {
        "type": kind,
        "name": shown[:120],
        "description": _description(entry, where, say),
        "resource": resource,
        "node_selector": _selector(entry, where, say),
        "memory_gb": _within(entry, "memory_gb", (0, 100_000), where, say),
        "preference_weight": _weight(entry, where, say),
        PRICE: _price(entry, where, say),
    }
    accelerators[key] = {name: value for name, value in fields.items() if value not in ("", None, {})}


def _description(entry: Data, where: str, say: Say) -> str:
    text = word(entry.get("description"))
    if len(text) > 2000:
        say(f"{where}: its description has {len(text)} characters; the first 2000 were carried over")
    return text[:2000]


def _selector(entry: Data, where: str, say: Say) -> dict[str, str]:
    """Labels and values as texts. A selector that is no map cannot be understood."""
    given = entry.get("node_selector")
    if not isinstance(given, dict):
        if given is not None and word(given):
            say(f"{where}: its node selector is {quote(given)}, not a map of labels, and was not carried over")
        return {}
    found = {}
    for label, value in given.items():
        # Labels are texts: what YAML reads as true or as a number was meant as that word.
        text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool | int | float) else ""
        if label and 0 < len(text) <= 120:
            found[label] = text
        else:
            say(f"{where}: the node label {quote(label)} with {quote(value)} was not carried over")
    return found


def _within(entry: Data, key: str, bounds: tuple[float, float], where: str, say: Say) -> float | None:
    """A figure above the first bound, up to the second; 0 and nothing are the same."""
    given = entry.get(key)
    number = figure(given)
    if number is not None and bounds[0] < number <= bounds[1]:
        return int(number) if number.is_integer() else number
    if number != 0 and (isinstance(given, dict | list) or word(given)):
        say(f"{where}: {key} is {quote(given)}, not a figure up to {bounds[1]:g}, and was not carried over")
    return None


def _weight(entry: Data, where: str, say: Say) -> int | None:
    given = entry.get("preference_weight")
    number = figure(given)
    if number is not None and number.is_integer() and 0 <= number <= 100:
        return int(number)
    if isinstance(given, dict | list) or word(given):
        rule = "not a whole number from 0 to 100"
        say(f"{where}: preference_weight is {quote(given)}, {rule}, and was not carried over")
    return None


def _price(entry: Data, where: str, say: Say) -> float | None:
    """A plain amount; what has a currency, days or too many decimals could be meant in several ways."""
    given = entry.get(PRICE)
    number = figure(given)
    try:
        price = None if number is None else check_price(number)
    except ValueError:
        price = None
    if price is not None:
        say(f"{where}: {PRICE} {price} was taken for an amount in site.currency, EUR unless you write another")
    elif isinstance(given, dict | list) or word(given):
        say(f"{where}: {PRICE} is {quote(given)}, not a price with at most 6 decimals, and was not carried over")
    return price
