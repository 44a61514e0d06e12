"""A restore that is proven: a platform with people, homes and choices, from a backup that was made while it ran."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyterhub_aiinfn.api.storage import StorageReport
from jupyterhub_aiinfn.backends.local.processes import children
from jupyterhub_aiinfn.backends.local.records import Records
from tests.attacker.installations import Place, prepare
from tests.platform import Browser, RunningPlatform, traversable_folder

pytestmark = pytest.mark.slow
PASSWORD = "a password of my own"
CHOICE = {"profile": "python", "size": "medium", "project": "quantum-lab"}


@pytest.fixture
def place() -> Iterator[Place]:
    folder = traversable_folder()
    folder.chmod(0o755)
    yield prepare(folder, as_root=os.geteuid() == 0)
    shutil.rmtree(folder, ignore_errors=True)


def start(place: Place, name: str, *, named: bool = True) -> RunningPlatform:
    """A platform whose state folder is in the folder of that name; ``named`` with --values."""
    folder = place.folder / name
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    return RunningPlatform.start(
        folder=folder,
        values=place.values if named else None,
        arguments=["--cache", str(place.cache)],
        environment=place.environment,
        program=place.program,
    )


def aiinfn(*words: str, given: str = "") -> str:
    """What a command printed."""
    command = [sys.executable, "-m", "jupyterhub_aiinfn.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, input=given, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def variables_of_session(platform: RunningPlatform, person: str) -> dict[str, str]:
    """The environment of the person's server, as only the host sees it."""
    for folder in platform.state.workloads.glob("w*"):
        spec = json.loads((folder / "spec").read_text())
        if spec["person"] == person and not (folder / "ended").exists():
            sandbox = json.loads((folder / "started").read_text())["sandbox"]["pid"]
            pairs = Path(f"/proc/{children(sandbox)[0].pid}/environ").read_bytes().decode().split("\0")
            return dict(pair.split("=", 1) for pair in pairs if pair)
    raise AssertionError(f"{person} has no session")


def wait_for(question: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def work(platform: RunningPlatform, alice: Browser) -> None:
    """A session of alice's: folders are where the variables say, and links lead there from the home."""
    assert alice.start(**CHOICE).status_code in (201, 202)
    alice.wait_ready()
    variables = variables_of_session(platform, "alice")
    assert variables["AIINFN_PROJECTS_FOLDER"] == "/projects"
    assert variables["AIINFN_PROJECT_FOLDER"] == "/projects/quantum-lab"
    assert variables["AIINFN_PUBLIC_FOLDER"] == "/public"
    headers = {"Authorization": f"token {variables['JUPYTERHUB_API_TOKEN']}"}
    address = f"{platform.url}/user/alice/api/contents"
    note = {"type": "file", "format": "text", "content": "kept"}
    for path in ("note.txt", "projects/quantum-lab/shared.txt"):
        answer = httpx.put(f"{address}/{path}", headers=headers, json=note, timeout=30)
        assert answer.status_code == 201, answer.text
    refused = httpx.put(f"{address}/public/no.txt", headers=headers, json=note, timeout=30)
    assert refused.status_code >= 400
    found = httpx.get(f"{variables['AIINFN_SERVICE_URL']}/api/v1/storage", headers=headers, timeout=30)
    report = StorageReport.model_validate_json(found.content)
    assert [(one.kind, one.key, one.read_only) for one in report.folders] == [
        ("home", "alice", False),
        ("project", "quantum-lab", False),
        ("public", "public", True),
    ]
    assert report.folders[0].use is not None
    assert report.folders[0].use.limit_bytes == 20 * 1024**3
    assert alice.stop_session().status_code in (202, 204)
    wait_for(lambda: not (alice.server() or {}).get("ready"))


def tree(folder: Path) -> dict[str, Any]:
    """Kinds, modes, owners, contents and ACLs of everything below."""
    found = {}
    for path in folder.rglob("*"):
        was = path.lstat()
        link = path.is_symlink()
        marks = [] if link else [(name, os.getxattr(path, name)) for name in sorted(os.listxattr(path))]
        data = str(path.readlink()) if link else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (was.st_mode, was.st_uid, was.st_gid, data, marks)
    return found


def test_a_platform_comes_back_from_a_backup_made_while_it_ran(place: Place) -> None:
    place.values.write_text(place.values.read_text().replace("AI_INFN on this machine", "A site of its own"))
    with start(place, "first") as platform:
        state = str(platform.state.root)
        aiinfn("user", "passwd", "alice", "--state", state, given=PASSWORD + "\n")
        with platform.login("alice", PASSWORD) as alice:
            work(platform, alice)
            alice.start("kept-name", **CHOICE)
            alice.wait_ready("kept-name")
            said = aiinfn("backup", str(place.folder / "backup"), "--state", state)
            running = variables_of_session(platform, "alice")["AIINFN_WORKLOAD"]
        first = {name: tree(platform.state.root / name) for name in ("homes", "projects", "secrets")}
        listed = aiinfn("storage", "--state", state)
        mine = aiinfn("storage", "--state", state, "--person", "alice", "--json")
        choices = (platform.state.hub / "last-choices.json").read_bytes()
        ended = [one.id for one in Records(platform.state.workloads).all() if one.id != running]
    assert "It holds secrets and homes" in said
    assert "home alice" in listed
    assert "20.0 GiB" in listed
    assert [one.key for one in StorageReport.model_validate_json(mine).folders] == ["alice", "quantum-lab", "public"]
    (place.folder / "second").mkdir()
    said = aiinfn("restore", str(place.folder / "backup"), "--state", str(place.folder / "second" / "state"))
    assert "Restored" in said
    second = place.folder / "second" / "state"
    for name, files in first.items():
        now = tree(second / name)
        lost = {path: (was, now.get(path)) for path, was in files.items() if now.get(path) != was}
        assert not {path: both for path, both in lost.items() if ".local" not in path and ".jupyter" not in path}
    assert first["homes"]["user-alice/note.txt"][3] == b"kept"
    assert (second / "hub" / "last-choices.json").read_bytes() == choices
    assert [one.id for one in Records(second / "workloads").all()] == ended
    with start(place, "second", named=False) as platform, platform.login("alice", PASSWORD) as alice:
        assert "A site of its own" in alice.client.get("/hub/home").text
        assert alice.server("kept-name") is not None
        assert alice.start(**CHOICE).status_code in (201, 202)
        alice.wait_ready()
        headers = {"Authorization": f"token {variables_of_session(platform, 'alice')['JUPYTERHUB_API_TOKEN']}"}
        for path in ("note.txt", "projects/quantum-lab/shared.txt"):
            address = f"{platform.url}/user/alice/api/contents/{path}"
            assert httpx.get(address, headers=headers, timeout=30).json()["content"] == "kept"
        assert platform.state.people.read_bytes() == (place.folder / "first" / "state" / "people.json").read_bytes()
