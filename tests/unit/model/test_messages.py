"""What administrators may write for others."""

from __future__ import annotations

import pytest

from jupyterhub_aiinfn.errors import Malformed
from jupyterhub_aiinfn.model.messages import read_message


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("The node goes down at 18:00.", "The node goes down at 18:00."),
        ("  two\n\nlines\t ", "two lines"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # pages escape it
        ("right\u202eot tfel\u2066", "rightot tfel"),
        ("bell\x07 and \x00nul \x1b[31mred", "bell and nul [31mred"),
        ("separator\u2028here", "separator here"),
        ("perché così già", "perché così già"),
        ("family 👩‍👩‍👧 emoji 1", "family 👩‍👩‍👧 emoji 1"),
    ],
)
def test_messages_are_plain_lines(text: str, read: str) -> None:
    assert read_message(text) == read


@pytest.mark.parametrize("text", ["", "   ", "\u202e\u202d", "\x00\x01", "...", "\u200f!"])
def test_nothing_to_read_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="can be read"):
        read_message(text)


def test_too_much_is_refused() -> None:
    with pytest.raises(Malformed, match="at most 500 characters long, not 10000000"):
        read_message("x" * 10_000_000)
