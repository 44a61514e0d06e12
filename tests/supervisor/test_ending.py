"""The ends: twice Ctrl-C, `aiinfn down`, a killed supervisor, a part that cannot live, stale and reused pids."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.workloads import Phase, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.listening import root_has_ports
from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.supervisor.record import Record, read_record
from jupyterhub_aiinfn.values import load_values
from tests.platform import RunningPlatform

from .test_running import CHOICE, aiinfn, answers, build_python, wait_until


def record_of(identity: ProcessIdentity, state: StateFolder) -> None:
    Record("http://127.0.0.1:1", "http://127.0.0.1:1", 2, 3, 4, "", "").write(state, identity)


def test_a_reused_pid_is_never_signalled(folder: Path) -> None:
    state = StateFolder(folder / "state")
    state.prepare()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        identity = ProcessIdentity.of(stranger.pid)
        assert identity is not None
        record_of(identity._replace(start_time=identity.start_time - 1), state)
        done = aiinfn("down", "--state", str(state.root))
        assert done.returncode == 0, done.stderr
        assert "No platform runs" in done.stdout
        assert stranger.poll() is None
        assert read_record(state) is None, "the stale record is removed"
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pid": "x"}', '{"pid": 1, "start_time": 1, "boot_id": "x"}'])
def test_a_broken_record_is_no_platform(folder: Path, content: str) -> None:
    state = StateFolder(folder / "state")
    state.prepare()
    state.supervisor.write_text(content)
    assert aiinfn("status", "--state", str(state.root)).returncode == 3
    assert aiinfn("down", "--state", str(state.root)).returncode == 0


@pytest.mark.slow
def test_down_ends_it_and_says_so(platform: RunningPlatform) -> None:
    done = aiinfn("down", "--state", str(platform.state.root))
    assert done.returncode == 0, done.stderr
    assert f"Stopping the platform (process {platform.pid})." in done.stdout
    assert "is stopped" in done.stdout
    assert platform.process.wait(5) == 0
    assert platform.processes() == []
    again = aiinfn("down", "--state", str(platform.state.root))
    assert again.returncode == 0
    assert "No platform runs" in again.stdout


@pytest.mark.slow
def test_the_second_signal_ends_it_at_once(platform: RunningPlatform) -> None:
    processes = platform.processes()
    platform.kill("hub", signal.SIGSTOP)  # it will not end politely
    platform.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Stopping" in platform.output)
    began = time.monotonic()
    platform.process.send_signal(signal.SIGINT)
    assert platform.process.wait(10) == 0
    assert time.monotonic() - began < 2.5
    assert [one for one in processes if one.alive()] == []


@pytest.mark.slow
def test_a_signal_while_it_starts_ends_it(folder: Path) -> None:
    platform = RunningPlatform.start(folder=folder, wait=False)
    wait_until(lambda: platform.state.supervisor.exists(), what=platform.output)
    assert platform.stop() == 0
    assert platform.processes() == []
    assert not platform.state.supervisor.exists()


@pytest.mark.slow
def test_ctrl_c_while_the_proxy_is_installed_is_an_ordinary_stop(folder: Path) -> None:
    cache = folder / "cache"
    platform = RunningPlatform.start(folder=folder, wait=False, arguments=["--cache", str(cache)])
    wait_until(lambda: list(cache.glob(".proxy-*/proxy/npm.log")), what=platform.output)
    processes = platform.processes()
    os.killpg(platform.pid, signal.SIGINT)  # as a terminal does it
    assert platform.process.wait(10) == 0, platform.output
    assert "Stopped." in platform.output
    assert "Error" not in platform.output
    assert [one for one in processes if one.alive()] == []
    assert [file.name for file in cache.iterdir()] == ["proxy.lock"]


@pytest.mark.slow
def test_a_ready_file_that_cannot_be_written_any_more_ends_it_in_words(folder: Path) -> None:
    place = folder / "place"
    place.mkdir()
    platform = RunningPlatform.start(folder=folder, wait=False, arguments=["--ready-file", str(place / "ready")])
    wait_until(lambda: platform.state.supervisor.exists(), what=platform.output)
    place.rmdir()
    assert platform.process.wait(60) == 1
    assert f"Error: {place}/" in platform.output
    assert "cannot be used: No such file or directory" in platform.output
    assert "Stopped." in platform.output
    assert "Traceback" not in platform.output
    assert "never retrieved" not in platform.output
    assert platform.processes() == []


@pytest.mark.slow
def test_a_killed_supervisor_takes_everything_along_and_the_next_one_works(platform: RunningPlatform) -> None:
    build_python(platform)
    with platform.login("alice") as alice:
        assert alice.start(**CHOICE).status_code in (201, 202)
        alice.wait_ready(seconds=120)
    processes = platform.processes()
    assert platform.runners()
    platform.kill("supervisor")
    platform.process.wait()
    wait_until(lambda: not any(one.alive() for one in processes), 30, "something outlived the supervisor")
    with RunningPlatform.start(folder=platform.folder) as again:
        assert answers(f"{again.url}/hub/login")
        assert again.runners() == []
        with again.login("alice", again.password("alice")) as alice:
            assert alice.start(**CHOICE).status_code in (201, 202)
            alice.wait_ready(seconds=120)
        assert again.stop() == 0
        assert again.processes() == []


@pytest.mark.slow
def test_a_part_that_cannot_live_is_a_sentence_with_its_last_lines(folder: Path) -> None:
    state = StateFolder(folder / "state")
    state.prepare()
    (state.hub / "jupyterhub.sqlite").write_bytes(b"this is no database " * 100)
    platform = RunningPlatform.start(folder=folder, wait=False)
    assert platform.process.wait(120) == 1, platform.output
    assert "Error: hub ended 4 times in a row" in platform.output
    assert "file is not a database" in platform.output
    assert platform.processes() == []


SQUAT = """
import socket, sys, time
print("waiting", flush=True)
while True:
    try:
        taken = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    except OSError:
        time.sleep(0.002)
    else:
        break
