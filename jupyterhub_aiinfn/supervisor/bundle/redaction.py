"""Taking secrets, and where wished people's names, out of a text. Pure: what is secret is given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

REMOVED = "[removed]"
SHORTEST = 6
"""A known secret that is shorter is not looked for as a word of its own: it would blacken half of a log."""
MAX_PEOPLE = 5000
"""Names in one pattern."""

FIELDS = (
    "password|passwd|secret|token|api[_-]?key|access[_-]?key|authorization|cookie|set-cookie|credential|private[_-]?key"
    "|_xsrf|xsrf|csrf|ticket|client_secret|code_verifier|session[_-]?id|signature|x-amz-[a-z-]+"
)
FIELD = rf"(?i)((?:{FIELDS})[\w.-]{{0,40}}+[\"']?+[ \t]{{0,8}}+[=:][ \t]{{0,8}}+)"
QUOTED = r""""(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?"""
ASSIGNMENT = re.compile(FIELD + rf"""({QUOTED}|[^\s,;&"')\]}}\[]++)""")
"""``name=value`` and ``"name": "value"``, also where the name goes on: ``SECRET_KEY_ID=…``."""
SECRET_KEY = re.compile(rf"(?i).{{0,40}}(?:{FIELDS}).{{0,40}}")
"""A key whose text is removed, whatever it looks like."""
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REMOVED),
    # The whole rest of a header: a cookie has many parts.
    (re.compile(r"(?im)(\b(?:set-)?cookie\s*:\s*).*$"), rf"\1{REMOVED}"),
    (re.compile(r"(?i)(\b(?:bearer|token|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1{REMOVED}"),
    (re.compile(r"(?i)([?&](?:code|state|sig|auth|key|hash|t)=)[^&\s\"']+"), rf"\1{REMOVED}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^/\s@\"']+@"), rf"\1{REMOVED}@"),
    (re.compile(r"\$(?:argon2[a-z]*|2[aby]|[156]|scrypt|pbkdf2[a-z0-9-]*)\$[^\s\"',]+"), REMOVED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){1,2}"), REMOVED),
    (re.compile(r"\b(?:gh[pousr]_|glpat-|xox[abp]-|sk-|AKIA)[A-Za-z0-9_-]{10,}"), REMOVED),
    # Every token, key and cookie of the hub and of ours is at least so many hexadecimal digits.
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,}(?![0-9A-Za-z])"), REMOVED),
)
"""What looks like a secret, whoever's it is."""


class Redactor:
    """Removes the known secrets and what looks like one; then, where ``names`` are given, the names of people."""

    def __init__(self, secrets: Iterable[str], names: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        # the longest first: a part of a secret may be a secret too
        self._secrets = sorted(forms, key=len, reverse=True)
        numbered = sorted({name for name in names if name})[:MAX_PEOPLE]
        self._people = {name.lower(): f"person-{number}" for number, name in enumerate(numbered, 1)}
        self._names = _words(self._people)

    def clean(self, text: str) -> str:
        """The text without them."""
        for secret in self._secrets:
            text = text.replace(secret, REMOVED)
        for pattern, replacement in PATTERNS:
            text = pattern.sub(replacement, text)
        # last: of `Authorization: token …` it would take the first word
        text = ASSIGNMENT.sub(_without_value, text)
        if self._names is not None:
            text = self._names.sub(lambda found: self._people[found[0].lower()], text)
        return text

    def clean_data(self, data: Any) -> Any:
        """The same for plain data: every text and key in it is cleaned, figures stay, and it stays data."""
        if isinstance(data, str):
            return self.clean(data)
        if isinstance(data, list | tuple):
            return [self.clean_data(one) for one in data]
        if isinstance(data, dict):
            return {self.clean(str(key)): self._clean_entry(str(key), value) for key, value in data.items()}
        return data

    def _clean_entry(self, key: str, value: Any) -> Any:
        if isinstance(value, str) and value and SECRET_KEY.fullmatch(key):
            return REMOVED
        return self.clean_data(value)

    def leaks(self, data: bytes) -> bool:
        """Whether a known secret or name is still there: asked once more of everything, just before it is packed."""
        if any(secret.encode() in data for secret in self._secrets):
            return True
        return self._names is not None and self._names.search(data.decode(errors="replace")) is not None


def _without_value(found: re.Match[str]) -> str:
    """The value is removed and its quotes stay."""
    quotes = found[2][0] if found[2][0] in "\"'" else ""
    return f"{found[1]}{quotes}{REMOVED}{quotes}"


def _forms(secret: str) -> set[str]:
    """A secret as it is, as addresses write it, and as JSON does."""
    return {secret, quote(secret, safe=""), secret.replace("\\", "\\\\").replace('"', '\\"')}


def _words(people: Mapping[str, str]) -> re.Pattern[str] | None:
    if not people:
        return None
    alternatives = "|".join(re.escape(name) for name in sorted(people, key=len, reverse=True))
    return re.compile(rf"(?:(?<=%[0-9A-Fa-f]{{2}})|(?<![A-Za-z0-9]))(?:{alternatives})(?![A-Za-z0-9])", re.IGNORECASE)
