"""The ends: twice Ctrl-C, `aiinfn down`, a killed supervisor, a part that cannot live, stale and reused pids."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.supervisor.record import Record, read_record
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
