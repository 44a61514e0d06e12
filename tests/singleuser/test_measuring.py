"""Figures of real processes and real connections, against what is known of them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.singleuser import gpu, processes, traffic
from jupyterhub_aiinfn.singleuser.measuring import CpuMeter
from jupyterhub_aiinfn.singleuser.processes import Process

pytestmark = pytest.mark.slow

WAIT = "print('done', flush=True)\nsys.stdin.read()"
BURN = f"import sys, time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass\n{WAIT}"
HOLD = f"import sys\nheld = bytearray(b'x') * 50_000_000\n{WAIT}"
RECEIVE = f"""
import socket, sys
connection, count = socket.create_connection(("127.0.0.1", int(sys.argv[1]))), 0
while count < 3_000_000:
    count += len(connection.recv(65536))
{WAIT}"""


@pytest.fixture
def child():
    """Start a Python program that says ``done`` and then waits; gives its process."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], text=True, **pipes)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def own_session() -> list[Process]:
    return processes.of_session(processes.everything(), os.getpid(), sandboxed=False)


def test_what_a_child_computed_is_counted_and_stays_after_its_end(child):
    before = processes.cpu_seconds(own_session())
    process = child(BURN)
    assert processes.cpu_seconds(own_session()) - before >= 0.55
    process.kill()
    process.wait()
    assert processes.cpu_seconds(own_session()) - before >= 0.55


def test_memory_that_a_child_holds_alone_is_counted(child):
    process = child(HOLD)
    found = {one.pid: one for one in own_session()}
    assert 50_000_000 <= found[process.pid].private_bytes < 120_000_000


def test_strangers_are_not_counted(child):
    process = child(HOLD)
    known = processes.everything()
    assert [one.pid for one in processes.of_session(known, process.pid, sandboxed=False)] == [process.pid]
    assert len(processes.of_session(known, process.pid, sandboxed=True)) == len(known)


def test_a_loop_of_parents_ends():
    found = {1: Process(1, 2, 0, 0), 2: Process(2, 1, 0, 0)}
    assert len(processes.of_session(found, 1, sandboxed=False)) == 2
    assert processes.of_session(found, 3, sandboxed=False) == []


@pytest.mark.parametrize("name", ["a) R 1 2 (b", "two words", "x\ny"])
def test_a_name_of_a_process_confuses_nobody(tmp_path: Path, name: str):
    folder = tmp_path / "7"
    folder.mkdir()
    numbers = " ".join(["S", "3", *["0"] * 9, "100", "50", "25", "25", *["0"] * 10])
    (folder / "stat").write_text(f"7 ({name}) {numbers}")
    (folder / "statm").write_text("100 30 10 0 0 0 0")
    found = processes.read(tmp_path, 7)
    assert found == Process(7, 3, 200 / processes.TICKS, 20 * processes.PAGE)


@given(st.binary(max_size=60))
def test_nonsense_in_proc_is_no_process(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("proc") / "7"
    folder.mkdir()
    (folder / "stat").write_bytes(data)
    (folder / "statm").write_bytes(data)
    assert processes.read(folder.parent, 7) is None or data


@pytest.mark.parametrize(
    ("parent", "pid", "workload", "own"),
    [(1, 2, "w", True), (0, 1, "w", True), (1, 2, None, False), (5, 9, "w", False)],
)
def test_a_sandbox_is_known_by_its_first_process(parent, pid, workload, own):
    assert processes.is_sandboxed(parent, pid, workload) is own


def test_the_kernel_counts_for_a_container(tmp_path: Path):
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("0::/\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 300\n")
    assert processes.cgroup_bytes(tmp_path, tmp_path) == 700
    (tmp_path / "self/cgroup").write_text("0::/somewhere/else\n")
    assert processes.cgroup_bytes(tmp_path, tmp_path) is None


def test_cores_are_a_mean_since_the_measurement_before():
    meter = CpuMeter()
    assert meter.read(10, 100) is None
    assert meter.read(12, 104) == 0.5
    assert meter.read(13, 104.1) == 0.5, "too soon: the same again"
    assert meter.read(5, 110) == 0.0, "processes took their time with them"


def test_a_download_is_seen_and_what_the_server_itself_sends_is_not(child):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def feed() -> None:
            connection, _ = server.accept()
            connection.sendall(b"x" * 3_000_000)
            time.sleep(20)

        threading.Thread(target=feed, daemon=True).start()
        look = traffic.Traffic()
        process = child(RECEIVE, str(port))
        grown = look.since_last_look([process.pid], server=0)
        assert grown is not None
        assert 3_000_000 <= grown < 3_100_000
        assert look.since_last_look([process.pid], server=0) == 0
        assert traffic.Traffic().since_last_look([process.pid], server=process.pid) == 0
        assert traffic.Traffic().since_last_look([process.pid], server=os.getpid()) == 0, "the server's other end"


@given(st.binary(max_size=300))
def test_a_nonsensical_answer_of_the_kernel_is_no_connection(data):
    assert list(traffic.split(data, traffic.HEADER)) is not None
    traffic.read(data)


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        (None, True),
        ("", False),
        ("0", False),
        ("1", True),
        ("0, 1", True),
        ("GPU-abc", True),
        ("GPU", False),
        ("-1", False),
    ],
)
def test_only_the_cards_of_the_session_are_shown(visible, seen):
    assert gpu.is_visible(visible, 1, "GPU-abcdef") is seen


def test_no_driver_is_asked_for_an_emulated_card():
    assert gpu.Cards({"AIINFN_ACCELERATOR": "gpu", "AIINFN_EMULATED": "1"}).use() == ()
    assert gpu.Cards({}).use() == ()


def test_the_loaded_modules_are_light():
    code = "import sys, jupyterhub_aiinfn.singleuser.reporting; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"\b(sqlalchemy|fastapi|pynvml|jupyterhub\.)", loaded)
