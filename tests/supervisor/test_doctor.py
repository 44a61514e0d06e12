"""`aiinfn doctor`: what is in order, what is to know, what is broken; each with what to do."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.backends.local.agreement import Agreements
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.values import load_values, values_hash
from tests.platform import RunningPlatform
from tests.unit.storage.disks import btrfs

from .test_running import aiinfn, wait_until

pytestmark = pytest.mark.slow
CONFIG = Path(__file__).parents[2] / "config" / "local.yaml"


@pytest.fixture
def state(folder: Path) -> StateFolder:
    found = StateFolder(folder / "state")
    found.prepare()
    found.secret("service-token")
    return found


@pytest.fixture
def port() -> int:
    """One that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def examine(state: StateFolder, port: int, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = aiinfn("doctor", "--json", "--state", str(state.root), "--port", str(port), *arguments)
    assert "Traceback" not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["exit_code"] == done.returncode
    return done.returncode, found["findings"]


def broken(findings: list[dict[str, Any]]) -> list[str]:
    return [f"{one['name']}: {one['sentence']}; {one['remedy']}" for one in findings if one["level"] == "BROKEN"]


def test_a_folder_in_order(state: StateFolder, port: int) -> None:
    code, findings = examine(state, port)
    assert (code, broken(findings)) == (0, [])
    names = {one["name"] for one in findings}
    assert {"values", "Node", "git", "sandbox", "memory", "quotas", "clock", "state folder", "port", "records"} <= names
    assert {"room for the state", "room for the cache", "database of the hub", "database of the service"} <= names
    text = aiinfn("doctor", "--state", str(state.root), "--port", str(port))
    assert text.returncode == 0
    assert text.stdout.splitlines()[-1].startswith("0 broken, ")


def test_what_others_may_read_and_what_is_a_link(state: StateFolder, port: int) -> None:
    (state.secrets / "service-token").chmod(0o644)
    (state.passwords / "alice").symlink_to("/etc/hostname")
    state.logs.chmod(0o755)
    code, findings = examine(state, port)
    said = "\n".join(broken(findings))
    assert code == 1
    assert f"{state.secrets / 'service-token'} can be used by others (mode 644); chmod 600" in said
    assert f"{state.passwords / 'alice'} is a link" in said
    assert f"{state.logs} can be used by others (mode 755); chmod 700" in said


@pytest.mark.parametrize("content", [b"no database at all, and long enough to be looked at" * 100, b""])
def test_a_damaged_database(state: StateFolder, port: int, content: bytes) -> None:
    file = state.service / "service.sqlite"
    file.write_bytes(content)
    code, findings = examine(state, port)
    assert code == bool(content)
    if content:
        assert "cannot be used: file is not a database; stop the platform and restore" in "\n".join(broken(findings))


def test_a_database_with_a_torn_page(state: StateFolder, port: int) -> None:
    file = state.hub / "jupyterhub.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE things (text TEXT)")
        connection.executemany("INSERT INTO things VALUES (?)", [("x" * 500,)] * 200)
        connection.commit()
    assert examine(state, port)[0] == 0
    data = bytearray(file.read_bytes())
    data[4096 * 3 : 4096 * 5] = os.urandom(4096 * 2)
    file.write_bytes(data)
    code, findings = examine(state, port)
    assert code == 1
    assert any(line.startswith("database of the hub: ") for line in broken(findings))


def test_values_that_cannot_be_read_and_a_port_in_use(state: StateFolder, folder: Path) -> None:
    wrong = folder / "wrong.yaml"
    wrong.write_text("version: 2")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, findings = examine(state, taken.getsockname()[1], "--values", str(wrong))
    said = "\n".join(broken(findings))
    assert code == 1
    assert "version (line 1): must be 1" in said
    assert "cannot be used: address already in use" in said


