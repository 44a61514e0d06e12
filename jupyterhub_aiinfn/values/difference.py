"""What is different between two values, path by path, and what of it a running platform can take over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .document import Values
from .load import plain_values
from .reading import Path, dotted

RELOADED: tuple[Path, ...] = (
    ("nodes",),
    ("accelerators",),
    ("images",),
    ("projects",),
    ("profiles",),
    ("accounting",),
    ("site", "currency"),
    ("identity", "users"),
    ("identity", "allowed_groups"),
    ("identity", "admin_groups"),
)
"""What hub and service take over while they run; everything else is read once, at the start of the platform."""
MAX_SHOWN = 100


@dataclass(frozen=True)
class Difference:
    """One path that is added, removed or changed."""

    path: Path
    kind: Literal["added", "changed", "removed", "order"]
    old: Any = None
    new: Any = None

    @property
    def needs_restart(self) -> bool:
        """Whether a running platform cannot take it over."""
        return not any(self.path[: len(one)] == one for one in RELOADED)

    def __str__(self) -> str:
        name = dotted(self.path)
        if self.kind == "added":
            return f"+ {name}: {shown(self.new)}"
        if self.kind == "removed":
            return f"- {name}: {shown(self.old)}"
        order = " (order)" if self.kind == "order" else ""
        return f"~ {name}{order}: {shown(self.old)} -> {shown(self.new)}"


def differences(old: Values, new: Values) -> list[Difference]:
    """Every difference, in the order of the file; empty exactly when the hashes are the same."""
    return list(_compare(plain_values(old), plain_values(new), ()))


def held_together(old: Values, new: Values) -> Values:
    """What a platform that runs with ``old`` holds after ``new`` was applied: ``new`` where it can be reloaded."""
    sections = {str(path[0]) for path in RELOADED if len(path) == 1} & Values.model_fields.keys()
    parts = {str(path[0]) for path in RELOADED if len(path) == 2}
    held = {key: getattr(new, key) for key in sorted(sections)} | {key: _held(key, old, new) for key in sorted(parts)}
    return old.model_copy(update=held)


def _held(section: str, old: Values, new: Values) -> Any:
    """A section of which a running platform takes over only some keys."""
    keys = sorted(str(path[1]) for path in RELOADED if len(path) == 2 and path[0] == section)
    return getattr(old, section).model_copy(update={key: getattr(getattr(new, section), key) for key in keys})


def shown(value: Any) -> str:
    """A value on one line, not longer than somebody reads."""
    text = json.dumps(value, ensure_ascii=False)
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return clean if len(clean) <= MAX_SHOWN else f"{clean[: MAX_SHOWN - 1]}…"


def _compare(old: Any, new: Any, path: Path) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _compare_maps(old, new, path)
    elif old != new:
        yield Difference(path, "changed", old, new)


def _compare_maps(old: dict[str, Any], new: dict[str, Any], path: Path) -> Iterator[Difference]:
    for key in [*old, *(key for key in new if key not in old)]:
        if key not in new:
            yield Difference((*path, key), "removed", old=old[key])
        elif key not in old:
            yield Difference((*path, key), "added", new=new[key])
        else:
            yield from _compare(old[key], new[key], (*path, key))
    before, after = _kept(old, new), _kept(new, old)
    # Pages show entries in the order of the file.
    if before != after:
        yield Difference(path, "order", list(old), list(new))


def _kept(one: dict[str, Any], other: dict[str, Any]) -> Sequence[str]:
    return [key for key in one if key in other]
