"""Sessions on a real cluster through a real hub: secrets, homes, ends, and what goes wrong."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hub.running_hub import Browser
from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.errors import ClusterError

from .away import api_server_away
from .farm import PASSWORD, Farm, claim_name, running_farm
from .people import TINY, Visitor, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every uid can pass through: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def farm(client: Client, own: Cluster, folder: Path) -> Iterator[Farm]:
    with running_farm(client, folder / "plain", str(own.state.addresses.machine)) as running:
        yield running


@pytest.fixture
def alice(farm: Farm) -> Iterator[Browser]:
    """Nothing of hers runs afterwards."""
    yield (browser := farm.hub.login("alice"))
    for path in ("server", "servers/second"):
        browser.api("DELETE", f"/users/alice/{path}", timeout=120)
    until(lambda: not farm.names("pods"))


def test_a_session_comes_up_answers_and_goes_with_all_that_was_made_but_its_home(farm: Farm, alice: Browser) -> None:
    assert farm.start(alice, "alice", profile="tiny", size="small", project="lab") == 201
    [pod] = farm.all("pods")
    [secret] = farm.all("secrets")
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [pod["metadata"]["uid"]]
    assert server(alice)["ready"]
    assert alice.api("DELETE", "/users/alice/server", timeout=60).status_code in (202, 204)
    until(lambda: not farm.names("pods") and not farm.names("secrets"))
    assert farm.names("pvc") == [claim_name("alice")]


def test_no_secret_is_anywhere_but_in_the_secret(farm: Farm, alice: Browser) -> None:
    assert farm.start(alice, "alice", profile="tiny", size="small", project="lab") == 201
    [pod] = farm.all("pods")
    [secret] = farm.all("secrets")
    held = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    assert held["AIINFN_TEST_PASSWORD"] == PASSWORD
    assert len(held["JUPYTERHUB_API_TOKEN"]) >= 32
    seen = farm.client("exec", pod["metadata"]["name"], "--namespace", farm.namespace, "--", "env")
    assert all(value in seen for value in held.values())
    events = json.dumps(farm.all("events"))
    for where, text in {"pod": json.dumps(pod), "events": events, "log": farm.hub.log}.items():
        for name, value in held.items():
            assert value not in text, f"{name} stands in the {where}"


def test_a_session_that_ends_by_itself_is_noticed_at_once_and_removed(farm: Farm, alice: Browser) -> None:
    assert farm.start(alice, "alice", profile="tiny", size="small", project="lab") == 201
    [pod] = farm.names("pods")
    with contextlib.suppress(ClusterError):  # it may be killed with what it kills
        farm.client("exec", pod, "--namespace", farm.namespace, "--", "kill", "1")
    until(lambda: not server(alice).get("ready"), 15)
    until(lambda: not farm.names("pods") and not farm.names("secrets"))


def test_a_pod_that_somebody_deletes_is_a_session_that_has_ended(farm: Farm, alice: Browser) -> None:
    assert farm.start(alice, "alice", profile="tiny", size="small", project="lab") == 201
    farm.client("delete", "pod", "--all", "--namespace", farm.namespace, "--wait=false")
    until(lambda: not server(alice).get("ready"), 15)
    until(lambda: not farm.names("secrets"))


def test_an_image_that_is_not_there_ends_in_words_and_leaves_nothing(farm: Farm, alice: Browser) -> None:
    farm.start(alice, "alice", profile="absent", size="small", project="lab")
    sentence = refusal(alice, "alice")
    assert "the image could not be fetched by the node" in sentence
    assert "tell an administrator, or choose another profile" in sentence
    until(lambda: not farm.names("pods") and not farm.names("secrets"))


def test_a_home_without_a_disk_ends_in_words_and_leaves_nothing_but_the_claim(farm: Farm) -> None:
    carol = farm.hub.login("carol")
    farm.start(carol, "carol", profile="tiny", size="small", project="personal")
    sentence = refusal(carol, "carol")
    assert "the session was not ready within 60 seconds: a volume that it needs has no disk yet" in sentence
    until(lambda: not farm.names("pods") and not farm.names("secrets"))
    assert claim_name("carol") in farm.names("pvc")


def test_a_start_that_is_cancelled_leaves_nothing(farm: Farm) -> None:
    carol = farm.hub.login("carol")
    carol.api("POST", "/users/carol/server", json={"profile": "tiny", "size": "small", "project": "personal"})
    until(lambda: farm.names("pods"))
    assert carol.api("DELETE", "/users/carol/server", timeout=60).status_code in (202, 204)
    until(lambda: not farm.names("pods") and not farm.names("secrets"))
    until(lambda: carol.api("GET", "/users/carol").json()["pending"] is None)


def test_a_killed_hub_finds_its_sessions_again_and_sweeps_what_belongs_to_nothing(farm: Farm, alice: Browser) -> None:
    assert farm.start(alice, "alice", profile="tiny", size="small", project="lab") == 201
    before = [pod["metadata"]["uid"] for pod in farm.all("pods")]
    farm.hub.kill_hub()
    orphan = json.loads(farm.client("get", "secrets", "--namespace", farm.namespace, "--output", "json"))["items"][0]
    meta = {"name": "alice-w00000000000000000000", "namespace": farm.namespace, "labels": orphan["metadata"]["labels"]}
    farm.client.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"A": "left behind"}})
    farm.hub.start_hub()
    again = farm.hub.login("alice")
    until(lambda: server(again).get("ready"))
    assert [pod["metadata"]["uid"] for pod in farm.all("pods")] == before
    until(lambda: len(farm.names("secrets")) == 1)
    assert farm.start(again, "alice", profile="tiny", size="small", project="lab") == 400  # it runs already
    assert again.get("/user/alice/api").status_code == 200


def test_a_hub_that_is_killed_during_a_start_has_the_session_afterwards_once(farm: Farm, alice: Browser) -> None:
    with contextlib.suppress(httpx.HTTPError):
        alice.api(
            "POST", "/users/alice/server", json={"profile": "tiny", "size": "small", "project": "lab"}, timeout=0.3
        )
    until(lambda: farm.names("pods"))
    farm.hub.kill_hub()
    farm.hub.start_hub()
    again = farm.hub.login("alice")
    until(lambda: server(again).get("ready"))
    assert len(farm.names("pods")) == 1
    assert again.api("DELETE", "/users/alice/server", timeout=60).status_code in (202, 204)
    until(lambda: not farm.names("pods") and not farm.names("secrets"))


def test_while_the_api_server_is_away_no_session_has_ended_and_nothing_is_stopped_by_halves(
    farm: Farm, alice: Browser, own: Cluster
) -> None:
    person = Visitor(farm, "alice", alice)
    assert person.start()
    assert person.start("second", **TINY)
    with api_server_away(own, 10):
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            assert person.ready("second")
            assert alice.get("/user/alice/second/api").status_code == 200
            time.sleep(0.5)
        # who stops a session now sees that it is being stopped, until it is
        alice.api("DELETE", "/users/alice/server", timeout=60)
        assert person.server()["pending"] == "stop"
    until(lambda: not person.server().get("pending") and not person.ready(), 40)
    assert person.ready("second")
    assert person.start()


def test_a_start_while_the_api_server_is_away_ends_in_words_and_the_hub_lives(
    farm: Farm, alice: Browser, own: Cluster
) -> None:
    person = Visitor(farm, "alice", alice)
    with api_server_away(own, 0):
        person.begin()
        assert "the cluster does not answer; try again in a minute" in person.sentence()
    until(farm.nothing_is_left)
    assert person.start()


def test_a_session_that_no_server_of_the_hub_knows_is_ended_when_the_hub_starts(farm: Farm, alice: Browser) -> None:
    person = Visitor(farm, "alice", alice)
    assert person.start()
    assert person.start("second", **TINY)
    goes = person.pod("second")["metadata"]["name"]
    farm.hub.kill_hub()
    farm.hub.change("DELETE FROM spawners WHERE name = 'second'")
    farm.hub.start_hub()
    until(lambda: goes not in farm.names("pods") and goes not in farm.names("secrets"))
    again = Visitor.of(farm, "alice")
    until(again.ready)
    again.stop()


def test_neither_the_end_of_a_server_nor_of_a_person_deletes_the_claim_of_a_home(farm: Farm, folder: Path) -> None:
    bob, admin = Visitor.of(farm, "bob"), Visitor.of(farm, "admin")
    assert bob.start("second", **TINY)
    bob.run("echo mine > ~/kept.txt", "second")
    before = {one["metadata"]["name"]: one["metadata"]["uid"] for one in farm.all("pvc")}
    assert bob.browser.api("DELETE", "/users/bob/servers/second", json={"remove": True}, timeout=60).is_success
    until(bob.nothing_is_left)
    assert admin.browser.api("DELETE", "/users/bob", timeout=60).status_code == 204
    assert {one["metadata"]["name"]: one["metadata"]["uid"] for one in farm.all("pvc")} == before
    assert (folder / "plain" / "home-bob" / "kept.txt").read_text() == "mine\n"
    again = Visitor.of(farm, "bob")
    assert again.start(**TINY)
    assert again.run("cat ~/kept.txt") == "mine\n"
    again.stop()


def refusal(browser: Browser, name: str) -> str:
    """What the page of the start that failed says, as soon as it says it."""
    until(lambda: browser.api("GET", f"/users/{name}").json().get("pending") is None)
    return html.unescape(browser.get(f"/hub/spawn-pending/{name}").text)


def server(browser: Browser, name: str = "") -> dict[str, Any]:
    found = browser.api("GET", "/users/alice?include_stopped_servers").json()["servers"]
    return found.get(name, {})