def test_damaged_agreements_and_records_hide_nothing(state: StateFolder, port: int) -> None:
    record = state.workloads / f"w{'0' * 20}"
    record.mkdir()
    (record / "spec").write_text("{}")
    agreements = Agreements(state)
    agreements.folder.mkdir(mode=0o700)
    for name in ("next.json", "agreed.json"):
        (agreements.folder / name).write_text('{"hash": "0000000000000000", "file": "x", "since": 0, "waiting": []}')
    code, findings = examine(state, port)
    assert code == 1
    assert "0000000000000000.json cannot be used: No such file or directory; apply the values file again" in "\n".join(
        broken(findings)
    )
    assert any(one["name"] == "records" and "1 cannot be read" in one["sentence"] for one in findings)


def test_a_clock_that_was_set_back(state: StateFolder, port: int) -> None:
    later = time.time() + 3600
    os.utime(state.secrets, (later, later))
    _, findings = examine(state, port)
    assert any(
        one["name"] == "clock" and "in the future: the clock was set back" in one["sentence"] for one in findings
    )


def test_a_running_platform_and_one_whose_part_is_gone() -> None:
    with RunningPlatform.start() as running:
        port = int(running.url.rpartition(":")[2])
        wait_until(lambda: examine(running.state, port)[0] == 0, 30, "the service sees the hub at its next look")
        code, findings = examine(running.state, port)
        assert (code, broken(findings)) == (0, [])
        assert {"proxy", "hub", "service"} <= {one["name"] for one in findings if one["sentence"] == "answers"}
        held = next(one["sentence"] for one in findings if one["name"] == "values")
        assert held.startswith("the platform holds ")
        other = running.folder / "other.yaml"
        other.write_text(CONFIG.read_text().replace("AI_INFN on this machine", "A site of its own"))
        _, named = examine(running.state, port, "--values", str(other))
        said = next(one["sentence"] for one in named if one["name"] == "values")
        assert said == f"{other} says {values_hash(load_values(other))}"
        assert said.rpartition(" ")[2] not in held
        database = next(one for one in findings if one["name"] == "database of the service")
        assert "is whole: version 0" in database["sentence"]
        part = running.part("service")
        assert part is not None
        part.send(19)  # SIGSTOP: it hangs
        try:
            code, findings = examine(running.state, port)
        finally:
            part.send(18)
        assert code == 1
        assert any(line.startswith("service: does not answer; see ") for line in broken(findings))


@pytest.mark.root
@pytest.mark.parametrize(("on", "level"), [(True, "ok"), (False, "warning")])
def test_quotas_are_enforced_where_the_platform_enforces_them(port: int, on: bool, level: str) -> None:
    """On btrfs it takes quotas that are switched on, whatever the kind of file system promises."""
    with btrfs(quota=on) as disk:
        _, findings = examine(StateFolder(disk / "state"), port)
    (found,) = [one for one in findings if one["name"] == "quotas"]
    assert found["level"] == level
    said = "enforced for homes and projects by quotas of btrfs" if on else "btrfs quota enable"
    assert said in found["sentence"]


@pytest.mark.root
def test_quotas_of_an_ordinary_user_are_measured(port: int) -> None:
    with btrfs() as disk:
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-m"]
        words = ["doctor", "--json", "--state", str(disk / "state"), "--port", str(port)]
        done = subprocess.run(
            [*command, "jupyterhub_aiinfn.cli", *words], capture_output=True, text=True, timeout=60, check=False
        )
    (found,) = [one for one in json.loads(done.stdout)["findings"] if one["name"] == "quotas"]
    assert "only root can set quotas of btrfs" in found["sentence"]


@pytest.mark.root
def test_another_users_folder_is_a_finding_and_no_traceback(state: StateFolder, port: int) -> None:
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-m"]
    done = subprocess.run(
        [*command, "jupyterhub_aiinfn.cli", "doctor", "--state", str(state.root), "--port", str(port)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "belongs to the user id 0" in done.stdout
