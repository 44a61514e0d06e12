"""One platform that runs: what it tells, what it restarts, what it keeps to itself."""

import html
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from tests.platform import PARTS, Browser, RunningPlatform

pytestmark = pytest.mark.slow

CHOICE = {"profile": "python", "size": "small", "project": "quantum-lab"}
"""What alice starts; everybody's python environment is built once, in the cache of this machine."""


@pytest.fixture(scope="module")
def running() -> Iterator[RunningPlatform]:
    with RunningPlatform.start() as platform:
        build_python(platform)
        yield platform


def build_python(platform: RunningPlatform) -> None:
    run = aiinfn("image", "--values", platform.record["values"], "build", "python", seconds=280)
    assert run.returncode == 0, run.stdout + run.stderr


def aiinfn(
    *arguments: str, typed: str | None = None, seconds: float = 60, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "jupyterhub_aiinfn.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, input=typed)


def wait_until(holds: Callable[[], Any], seconds: float = 60, what: str = "") -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(what or "it did not become true")


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def answer_of(browser: Browser, path: str) -> int:
    try:
        return browser.client.get(path).status_code
    except httpx.HTTPError:
        return 0


def test_the_ready_file_says_where_and_who(running: RunningPlatform) -> None:
    assert set(running.ready) == {"url", "admin", "users", "pid"}
    assert running.ready["pid"] == running.pid
    assert running.ready["admin"] == "admin"
    assert set(running.ready["users"]) == {"admin", "alice", "bob", "carol"}
    assert running.url.startswith("http://127.0.0.1:")
    assert stat.S_IMODE(running.ready_file.stat().st_mode) == 0o600
    for file in running.ready["users"].values():
        assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600


def test_it_says_address_people_passwords_and_limits(running: RunningPlatform) -> None:
    said = running.output
    assert f"The platform runs at {running.url}" in said
    for name, file in running.ready["users"].items():
        assert any(name in line and file in line for line in said.splitlines())
        assert Path(file).read_text().strip() not in said
    assert "enforced" in said
    assert "Ctrl-C stops everything" in said


def test_people_log_in_and_nobody_as_another(running: RunningPlatform) -> None:
    with running.login("alice") as alice:
        assert alice.client.get("/hub/home").status_code == 200
    with httpx.Client(base_url=running.url, follow_redirects=True, timeout=30) as client:
        client.get("/hub/login")
        form = {"username": "bob", "password": running.password("alice"), "_xsrf": client.cookies.get("_xsrf", "")}
        assert client.post("/hub/login", data=form).status_code in (401, 403)


def test_everything_listens_on_loopback_only(running: RunningPlatform) -> None:
    record = running.record
    ports = [record["hub_port"], record["proxy_api_port"], record["service_port"], int(running.url.rpartition(":")[2])]
    other = _other_address()
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        if other:
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((other, port), timeout=5)


def _other_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def test_no_secret_is_in_a_command_line_and_every_file_is_private(running: RunningPlatform) -> None:
    secrets = [file.read_text().strip() for file in running.state.secrets.iterdir()]
    assert len(secrets) >= 6
    for process in running.processes():
        line = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert not any(secret in line for secret in secrets)
    for folder in (running.state.secrets, running.state.hub, running.state.service, running.state.logs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for file in folder.rglob("*"):
            assert not stat.S_IMODE(file.stat().st_mode) & 0o077, file


def test_hub_and_service_do_not_get_the_callers_environment() -> None:
    with RunningPlatform.start(environment={"SOME_SECRET": "of the caller"}) as platform:
        for part in PARTS:
            found = platform.part(part)
            assert found is not None
            assert b"of the caller" not in Path(f"/proc/{found.pid}/environ").read_bytes()


def test_a_second_instance_names_the_first(running: RunningPlatform) -> None:
    done = aiinfn("up", "--port", "0", "--state", str(running.state.root))
    assert done.returncode == 1
    assert f"in use by process {running.pid} ({running.url})" in done.stderr
    assert answers(f"{running.url}/hub/login")


def test_status_tells_the_same_in_words_and_json(running: RunningPlatform) -> None:
    words = aiinfn("status", "--state", str(running.state.root))
    assert words.returncode == 0, words.stderr
    assert f"running (process {running.pid})" in words.stdout
    found = json.loads(aiinfn("status", "--json", "--state", str(running.state.root)).stdout)
    assert found["url"] == running.url
    assert found["parts"]["proxy"] == found["parts"]["hub"] == "ok"
    assert {"name", "enforced", "sentence"} == set(found["enforcement"][0])


def test_added_people_and_new_passwords_work_without_a_restart(running: RunningPlatform) -> None:
    state = ["--state", str(running.state.root)]
    assert aiinfn("user", "add", "dora", "--group", "users", *state).returncode == 0
    first = (running.state.passwords / "dora").read_text().strip()
    with running.login("dora", first):
        pass
    assert aiinfn("user", "passwd", "dora", *state, typed="a better password\n").returncode == 0
    with running.login("dora", "a better password"):
        pass


def test_a_session_survives_the_death_of_hub_service_and_proxy(running: RunningPlatform) -> None:
    with running.login("alice") as alice:
        answer = alice.start(**CHOICE)
        assert answer.status_code in (201, 202), answer.text
        model = alice.wait_ready(seconds=120)
        page = alice.client.get(f"{model['url']}lab")  # passes by the hub's OAuth and brings the session's cookie
        assert page.status_code == 200, page.text[:500]
        (runner,) = running.runners()
        for part in PARTS:
            killed = running.kill(part)
            wait_until(lambda part=part, old=killed: running.part(part) not in (None, old), what=f"{part} is not back")
            wait_until(lambda: answers(f"{running.url}/hub/login"), what=f"no login page after the death of {part}")
            wait_until(lambda: answers(f"{running.url}/services/aiinfn/health"), what=f"no service after {part}")
            assert f"{part} ended (killed by SIGKILL); it is started again" in running.output
            wait_until(
                lambda: answer_of(alice, f"{model['url']}api/status") == 200,
                what=f"the session does not answer after the death of {part}",
            )
        assert running.runners() == [runner], "the session is the same process"


def test_a_killed_runner_or_server_is_noticed_and_another_session_starts(running: RunningPlatform) -> None:
    with running.login("alice") as alice:
        if (alice.server() or {}).get("ready") is not True:
            alice.start(**CHOICE)
            alice.wait_ready(seconds=120)
        (runner,) = running.runners()
        below = _descendants(runner.pid)
        assert below
        assert runner.send(9)
        wait_until(lambda: not any(one.alive() for one in below), what="the sandbox outlived its runner")
        wait_until(lambda: not (alice.server() or {}).get("ready"), what="the hub did not notice")
        answer = alice.start(**CHOICE)
        assert answer.status_code in (201, 202), answer.text
        alice.wait_ready(seconds=120)


def test_a_killed_jupyter_server_is_noticed_and_said(running: RunningPlatform) -> None:
    with running.login("alice") as alice:
        if (alice.server() or {}).get("ready") is not True:
            alice.start(**CHOICE)
            alice.wait_ready(seconds=120)
        (runner,) = running.runners()
        below = _descendants(runner.pid)
        (server,) = [one for one in below if b"jupyterhub.singleuser" in Path(f"/proc/{one.pid}/cmdline").read_bytes()][
            -1:
        ]
        assert server.send(9)
        wait_until(lambda: not any(one.alive() for one in below), what="something of the session runs on")
        wait_until(lambda: not (alice.server() or {}).get("ready"), what="the hub did not notice")
        assert "it was ended by signal 9" in html.unescape(alice.client.get("/hub/home").text)


def _descendants(pid: int) -> list[ProcessIdentity]:
    from tests import platform

    root = ProcessIdentity.of(pid)
    assert root is not None
    return [one for one in platform._with_descendants([root]) if one != root]


def test_stopping_ends_everything_within_ten_seconds(running: RunningPlatform) -> None:
    processes = running.processes()
    assert len(processes) >= 4
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 10
    assert [one for one in processes if one.alive()] == []
    assert running.processes() == []
    assert not running.state.supervisor.exists()
    assert not running.ready_file.exists()
    assert "Stopping" in running.output
    assert "Stopped" in running.output
    done = aiinfn("status", "--state", str(running.state.root))
    assert done.returncode == 3
    assert "not running" in done.stdout


def test_tomorrow_brings_people_back(running: RunningPlatform) -> None:
    with RunningPlatform.start(folder=running.folder) as again, again.login("dora", "a better password"):
        assert again.ready["users"]["dora"] is None, "a chosen password is in no file"
    assert os.path.isdir(running.state.homes)  # noqa: PTH112
