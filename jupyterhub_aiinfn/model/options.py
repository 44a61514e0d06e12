"""The options of a start as they come from a form, a link or REST: untrusted, and read into plain strings here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from jupyterhub_aiinfn.errors import Malformed

LAUNCH_KEYS = ("git", "branch", "file")
"""Files that a link brings, see :mod:`~jupyterhub_aiinfn.model.launch_links`."""
OPTION_KEYS = ("profile", "size", "accelerator", "count", "project", *LAUNCH_KEYS)
MAX_LENGTH = 200
"""Longer than any key that the values can hold (63), shorter than anything that hurts; otherwise arbitrary."""
MAX_LAUNCH_LENGTH = 1000
"""Of a repository, a branch or a file; what they may hold is checked where they are read."""


def read_options(options: object) -> dict[str, str]:
    """The options that were set, as strings; :class:`Malformed` for anything that the page could not have sent.

    A value is a string, a list of one string (what a form sends), a whole number for ``count``, or None or empty
    text, which both mean "not set".
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise Malformed(f"options must be a set of names and values; send some of {listed(OPTION_KEYS)}")
    unknown = [key for key in options if key not in OPTION_KEYS]
    if unknown:
        raise Malformed(_unknown(unknown[0]))
    read = {key: _text(key, options[key]) for key in OPTION_KEYS if key in options}
    return {key: value for key, value in read.items() if value}


def quoted(value: object) -> str:
    """A value from outside in double quotes: short, on one line, without control characters."""
    text = value if isinstance(value, str) else type(value).__name__
    short = text[:40] + ("…" if len(text) > 40 else "")
    if not short.isprintable():
        short = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in short)
    return f'"{short}"'


def listed(names: Iterable[str], word: str = "or", limit: int = 8) -> str:
    """``a, b or c``; of more than ``limit`` names the first ones and how many more there are."""
    found = list(names)
    if len(found) > limit:
        return f"{', '.join(found[:limit])} and {len(found) - limit} more"
    return f" {word} ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)


def _unknown(key: object) -> str:
    near = difflib.get_close_matches(key[:MAX_LENGTH], OPTION_KEYS, 1) if isinstance(key, str) else []
    remedy = f"did you mean {quoted(near[0])}?" if near else f"known are {listed(OPTION_KEYS, 'and')}"
    return f"there is no option {quoted(key)}; {remedy}"


def _text(key: str, value: object) -> str:
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise Malformed(f'the option "{key}" was given {len(value)} times; give it once')
        value = value[0] if value else None
    if key == "count" and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**6:
        value = str(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f'the option "{key}" must be a text, not {_kind(value)}; send the key that the page shows')
    if len(value) > (longest := MAX_LAUNCH_LENGTH if key in LAUNCH_KEYS else MAX_LENGTH):
        raise Malformed(f'the option "{key}" is longer than {longest} characters; send what the page shows')
    return value


def _kind(value: object) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", dict: "a map", list: "a list"}
    return kinds.get(type(value), "something else")
