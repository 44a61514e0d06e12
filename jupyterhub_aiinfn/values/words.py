"""Words of today's files: what stands for nothing, figures in quotes, names that become keys."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Container

NOTHING = frozenset({"", "none", "null", "nil", "n/a", "-", "~"})
"""Words (in lower case) with which sites say that there is nothing."""
MAX_KEY = 63


def word(value: object) -> str:
    """One line of text without control characters; "" for nothing, for the word None, and for what is no word."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = " ".join("".join(char if char.isprintable() else " " for char in str(value)).split())
    return "" if text.lower() in NOTHING else text


def figure(value: object) -> float | None:
    """A finite number, also one in quotes; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 40:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def key_of(name: str) -> str:
    """``NVIDIA A100 80GB MIG 1g.10gb`` becomes ``nvidia-a100-80gb-mig-1g-10gb``; "" when no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_KEY].strip("-")


def free_key(name: str, taken: Container[str]) -> str:
    """A key made from ``name`` that is not taken: with ``-2``, ``-3`` … behind it where need be."""
    key = key_of(name) or "unnamed"
    if key not in taken:
        return key
    number = 2
    while (numbered := f"{key[: MAX_KEY - len(str(number)) - 1].rstrip('-')}-{number}") in taken:
        number += 1
    return numbered
