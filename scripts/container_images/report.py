"""What was measured when images were built: kept as JSON beside them, shown as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """One image that was built and verified."""

    name: str
    key: str
    bytes: int
    """Of all its files, as they lie in a container."""
    build_seconds: float
    verify_seconds: float
    built_at: str
    builder: str


def read_records(file: Path) -> dict[str, Record]:
    """What an earlier run wrote; nothing when there is none, or none that can be read."""
    try:
        return {name: Record(**fields) for name, fields in json.loads(file.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_records(file: Path, records: Mapping[str, Record]) -> None:
    """Replace the file in one step."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps({name: asdict(record) for name, record in records.items()}, indent=1) + "\n")
    part.replace(file)


def table(records: Iterable[Record]) -> str:
    """A table with a line an image."""
    lines = [f"{'image':10} {'size':>9} {'build':>9} {'verify':>9}  built at"]
    for each in records:
        size = f"{each.bytes / 1e9:.2f} GB"
        times = f"{each.build_seconds:7.1f} s {each.verify_seconds:7.1f} s"
        lines.append(f"{each.name:10} {size:>9} {times}  {each.built_at}")
    return "\n".join(lines)
