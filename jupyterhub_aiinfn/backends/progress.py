"""How far a job is, from what the job itself wrote: text of a stranger, which is read within bounds or not at all."""

from __future__ import annotations

from jupyterhub_aiinfn.api.workloads import Progress

MARK = b"aiinfn-progress "
"""With it begins a line of a job's output that says how far it is; a :class:`Progress` as JSON follows."""
LONGEST = 2048
"""Bytes of such a line; a longer one says nothing (arbitrary)."""
TAIL = 65536
"""Bytes at the end of what a job wrote among which the last such line is looked for (arbitrary)."""
TRIED = 20
"""Marked lines, the last ones, that are looked at when those after them make no sense (arbitrary)."""
LARGEST = 2**53
"""The largest count that a page in a browser can show as it is."""


def read_progress(data: bytes) -> Progress | None:
    """What a job wrote, when it makes sense: counts that can be counted, one line of text, a time with its zone."""
    if not data or len(data) > LONGEST:
        return None
    try:
        found = Progress.model_validate_json(data)
    except ValueError:
        return None
    counts = (found.done, found.total, found.bytes_done, found.bytes_total)
    makes_sense = all(0 <= count <= LARGEST for count in counts) and found.step.isprintable()
    return found if makes_sense and found.updated_at.tzinfo is not None else None


def last_progress(output: bytes) -> Progress | None:
    """The last that a job said in its output and that makes sense; only the last :data:`TAIL` bytes count."""
    lines = output[-TAIL:].split(b"\n")
    marked = [line[len(MARK) :] for line in lines if line.startswith(MARK)]
    found = (read_progress(line) for line in reversed(marked[-TRIED:]))
    return next((one for one in found if one is not None), None)
