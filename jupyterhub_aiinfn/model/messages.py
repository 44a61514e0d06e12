"""What a person wrote for other people to read: plain text in one line, without anything that draws outside it."""

from __future__ import annotations

import unicodedata

from jupyterhub_aiinfn.errors import Malformed

LONGEST = 500
READ = 10_000
"""Characters that are looked at in any case (arbitrary)."""
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, also of the page's own words."""
INVISIBLE = frozenset(("Cc", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories of control characters, halves of characters, private and unknown ones, and line separators."""


def read_message(text: str) -> str:
    """The message with single blanks between its words; :class:`Malformed` when nothing readable is in it."""
    if len(text) > READ:
        raise Malformed(f"message: must be at most {LONGEST} characters long, not {len(text)}")
    kept = "".join(" " if unicodedata.category(one) in INVISIBLE else one for one in text if one not in DIRECTIONS)
    message = " ".join(kept.split())
    if not message or not any(character.isalnum() for character in message):
        raise Malformed("message: must hold something that can be read")
    if len(message) > LONGEST:
        raise Malformed(f"message: must be at most {LONGEST} characters long, not {len(message)}")
    return message
