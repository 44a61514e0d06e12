"""What is checked before anything starts: ports, folders, versions, disks, values; each a sentence and exit code 1."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.supervisor.environment import minimal_environment
from jupyterhub_aiinfn.supervisor.places import default_values, find_state, find_values, remember_values
from jupyterhub_aiinfn.supervisor.ports import check_free, free_ports
from jupyterhub_aiinfn.supervisor.record import lock


def refused(*arguments: str, before: Sequence[str] = ()) -> str:
    """What `aiinfn up` says when it refuses: one sentence, exit code 1, nothing started."""
    command = [*before, sys.executable, "-m", "jupyterhub_aiinfn.cli", "up", "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr if done.stderr else done.stdout  # once the start has begun, the steps say it
    assert "Error: " in said
    return said


@pytest.fixture
def state(folder: Path) -> StateFolder:
    made = StateFolder(folder / "state")
    made.prepare()
    return made


def test_a_second_instance_is_refused(state: StateFolder) -> None:
    held = lock(state)
    try:
        assert "is in use by another process" in refused("--state", str(state.root))
    finally:
        os.close(held)


def test_a_busy_port_is_refused(folder: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        said = refused("--port", str(port), "--state", str(folder / "state"))
    assert f"port {port} of 127.0.0.1 cannot be used: address already in use" in said


def test_a_newer_state_folder_is_refused(state: StateFolder) -> None:
    (state.root / "version").write_text(json.dumps({"version": 2}))
    assert "has version 2, this program knows version 1" in refused("--state", str(state.root))


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", "\0"])
def test_a_broken_version_is_refused(state: StateFolder, content: str) -> None:
    (state.root / "version").write_text(content)
    assert "cannot be read; restore the state folder" in refused("--state", str(state.root))


def test_an_unwritable_folder_is_refused() -> None:
    assert "the state folder /proc/aiinfn cannot be used" in refused("--state", "/proc/aiinfn")


def test_a_file_as_state_folder_is_refused(folder: Path) -> None:
    (folder / "file").write_text("not a folder")
    assert "cannot be used" in refused("--state", str(folder / "file"))


@pytest.mark.root
def test_another_users_folder_is_refused(state: StateFolder) -> None:
    os.chown(state.root, 12345, 12345)
    assert "belongs to the user id 12345" in refused("--state", str(state.root))


@pytest.fixture
def tiny_disk(folder: Path) -> Iterator[Path]:
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "aiinfn-test", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.root
def test_a_disk_that_is_almost_full_is_refused(tiny_disk: Path) -> None:
    assert "MiB are free for the state folder" in refused("--state", str(tiny_disk / "state"))


@pytest.mark.root
def test_a_full_disk_is_refused(tiny_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (tiny_disk / "filler").write_bytes(b"x" * 2**21)
    (tiny_disk / "filler2").touch()
    assert "No space left on device" in refused("--state", str(tiny_disk / "state"))


def test_missing_and_wrong_values_are_refused(folder: Path) -> None:
    state = ["--state", str(folder / "state")]
    assert "there is no values file" in refused("--values", str(folder / "none.yaml"), *state)
    (folder / "wrong.yaml").write_text("version: 1\nsite: {name: X}\nimags: {}\n")
    assert "imags" in refused("--values", str(folder / "wrong.yaml"), *state)
    assert not (folder / "state").exists()


def test_a_host_that_is_not_ours_is_refused(folder: Path) -> None:
    assert "cannot be used" in refused("--host", "192.0.2.1", "--port", "8123", "--state", str(folder / "state"))


def test_a_ready_file_in_no_folder_is_refused(folder: Path) -> None:
    file = folder / "none" / "ready.json"
    said = refused("--ready-file", str(file), "--state", str(folder / "state"))
    assert f"the ready file {file} could not be written" in said
    assert "is a folder" not in refused("--ready-file", str(folder), "--state", str(folder / "state"))
    assert not (folder / "state").exists()


@pytest.mark.root
@pytest.mark.parametrize("option", ["--values", "--state", "--cache", "--ready-file"])
def test_what_an_ordinary_user_may_not_read_is_a_sentence(folder: Path, option: str) -> None:
    folder.chmod(0o755)
    place = folder / "closed"
    if option in ("--values", "--ready-file"):
        place.write_text("version: 1\n")
    else:
        place.mkdir()
    place.chmod(0)
    own = folder / "own"
    own.mkdir()
    os.chown(own, 12345, 12345)
    state = [] if option == "--state" else ["--state", str(own / "state")]
    words = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    said = refused(option, str(place), *state, before=words)
    assert str(place) in said
    assert "is not readable" not in said


def test_free_ports_differ_and_are_free() -> None:
    ports = free_ports(8)
    assert len(set(ports)) == 8
    for port in ports:
        check_free("127.0.0.1", port)


def test_a_taken_port_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(StateError, match="already in use"):
            check_free("127.0.0.1", listener.getsockname()[1])


def test_the_values_file_is_remembered(state: StateFolder, folder: Path) -> None:
    assert find_values(None, state) == default_values()
    (folder / "mine.yaml").write_text("version: 1\n")
    remember_values(state, folder / "mine.yaml")
    assert find_values(None, state) == folder / "mine.yaml"
    assert find_values(Path("given.yaml"), state) == Path.cwd() / "given.yaml"
    (folder / "mine.yaml").unlink()
    assert find_values(None, state) == default_values()


def test_the_state_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert find_state(None) == tmp_path / "jupyterhub-aiinfn"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_state(None) == tmp_path / ".local" / "state" / "jupyterhub-aiinfn"


def test_secrets_of_the_caller_are_not_passed_on() -> None:
    given = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "x",
        "JUPYTERHUB_API_TOKEN": "x",
        "PYTHONPATH": "/x",
        "UV_INDEX": "y",
    }
    assert minimal_environment(given) == {"PATH": "/bin", "UV_INDEX": "y"}
