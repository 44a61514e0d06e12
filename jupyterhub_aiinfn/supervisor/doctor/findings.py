"""What a check says, and what it is told about the installation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.values import Values


class Level(StrEnum):
    """How bad it is."""

    ok = "ok"
    """It holds."""
    warning = "warning"
    """The platform works, and somebody should know."""
    broken = "BROKEN"
    """The platform does not work, or gives away what it must not."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    level: Level
    sentence: str
    remedy: str = ""
    """What to do, where there is something."""

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Patient:
    """The installation that is looked at."""

    state: StateFolder
    values_file: Path | None
    """The file that was named."""
    cache: Path
    port: int
    values: Values | None
    """The values that count; None when none can be read."""


def ok(name: str, sentence: str) -> Finding:
    """It holds."""
    return Finding(name, Level.ok, sentence)


def warning(name: str, sentence: str, remedy: str = "") -> Finding:
    """Something to know."""
    return Finding(name, Level.warning, sentence, remedy)


def broken(name: str, sentence: str, remedy: str = "") -> Finding:
    """Something that must be mended."""
    return Finding(name, Level.broken, sentence, remedy)
