"""How a value from a file is shown in a message: short, on one line, printable."""

from __future__ import annotations

from typing import Any

MAX_SHOWN = 60


def quote(value: Any) -> str:
    """The value as JSON would write it, at most some sixty characters of it; lists and maps by their size."""
    if isinstance(value, str):
        short = value[:MAX_SHOWN]
        clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in short)
        return f'"{clean}"' if len(value) <= MAX_SHOWN else f'"{clean}…", {len(value)} characters'
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"a map of {len(value)} {'key' if len(value) == 1 else 'keys'}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return str(value)[:MAX_SHOWN]
