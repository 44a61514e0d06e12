"""What of buildah's store is taken out after a build: images whose key nobody builds or uses any more."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from .builders import Builder
from .plan import IMAGES, PREFIX, ImagesError
from .report import Record

KEYED = re.compile(rf"{re.escape(PREFIX)}/({'|'.join(image.name for image in IMAGES)}):[0-9a-f]{{16}}(-unproven)?")
"""A name that a build gave. Those by version, what people named themselves, and the small base are never taken out."""


@dataclass(frozen=True)
class Stored:
    """One image of the store: built under names, or the unnamed end of a stage from which builds copied."""

    id: str
    names: tuple[str, ...]
    created: datetime


def outdated(
    found: Iterable[Stored],
    kept: Collection[str],
    used: Mapping[str, datetime],
    current: Iterable[Record],
    before: datetime,
    stages_before: datetime,
) -> list[Stored]:
    """The images to take out, named ones first.

    Of those with names: all names are keys, none is in ``kept``, and each was made and ``used`` before that moment.
    Of those without: made before the other moment, and not while one of the ``current`` images was built, whose stages
    a next build goes on from.
    """
    times = [_building(record) for record in current]

    def is_outdated(image: Stored) -> bool:
        if not image.names:
            building = any(begun <= image.created <= ended for begun, ended in times)
            return image.created < stages_before and not building
        return image.created < before and all(
            KEYED.fullmatch(name) and name not in kept and not (name in used and used[name] >= before)
            for name in image.names
        )

    return sorted((image for image in found if is_outdated(image)), key=lambda one: not one.names)


def _building(record: Record) -> tuple[datetime, datetime]:
    ended = datetime.fromisoformat(record.built_at) + timedelta(seconds=1)
    return ended - timedelta(seconds=record.build_seconds + record.verify_seconds + 2), ended


def stored(builder: Builder) -> list[Stored]:
    """The images with a name, and those without one that no other stands on."""
    named = _listed(builder, [])
    return [one for one in named if one.names] + _listed(builder, ["--filter", "dangling=true"])


def _listed(builder: Builder, options: list[str]) -> list[Stored]:
    said = builder.run([*builder.program, "images", "--json", "--no-trunc", *options])
    return [
        Stored(one["id"], tuple(one.get("names") or ()), datetime.fromisoformat(one["createdatraw"]))
        for one in json.loads(said or "[]") or []
    ]


def bytes_of(store: Path) -> int:
    """What the layers of a store hold, as the store itself counts them; 0 when it cannot be read."""
    try:
        layers = json.loads((store / "store" / "overlay-layers" / "layers.json").read_text())
        return sum(int(one.get("diff-size", 0)) for one in layers)
    except (OSError, ValueError, TypeError, AttributeError):
        return 0


def take_out(builder: Builder, images: Iterable[Stored]) -> list[Stored]:
    """Take these images out, each with the unnamed ones that only it stood on; returns those that are gone.

    An image that a container uses stays: nothing is forced.
    """
    gone = []
    for image in images:
        try:
            builder.run([*builder.program, "rmi", *(image.names or (image.id,))])
        except ImagesError:
            continue
        gone.append(image)
    return gone


def read_used(file: Path) -> dict[str, datetime]:
    """When each name was wanted last, as earlier runs wrote it; nothing when that cannot be read."""
    try:
        return {str(name): _moment(text) for name, text in json.loads(file.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


def write_used(file: Path, used: Mapping[str, datetime]) -> None:
    """Replace the file in one step."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps({name: moment.isoformat(timespec="seconds") for name, moment in used.items()}) + "\n")
    part.replace(file)


def sentence(gone: list[Stored], freed: int) -> str:
    """What was taken out, for a person; empty when nothing was."""
    if not gone:
        return ""
    names = sorted(name.removeprefix(f"{PREFIX}/") for image in gone for name in image.names)
    stages = sum(not image.names for image in gone)
    parts = [", ".join(names)] if names else []
    parts += [f"{stages} stage{'s' * (stages != 1)} of builds"] if stages else []
    return f"taken out of the store: {' and '.join(parts)}; {freed / 1e9:.2f} GB freed"
