"""`aiinfn values apply` on a platform that runs: both parts hold the new values or neither, whoever is killed when."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jupyterhub_aiinfn.backends.local.agreement import Agreements
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.supervisor import apply as supervisor
from jupyterhub_aiinfn.supervisor.apply import PARTS, Parts
from jupyterhub_aiinfn.supervisor.record import read_record
from jupyterhub_aiinfn.values import load_values, values_hash
from tests.platform import RunningPlatform

from .test_running import CHOICE, aiinfn, build_python, wait_until

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[2] / "config" / "local.yaml"
QUICK = "  quick:\n    name: Quick look\n    image: python\n    sizes: {tiny: {cores: 1, memory_gib: 1}}\n    max: 1h\n"
"""One more profile, to be put behind the last one."""


def text(*changes: tuple[str, str]) -> str:
    """The values that come with the platform, changed; every change must change something."""
    found = CONFIG.read_text()
    for old, new in changes:
        assert old in found, old
        found = found.replace(old, new)
    return found


PYTHON = "  python:\n    name: Python\n    description: Data"
DORA = ("    carol: {groups: [users]}", "    carol: {groups: [users]}\n    dora: {groups: [quantum-lab]}")
MORE = (("\nstorage:", f"{QUICK}\nstorage:"),)


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningPlatform]:
    with RunningPlatform.start(values=text()) as running:
        build_python(running)
        yield running


@pytest.fixture
def running(shared: RunningPlatform) -> RunningPlatform:
    """The shared platform, holding the values that come with it."""
    apply(shared, text())
    return shared


def apply(platform: RunningPlatform, values: str, *, yes: bool = True) -> subprocess.CompletedProcess[str]:
    file = platform.folder / "values.yaml"
    file.write_text(values)
    command = ["values", "apply", str(file), "--state", str(platform.state.root), *(["--yes"] if yes else [])]
    done = aiinfn(*command, typed=None if yes else "n\n")
    assert "Traceback" not in done.stdout + done.stderr
    return done


def held(platform: RunningPlatform) -> dict[str, str]:
    return asyncio.run(Parts.of(platform.state).held())


def both_hold(platform: RunningPlatform, values: str) -> bool:
    file = platform.folder / "expected.yaml"
    file.write_text(values)
    return set(held(platform).values()) == {values_hash(load_values(file))}


def cards(platform: RunningPlatform, name: str = "alice") -> str:
    with platform.login(name) as browser:
        return browser.client.get(f"/hub/spawn/{name}/form").text


def test_a_new_profile_is_on_the_page_and_a_running_session_goes_on(running: RunningPlatform) -> None:
    with running.login("alice") as browser:
        browser.start(**CHOICE)
        browser.wait_ready()
        before = running.runners()
        assert "Quick look" not in cards(running)
        done = apply(running, text(*MORE, (PYTHON, PYTHON.replace("name: Python", "name: Numbers"))))
        assert done.returncode == 0, done.stderr
        assert '~ profiles.python.name: "Python" -> "Numbers"' in done.stdout
        assert '+ profiles.quick: {"name": "Quick look"' in done.stdout
        page = cards(running)
        assert "Quick look" in page
        assert "Numbers" in page
        assert running.runners() == before
        assert browser.client.get("/user/alice/api").status_code == 200
        status = json.loads(aiinfn("status", "--json", "--state", str(running.state.root)).stdout)
        assert len({status["values_held"][key] for key in ("agreed", "hub", "service")}) == 1
        # and what it started with is gone: it goes on under its key
        gone = text(*MORE, (PYTHON, PYTHON.replace("  python:", "  numbers:")))
        assert apply(running, gone).returncode == 0
        assert browser.client.get("/user/alice/api").status_code == 200
        assert "python, charged to Quantum laboratory" in browser.client.get("/hub/home").text
        assert browser.client.get("/services/aiinfn/").status_code == 200
        sessions = browser.client.get("/services/aiinfn/api/v1/sessions").json()
        assert [one["profile"] for one in sessions["sessions"]] == ["python"]
        refused = browser.start("second", **CHOICE)
        assert (refused.status_code, "there is no profile" in refused.text) == (403, True)
        assert browser.stop_session().status_code in (202, 204)
        wait_until(lambda: not running.runners())


def test_devices_and_people_follow_too(running: RunningPlatform) -> None:
    done = apply(
        running,
        text(("emulated: 2", "emulated: 5"), DORA),
    )
    assert "~ accelerators.qpu.emulated: 2 -> 5" in done.stdout
    password = running.state.passwords / "dora"
    assert f"dora can log in; the first password is in {password}" in done.stdout
    with running.login("dora", password.read_text().strip()) as browser:
        wait_until(lambda: "5 of 5 free" in browser.client.get("/hub/spawn/dora/form").text, 15)
        assert browser.client.get("/services/aiinfn/").status_code == 200
        devices = browser.client.get("/services/aiinfn/api/v1/availability").json()["devices"]
        assert devices["qpu"]["total"] == 5


def test_what_needs_a_restart_is_named_and_waits(running: RunningPlatform) -> None:
    done = apply(
        running,
        text(
            ("AI_INFN on this machine", "Another name"),
            ("sessions_per_person: 2", "sessions_per_person: 1"),
            ("max: 8h", "max: 9h"),
        ),
    )
    assert done.returncode == 0
    assert "site.name, limits.sessions_per_person need a restart of the platform" in done.stdout
    assert both_hold(running, text(("max: 8h", "max: 9h")))
    status = aiinfn("status", "--state", str(running.state.root)).stdout
    assert "waiting for a restart of the platform: site.name, limits.sessions_per_person" in status
    doctor = aiinfn("doctor", "--state", str(running.state.root)).stdout
    assert "was applied; some of it waits for a restart" in doctor
    assert "has changed since" not in doctor
    following = Agreements(running.state).next()
    assert following is not None
    assert Agreements(running.state).load(following.hash).site.name == "Another name"


def test_a_wrong_file_is_refused_and_no_is_no(running: RunningPlatform) -> None:
    for wrong in ("", "version: 1", text(("image: quantum", "image: quantun")), "[" * 5000, "\x00", "a" * 2_000_000):
        done = apply(running, wrong)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: ")
    assert apply(running, text(*MORE), yes=False).stdout.endswith("nothing was changed\n")
    for absent in (running.folder / "absent.yaml", Path("/dev/zero"), running.folder):
        done = aiinfn("values", "apply", str(absent), "--yes", "--state", str(running.state.root))
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
    assert both_hold(running, text())
    again = apply(running, text())
    assert again.stdout.endswith("nothing to apply\n")


def test_of_two_who_apply_at_once_each_sees_what_it_changed(running: RunningPlatform) -> None:
    files = []
    for number in range(4):
        file = running.folder / f"at-once-{number}.yaml"
        file.write_text(text(("max: 8h", f"max: {number + 10}h")))
        files.append(file)
    done: list[subprocess.CompletedProcess[str]] = []
    command = ["values", "apply", "--yes", "--state", str(running.state.root)]
    threads = [threading.Thread(target=lambda file=file: done.append(aiinfn(*command, str(file)))) for file in files]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(one.returncode == 0 for one in done)
    for one in done:
        assert one.returncode == 0 or "changed meanwhile by somebody else" in one.stderr, one.stderr
    hashes = set(held(running).values())
    assert len(hashes) == 1
    assert hashes <= {values_hash(load_values(file)) for file in files}


def test_nobody_but_the_machine_s_administrator_has_a_say(running: RunningPlatform) -> None:
    found = read_record(running.state)
    assert found is not None
    token = {"Authorization": f"Bearer {running.state.secret('values-token')}"}
    digest = Agreements(running.state).store(load_values(CONFIG))
    for part, direct in supervisor.addresses(found[1]).items():
        through_proxy = running.url + httpx.URL(direct).path
        for path in ("", "/prepare", "/follow"):
            method = "POST" if path else "GET"
            body = {"hash": digest}
            assert httpx.request(method, direct + path, headers=token, json=body).status_code == 200, (part, path)
            for url, headers in (
                (direct, {}),
                (direct, {"Authorization": "Bearer " + "0" * 64}),
                (direct, {"Authorization": f"Bearer {running.state.secret('internal-token')}"}),
                (through_proxy, token),
            ):
                answer = httpx.request(method, url + path, headers=headers, json=body)
                assert answer.status_code == 403, (part, path)
                assert "on the machine of the platform only" in answer.json()["error"]["message"]
        for wrong in (b"", b"[", b"{}", b'{"hash": "../../x"}', b'{"hash": "0000000000000000"}', b"[" * 900):
            answer = httpx.post(f"{direct}/prepare", headers=token, content=wrong)
            assert answer.status_code in (409, 422), (part, wrong)
            assert answer.json()["error"]["message"]
    with running.login("admin") as browser:
        assert browser.api("POST", "/../aiinfn/values/prepare", json={"hash": digest}).status_code == 403


def test_values_that_one_part_cannot_read_change_neither(running: RunningPlatform) -> None:
    before = held(running)
    change = changed(running, text(*MORE))
    agreement = supervisor.propose(change, Agreements(running.state))
    file = running.state.root / "values" / f"{agreement.hash}.json"
    file.write_text("{}")
    with pytest.raises(StateError, match=r"the hub cannot hold these values: .* nothing was changed"):
        asyncio.run(Parts.of(running.state).prepare(agreement.hash))
    file.unlink()
    assert held(running) == before


def changed(platform: RunningPlatform, values: str) -> supervisor.Change:
    file = platform.folder / "values.yaml"
    file.write_text(values)
    return supervisor.look(file, platform.state.root)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("agree", [True, False])
def test_a_part_that_is_killed_between_the_phases_comes_up_with_what_is_agreed(
    running: RunningPlatform, part: str, agree: bool
) -> None:
    change, agreements = changed(running, text(*MORE)), Agreements(running.state)
    agreement = supervisor.propose(change, agreements)
    asyncio.run(Parts.of(running.state).prepare(agreement.hash))
    running.kill(part)
    if agree:
        agreements.agree(agreement)  # and whoever applied dies here: nobody tells the parts
    wanted = text(*MORE) if agree else text()
    wait_until(lambda: both_hold(running, wanted), 60, f"{held(running)} after {part} was killed")


def test_while_a_part_is_away_nothing_is_changed(running: RunningPlatform) -> None:
    running.kill("service")
    done = apply(running, text(*MORE))
    if done.returncode:  # else it was back in time, which is as good
        assert "the service cannot hold these values: it does not answer; nothing was changed" in done.stderr
    wanted = text() if done.returncode else text(*MORE)
    wait_until(lambda: both_hold(running, wanted))


def test_applied_while_it_does_not_run_it_counts_from_the_next_start(folder: Path) -> None:
    state = StateFolder(folder / "state")
    file = folder / "new.yaml"
    file.write_text(text(*MORE, ("AI_INFN on this machine", "Another name")))
    done = aiinfn("values", "apply", str(file), "--yes", "--state", str(state.root))
    assert done.returncode == 0, done.stderr
    assert "`aiinfn up` without --values starts with them" in done.stdout
    file.unlink()
    with RunningPlatform.start(folder=folder) as running:
        assert "Another name" in httpx.get(f"{running.url}/hub/login").text
        assert "Quick look" in cards(running)
    named = folder / "named.yaml"
    named.write_text(text())
    with RunningPlatform.start(folder=folder, values=named) as running:
        assert "changed since the platform ran last: site.name, profiles.quick" in running.output
        assert both_hold(running, text())
    assert Agreements(state).next() is None, "a file that is named takes the place of what was applied"


@pytest.mark.root
def test_another_user_cannot_apply(running: RunningPlatform) -> None:
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    file = running.folder / "theirs.yaml"
    file.write_text(text(*MORE))
    file.chmod(0o644)
    arguments = ["values", "apply", str(file), "--yes", "--state", str(running.state.root)]
    done = subprocess.run(
        [*command, sys.executable, "-m", "jupyterhub_aiinfn.cli", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "belongs to another user; run this command as that user" in done.stderr
    assert both_hold(running, text())
