"""What a job says of how far it is: a stranger's text, of which only what makes sense is shown."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.backends.progress import LONGEST, MARK, TAIL, last_progress, read_progress

GOOD: dict[str, Any] = {"step": "half", "done": 1, "total": 2, "updated_at": "2026-01-01T00:00:00Z"}


def line(**changes: Any) -> bytes:
    return MARK + json.dumps(GOOD | changes).encode() + b"\n"


def test_the_last_that_makes_sense_is_found_among_other_lines() -> None:
    output = b"hello\n" + line(step="first") + b"between\n" + line(step="second") + MARK + b"{\n" + b"after\n"
    found = last_progress(output)
    assert found is not None
    assert found.step == "second"


def test_a_line_that_is_being_written_says_nothing_yet() -> None:
    found = last_progress(line(step="first") + line(step="second")[:-20])
    assert found is not None
    assert found.step == "first"


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 7},
        {"step": None},
        {"step": "two\nlines"},
        {"step": "\x1b[2Jgone"},
        {"step": "\u202eright to left"},
        {"step": "x" * LONGEST},
        {"done": -1},
        {"total": 2**53 + 1},
        {"bytes_done": 10**400},
        {"bytes_total": "much"},
        {"done": [1]},
        {"done": float("nan")},
        {"updated_at": "yesterday"},
        {"updated_at": "2026-01-01T00:00:00"},
        {"updated_at": 10**30},
    ],
    ids=repr,
)
def test_what_makes_no_sense_is_not_said(changes: dict[str, Any]) -> None:
    assert last_progress(line(**changes)) is None
    assert last_progress(line()) is not None


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"7", b"{}", b"[" * LONGEST, b"\xff\xfe\0", b'{"step": "x"}'])
def test_what_is_no_progress_is_none(data: bytes) -> None:
    assert read_progress(data) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    last_progress(MARK + data)
    read_progress(data)


def test_much_is_read_in_no_time() -> None:
    begun = time.process_time()
    assert last_progress(line() + (MARK + b"{}\n") * 1_000_000) is None
    assert last_progress(line() + b"\n" * TAIL) is None
    assert time.process_time() - begun < 1
