"""What all sections of the values file share: frozen models that refuse unknown keys, and the types of the fields."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_DURATION = timedelta(days=3650)
"""Longer than anything here lasts, short enough for every sum of times."""


class Section(BaseModel):
    """A part of the values file: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, populate_by_name=True, use_attribute_docstrings=True
    )


def parse_duration(value: Any) -> timedelta:
    """Read ``90s``, ``15m``, ``2h``, ``1d`` or a sum of them (``1h30m``); ten years at most."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or len(value) > 32 or not re.fullmatch(r"([0-9]{1,9}[smhd])+", value):
        raise ValueError("must be a duration such as 90s, 15m, 2h, 1d or 1h30m")
    parts = re.findall(r"([0-9]+)([smhd])", value)
    seconds = sum(int(number) * DURATION_UNITS[unit] for number, unit in parts)
    if seconds > MAX_DURATION.total_seconds():
        raise ValueError(f"must be at most {format_duration(MAX_DURATION)}")
    return timedelta(seconds=seconds)


def lasting(least: timedelta, most: timedelta = MAX_DURATION) -> AfterValidator:
    """Bounds of a duration, both included, refused in the words of the file."""

    def check(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise ValueError(f"must be between {format_duration(least)} and {format_duration(most)}")
        return value

    return AfterValidator(check)


def format_duration(value: timedelta) -> str:
    """The shortest text that :func:`parse_duration` reads back as ``value`` (whole seconds)."""
    rest, text = int(value.total_seconds()), ""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, DURATION_UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"


RATE_UNITS = {"B/s": 1, "KiB/s": 2**10, "MiB/s": 2**20, "GiB/s": 2**30}
RATE = r"^[0-9]{1,6} ?(B|KiB|MiB|GiB)/s$"


def parse_rate(value: Any) -> int:
    """Read ``20 KiB/s``, ``0 B/s`` or ``2 MiB/s`` as bytes per second; a bare number does not say its unit."""
    found = re.fullmatch(r"([0-9]{1,6}) ?((?:B|KiB|MiB|GiB)/s)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a rate such as 20 KiB/s, 500 B/s or 2 MiB/s")
    return int(found[1]) * RATE_UNITS[found[2]]


def format_rate(value: int) -> str:
    """The shortest text that :func:`parse_rate` reads back as ``value``."""
    unit = next(name for name, size in reversed(RATE_UNITS.items()) if value % size == 0 and (value or size == 1))
    return f"{value // RATE_UNITS[unit]} {unit}"


Rate = Annotated[
    int,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema({"type": "string", "pattern": RATE, "examples": ["20 KiB/s"]}),
]
"""Bytes per second, written with a unit."""

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]{1,9}[smhd])+$", "examples": ["15m", "2h"]}),
]


def parse_date(value: Any) -> date:
    """Read ``2026-12-31``."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and len(value) == 10:
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("must be a date such as 2026-12-31")


Date = Annotated[date, BeforeValidator(parse_date)]
IDENTIFIER, GROUP = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$"
USER, LINE, FRACTION = r"^[a-z0-9][a-z0-9_.-]{0,62}$", r"^[^\x00-\x1f\x7f]+$", r"^[1-9]\d?/[1-9]\d?$"
CURRENCY = r"^[A-Z]{3}$"
TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
HOME = r"^[a-z0-9_-]*\{name\}[a-z0-9_-]*$"
TAINT = r"^[A-Za-z0-9]([A-Za-z0-9_./-]{0,251}[A-Za-z0-9])?=[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
GROUP_FOLDER = r"^[a-z0-9_-]*\{group\}[a-z0-9_-]*$"
EXPORT, HOST = r"^/[A-Za-z0-9._/-]{0,255}$", r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$"
REPOSITORY, NETWORK = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", r"^[0-9a-fA-F.:]{2,45}/[0-9]{1,3}$"
LAUNCH_HOST = r"^(https?://)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?$"
SITE_URL = r"^https?://[a-z0-9]([a-z0-9.-]*[a-z])?(:[1-9][0-9]{0,4})?$"
PATTERN_RULES = {
    IDENTIFIER: "must be 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end",
    GROUP: "must be a group name: 1 to 128 letters, digits and _ . / -, starting with a letter or digit",
    USER: "must be a login name: 1 to 63 lower-case letters, digits and _ . -, starting with a letter or digit",
    LINE: "must be one line of text, not empty",
    TEXT: "must be text without control characters",
    LAUNCH_HOST: "must be a host such as git.example.org, git.example.org:8443 or http://127.0.0.1:8080",
    SITE_URL: "must be the address of a host by its name, such as https://hub.example.org, without a path",
    CURRENCY: "must be a currency in three capital letters, such as EUR or CHF",
    FRACTION: "must be a fraction such as 1/7",
    TAINT: "must be a taint such as reserved=lhcb-flashsim: letters, digits and _ . -, on both sides of one =",
    HOME: "must hold {name} once, and beside it lower-case letters, digits, _ and - only",
    REPOSITORY: "must be the name of a CVMFS repository such as lhcb.cern.ch",
    NETWORK: "must be a network such as 10.1.2.0/24",
    EXPORT: "must be a path on the server: letters, digits and . _ - /, starting with /",
    HOST: "must be the name or address of a host: letters, digits and . : -",
    GROUP_FOLDER: "must hold {group} once, and beside it lower-case letters, digits, _ and - only",
}
"""What the patterns of this module ask for, in words."""

Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
"""Lower-case letters, digits and hyphens, at most 63: valid as a Kubernetes label."""
GroupName = Annotated[str, StringConstraints(pattern=GROUP)]
UserName = Annotated[str, StringConstraints(pattern=USER)]
ObjectName = Identifier
"""Name of an object of a cluster: what is an identifier is a name for every kind of them."""
Text = Annotated[str, StringConstraints(max_length=2000, pattern=TEXT)]
Line = Annotated[str, StringConstraints(max_length=120, pattern=LINE)]
Cores = Annotated[float, Field(gt=0, le=4096, allow_inf_nan=False)]
MemoryGiB = Annotated[float, Field(gt=0, le=65536, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=100_000)]
PositiveCount = Annotated[int, Field(ge=1, le=100_000)]
