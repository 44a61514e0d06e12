"""Environments of a person's own: which names and packages are good, and in which state one is; all pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from jupyterhub_aiinfn.errors import OwnEnvironmentError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(?:\[[A-Za-z0-9 ,._-]*\])?(?P<rest>.*)")
VERSIONS = re.compile(r"\s*(?:\(?\s*(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+\s*,?\s*\)?)*\s*(?:;[^#;]+)?")
ADDRESS = re.compile(r"\s*@\s*(?P<url>(?:git\+)?https://[^\s;]+)\s*(?:;[^#;]+)?")
HASH = re.compile(r"sha(?:256|384|512):[0-9a-f]{64,128}")
LONGEST_PACKAGE, MOST_PACKAGES, MOST_PINS = 300, 100, 2000
"""Arbitrary: far more than anybody types, and little for a program."""
HOME = "~"
"""The place that is a person's home; every other place is the key of a project (which cannot be a tilde)."""


class State(StrEnum):
    """What can be said of an environment now."""

    ready = "ready"
    """It can be used in this session."""
    working = "working"
    """Something is being done with it just now."""
    unfinished = "unfinished"
    """Making it was interrupted."""
    base_changed = "base-changed"
    """The image below it, or its Python, is another one since."""
    other_image = "other-image"
    """It lies on an image that this session does not have."""
    damaged = "damaged"
    """Its record or its interpreter cannot be read."""


@dataclass(frozen=True)
class Base:
    """The environment of an image, on which others are laid."""

    image: str
    """Key of the image in the values file."""
    title: str
    """What people read."""
    prefix: str
    """Where it is in this session."""
    python: str
    """``3.11``."""
    fingerprint: str
    """Changes when what is installed there changes."""


@dataclass(frozen=True)
class Record:
    """What an environment remembers of itself; enough to make it again."""

    name: str
    image: str
    image_title: str
    fingerprint: str
    """Of the base it was made on."""
    python: str
    requested: tuple[str, ...] = ()
    """The packages that the person asked for, as they wrote them."""
    hashes: dict[str, str] = field(default_factory=dict)
    """``name==version``: ``sha256:…``, as pip reported what it installed."""
    finished: bool = False
    created_at: str = ""
    created_by: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class Pin:
    """One line of a lock file; ``hashes`` is empty where pip could not tell."""

    package: str
    hashes: tuple[str, ...] = ()


def checked_name(name: str) -> str:
    """The name, when it is a good one. Raises :class:`OwnEnvironmentError`."""
    if NAME.fullmatch(name):
        return name
    raise OwnEnvironmentError(
        f'"{shortened(name)}" cannot be the name of an environment; use 1 to 41 of the characters a-z, 0-9 and -, '
        "beginning with a letter or a digit"
    )


def checked_packages(packages: Sequence[str]) -> tuple[str, ...]:
    """The packages without blanks around them, each once. Raises :class:`OwnEnvironmentError` for the first bad one."""
    if len(packages) > MOST_PACKAGES:
        raise OwnEnvironmentError(
            f"{len(packages)} packages at a time are too many (the most is {MOST_PACKAGES}); install them in parts"
        )
    return tuple(dict.fromkeys(checked_package(package) for package in packages))


def checked_package(package: str) -> str:
    """``numpy``, ``numpy>=2,<3``, ``pkg[extra]==1.0; python_version > "3.10"`` or ``name @ https://…``.

    Nothing that pip could take for an option or for a file, and no password in an address: it would be written down.
    """
    text = package.strip()
    if len(text) > LONGEST_PACKAGE:
        raise OwnEnvironmentError(f'the package "{shortened(text)}" is too long; {LONGEST_PACKAGE} characters at most')
    found = PACKAGE.fullmatch(text) if text.isprintable() else None
    if found is None:
        raise OwnEnvironmentError(_no_package(text))
    address = ADDRESS.fullmatch(found["rest"])
    if address is not None:
        _check_address(address["url"])
    elif not VERSIONS.fullmatch(found["rest"]):
        raise OwnEnvironmentError(_no_package(text))
    return text


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url.removeprefix("git+"))
        secret = parts.username is not None or parts.password is not None
    except ValueError:
        raise OwnEnvironmentError(_no_package(url)) from None
    if secret:
        raise OwnEnvironmentError(
            f"the address at {parts.hostname} holds a user name or a password, which would be written into the "
            "environment's record; give an address without it"
        )


