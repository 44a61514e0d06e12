"""How one plain word of YAML is read: as YAML 1.2 does, and refused where YAML 1.1 readers see something else."""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
MAX_DIGITS = 18
"""Digits that a number may have: enough for any figure here, and every such integer fits 64 bits."""

INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SWITCH = re.compile(r"yes|no|on|off", re.IGNORECASE)
SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
OLD_NUMBER = re.compile(r"[-+]?0[0-9]+|[-+]?0b[01_]+|[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?")


class AmbiguousScalar(ValueError):
    """Readers of YAML disagree on this word, or it is no usable number; the text says what to do."""


def read_plain(text: str) -> Scalar:
    """The value of a word without quotes; :class:`AmbiguousScalar` says why it is refused."""
    if text in WORDS:
        return WORDS[text]
    if not text[0].isdigit() and text[0] not in "+-.yYnNoO":
        return text
    refuse_ambiguous(text)
    if not (is_integer := INTEGER.fullmatch(text)) and not FLOAT.fullmatch(text):
        return text
    if sum(char.isalnum() for char in text) > MAX_DIGITS + 6:
        raise AmbiguousScalar(f"must be a number of at most {MAX_DIGITS} digits, not of {len(text)} characters")
    return _integer(text) if is_integer else float(text)


def refuse_ambiguous(text: str) -> None:
    """Raise :class:`AmbiguousScalar` when YAML 1.1 and 1.2 read the word differently."""
    if len(text) <= 3 and SWITCH.fullmatch(text):
        readers = "is a word to some readers of YAML and true or false to others"
        raise AmbiguousScalar(f"{readers}; write true or false, or use quotes")
    if len(text) <= 100 and (SEXAGESIMAL.fullmatch(text) or OLD_NUMBER.fullmatch(text)):
        readers = "is read as different numbers by different readers of YAML"
        raise AmbiguousScalar(f"{readers}; use quotes, or plain decimal digits")


def _integer(text: str) -> int:
    value = int(text, 0) if text.startswith(("0x", "0o")) else int(text)
    if abs(value) >= 10**MAX_DIGITS:
        raise AmbiguousScalar(f"must be a number of at most {MAX_DIGITS} digits")
    return value
