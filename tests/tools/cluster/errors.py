"""What goes wrong with the tests' cluster, in sentences."""

from __future__ import annotations

from pathlib import Path

LAST_LINES = 25


class ClusterError(Exception):
    """A sentence that says what failed and what to do."""


def last_lines(text: str, count: int = LAST_LINES) -> str:
    """The end of a program's output, indented."""
    return "\n".join(f"    {line}" for line in text.splitlines()[-count:])


def end_of(log: Path) -> str:
    """The end of a log file, indented; a word when there is none."""
    try:
        return last_lines(log.read_text(errors="replace")) or "    (it wrote nothing)"
    except OSError:
        return "    (it has no log)"