def _no_package(text: str) -> str:
    return (
        f'"{shortened(text)}" is not a package; write a name as on the package index, with versions if you like '
        "(numpy, numpy>=2, name @ https://…)"
    )


def shortened(text: str) -> str:
    """What a sentence can hold of a text that anybody may have written."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:60])
    return shown + ("…" if len(text) > len(shown) else "")


def parse_requirements(text: str) -> tuple[Pin, ...]:
    """The packages of a requirements or lock file; options other than ``--hash`` are refused."""
    pins = tuple(_parse_line(line) for line in _logical_lines(text))
    if len(pins) > MOST_PINS:
        raise OwnEnvironmentError(f"the file names {len(pins)} packages; the most is {MOST_PINS}")
    return pins


def _logical_lines(text: str) -> Iterable[str]:
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        kept = re.sub(r"(^|\s)#.*$", "", line).strip()
        if kept:
            yield kept


def _parse_line(line: str) -> Pin:
    package, *options = re.split(r"\s--hash[= ]", line)
    hashes = tuple(option.strip() for option in options)
    bad = [option for option in hashes if not HASH.fullmatch(option)]
    if bad:
        raise OwnEnvironmentError(f'"{shortened(bad[0])}" is not a hash; export the lock file again')
    return Pin(checked_package(package), hashes)


def is_lock(pins: Sequence[Pin]) -> bool:
    """Whether every line has a hash, so that pip can be told to require them."""
    return bool(pins) and all(pin.hashes for pin in pins)


def lock_text(record: Record, pins: Sequence[Pin], below: Sequence[str]) -> str:
    """The lock file: what is the environment's own, with hashes, and as remarks what it found in the image."""
    without = [pin.package for pin in pins if not pin.hashes]
    lines = [
        f"# environment: {record.name}",
        f"# image: {record.image} ({record.image_title}), Python {record.python}",
        *(f"# asked for: {package}" for package in record.requested),
        f"# make it again: aiinfn env create {record.name} --from {record.image} --from-lock FILE",
        *([f"# without a hash, so none is required: {', '.join(without)}"] if without else []),
        *(" \\\n    ".join([pin.package, *(f"--hash={value}" for value in pin.hashes)]) for pin in pins),
        *(["# of the image:"] if below else []),
        *(f"#   {package}" for package in below),
    ]
    return "\n".join(lines) + "\n"


def requested_in(lock: str) -> tuple[str, ...]:
    """What :func:`lock_text` says was asked for; empty for a file that another program wrote."""
    return checked_packages(re.findall(r"(?m)^# asked for: (.*)$", lock))


def state_of(record: Record | None, base: Base | None, *, held: bool, interpreter: bool) -> State:
    """The state of an environment, from its record, the base of this session, its lock and its interpreter."""
    if held:
        return State.working
    if record is None:
        return State.damaged
    if not record.finished:
        return State.unfinished
    if base is None or record.image != base.image:
        return State.other_image
    if record.fingerprint != base.fingerprint:
        return State.base_changed
    return State.ready if interpreter else State.damaged


def explanation(state: State, record: Record | None, reference: str, base: Base | None) -> str:
    """A sentence with the remedy for a state in which the environment cannot be used; empty when it can."""
    title = record.image_title if record else ""
    here = f"this session runs {base.title}" if base else "this session has no image"
    return {
        State.ready: "",
        State.working: f"{reference} is being worked on just now; wait until that is done",
        State.unfinished: f"{reference} is unfinished, because making it was interrupted; "
        f"`aiinfn env repair {reference}` makes it again, `aiinfn env remove {reference}` removes it",
        State.base_changed: f"{reference} was made on an earlier state of the image {title}; "
        f"`aiinfn env repair {reference}` makes it again with the same packages",
        State.other_image: f"{reference} belongs to the image {title}, and {here}; start a session with {title}, or "
        f"lay it on this one with `aiinfn env repair {reference}`",
        State.damaged: f"{reference} is damaged; `aiinfn env repair {reference}` makes it again, "
        f"`aiinfn env remove {reference}` removes it",
    }[state]


def kernel_name(place: str, name: str) -> str:
    """The directory of the kernel spec; names hold no dot, so no two environments share one."""
    return f"aiinfn-{name}" if place == HOME else f"aiinfn.{place}.{name}"


def reference(place: str, name: str) -> str:
    """How people name an environment: ``tools`` in the home, ``lhcb/tools`` in a project folder."""
    return name if place == HOME else f"{place}/{name}"
