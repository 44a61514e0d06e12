"""The hub's record of starts and ends: what is acknowledged is there afterwards, whatever happened in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.facts import FactKind
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.hub.outbox import Outbox
from jupyterhub_aiinfn.hub.session_pod import unknown

WORK = unknown("w" + "0" * 20, "alice", "")
WRITER = """
import sys, resource
from pathlib import Path
from jupyterhub_aiinfn.api.facts import FactKind
from jupyterhub_aiinfn.hub.outbox import Outbox
from jupyterhub_aiinfn.hub.session_pod import unknown
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
outbox = Outbox(Path(sys.argv[1]))
while True:
    try:
        print(outbox.write(FactKind.opened, unknown("w" + "0" * 20, "alice", "")).number, flush=True)
    except Exception as error:
        print(error, flush=True)
        break
"""


def numbers(outbox: Outbox) -> list[int]:
    return [fact.number for fact in outbox.pending()]


def test_facts_are_there_until_they_are_delivered_over_restarts_and_never_twice(tmp_path: Path) -> None:
    file = tmp_path / "outbox.jsonl"
    outbox = Outbox(file)
    for kind in (FactKind.opened, FactKind.closed, FactKind.opened):
        outbox.write(kind, WORK)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [(fact.number, fact.kind) for fact in Outbox(file).pending()] == [
        (1, FactKind.opened),
        (2, FactKind.closed),
        (3, FactKind.opened),
    ]
    outbox.delivered(2)
    outbox.delivered(1)
    assert numbers(outbox) == numbers(Outbox(file)) == [3]
    outbox.delivered(10)
    again = Outbox(file)
    assert numbers(again) == []
    assert again.write(FactKind.closed, WORK).number == 4


def test_a_torn_last_line_and_lines_that_nobody_can_read_cost_themselves_only(tmp_path: Path) -> None:
    file = tmp_path / "outbox.jsonl"
    outbox = Outbox(file)
    outbox.write(FactKind.opened, WORK)
    whole = file.read_bytes()
    hostile = b"\n{}\n[]\n\xff\xfe\n" + b"[" * 5000 + b"\n" + b"x" * 200_000 + b"\n"
    file.write_bytes(whole + hostile + whole.replace(b'"number":1', b'"number":2') + whole[: len(whole) // 2])
    again = Outbox(file)
    assert numbers(again) == [1, 2]
    assert again.write(FactKind.closed, WORK).number == 3
    assert numbers(Outbox(file)) == [1, 2, 3]


def test_killed_between_the_mark_and_the_file_nothing_comes_twice(tmp_path: Path) -> None:
    file = tmp_path / "outbox.jsonl"
    outbox = Outbox(file)
    for _ in range(3):
        outbox.write(FactKind.opened, WORK)
    before = file.read_bytes()
    outbox.delivered(2)
    file.write_bytes(before)  # as it was when the mark was written
    assert numbers(Outbox(file)) == [3]


def test_whatever_was_acknowledged_before_a_kill_is_there(tmp_path: Path) -> None:
    file = tmp_path / "outbox.jsonl"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "1\n"
    time.sleep(0.2)
    writer.send_signal(signal.SIGKILL)
    said = [1, *map(int, writer.stdout.read().split())]
    writer.wait()
    found = numbers(Outbox(file))
    assert found[: len(said)] == said
    assert len(found) - len(said) in (0, 1)  # written, and killed before it was said


def test_a_full_disk_is_a_sentence_and_leaves_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "outbox.jsonl"
    done = subprocess.run([sys.executable, "-c", WRITER, str(file), "2000"], capture_output=True, text=True, timeout=60)
    *said, sentence = done.stdout.splitlines()
    assert "cannot be used" in sentence
    assert "make room or correct its rights" in sentence
    assert file.read_bytes().endswith(b"\n")
    assert numbers(Outbox(file)) == list(map(int, said))


def test_what_nobody_takes_is_bounded_and_a_gap_says_how_much_went(tmp_path: Path) -> None:
    file = tmp_path / "outbox.jsonl"
    outbox = Outbox(file, max_facts=10)
    for _ in range(25):
        outbox.write(FactKind.opened, WORK)
    first, *rest = Outbox(file, max_facts=10).pending()
    assert first.kind is FactKind.gap
    assert first.workload is None
    assert first.dropped + len(rest) == 25
    assert [fact.number for fact in rest] == list(range(26 - len(rest), 26))


def test_many_at_once_have_a_number_each(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.jsonl")
    with ThreadPoolExecutor(8) as threads:
        facts = list(threads.map(lambda _: outbox.write(FactKind.opened, WORK), range(100)))
    assert sorted(fact.number for fact in facts) == list(range(1, 101))
    assert sorted(numbers(Outbox(tmp_path / "outbox.jsonl"))) == list(range(1, 101))


def test_what_cannot_be_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "outbox.jsonl").mkdir()
    with pytest.raises(StateError, match=r"the record of the hub .* cannot be used"):
        Outbox(tmp_path / "outbox.jsonl")


async def test_a_session_is_never_stopped_by_its_record(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "sub" / "outbox.jsonl")
    (tmp_path / "sub" / "outbox.jsonl").unlink()
    (tmp_path / "sub").rmdir()
    await outbox.record(FactKind.opened, WORK)  # says so in the log
    assert outbox.pending() == []
