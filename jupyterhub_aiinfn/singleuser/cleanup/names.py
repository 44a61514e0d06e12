"""Paths of a home as they travel: bytes as base64 to act on, and a text that is safe to look at."""

from __future__ import annotations

import base64
import binascii

LONGEST = 65536
"""Bytes of a path that is taken; arbitrary, sixteen times what a program can open by one name."""


def identifier(names: tuple[bytes, ...]) -> str:
    """The path from the home in a form that survives any name."""
    return base64.urlsafe_b64encode(b"/".join(names)).decode()


def names_of(said: str) -> tuple[bytes, ...]:
    """The path that :func:`identifier` made; :class:`ValueError` for what could lead out of the home, or to itself."""
    try:
        path = base64.b64decode(said, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("this is not the identifier of a file of the list") from error
    names = tuple(path.split(b"/"))
    odd = len(path) > LONGEST or b"\0" in path or identifier(names) != said
    if odd or any(name in (b"", b".", b"..") for name in names):
        raise ValueError("this is not the path of a file in the home")
    return names


def text(names: tuple[bytes, ...]) -> str:
    """The path for people: what is not printed (a line break, an invisible or invalid character) becomes a code."""
    return "/".join(printable(name) for name in names)


def printable(name: bytes) -> str:
    """One name; a backslash in it is doubled, so that no two names look the same."""
    return "".join(map(shown, name.decode("utf-8", "surrogateescape")))


def shown(character: str) -> str:
    """One character, as a code where it is not printed."""
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\u{{{code:x}}}")