print("taken", flush=True)
time.sleep(120)
"""


@pytest.mark.slow
async def test_a_session_that_takes_a_port_of_a_dead_part_is_ended(folder: Path) -> None:
    """All sessions share loopback: whoever listens where the proxy did gets people's passwords."""
    with RunningPlatform.start(folder=folder) as platform:
        values = load_values(Path(platform.record["values"]))
        backend = LocalBackend(values, platform.state)
        port = platform.url.rpartition(":")[2]
        spec = WorkloadSpec(
            kind=WorkloadKind.session,
            name="squatter",
            command=("/usr/bin/python3", "-c", SQUAT, port),
            cores=1,
            memory_gib=1,
            person="bob",
        )
        squatter = await backend.start(spec)
        async with asyncio.timeout(20):
            while "waiting" not in await backend.log(squatter.id):
                await asyncio.sleep(0.05)
        platform.kill("proxy")
        async with asyncio.timeout(60):
            while (found := await backend.workload(squatter.id)).phase is not Phase.ended:
                await asyncio.sleep(0.05)
        assert "taken" in await backend.log(squatter.id)
        assert found.message == f"it had taken a port of the platform ({port})"
        await asyncio.to_thread(wait_until, lambda: answers(f"{platform.url}/hub/login"))
        assert f"a session of bob had taken port {port} of the proxy; it is ended" in platform.output


def test_the_inner_ports_are_such_that_no_session_can_take_them_where_that_is_possible(folder: Path) -> None:
    with RunningPlatform.start(folder=folder) as platform:
        inner = [platform.record[f"{name}_port"] for name in ("hub", "proxy_api", "service")]
        assert all((port < 1024) is root_has_ports() for port in inner)


@pytest.mark.slow
def test_a_part_that_dies_again_and_again_ends_nothing_once_the_platform_runs(folder: Path) -> None:
    with RunningPlatform.start(folder=folder) as platform:
        for _ in range(6):
            wait_until(lambda: platform.part("service") is not None, what="the service is started again")
            platform.kill("service")
        assert platform.process.poll() is None, platform.output
        assert answers(f"{platform.url}/hub/login")
