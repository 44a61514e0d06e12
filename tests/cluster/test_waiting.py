"""Sessions that wait for a device in the line of Kueue, through a real hub."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

from .farm import PASSWORD, Farm, running_farm
from .farm_queues import card_profile, cards, queues
from .people import TINY, Visitor, leave_nothing, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PEOPLE = ("alice", "bob", "carol")
PROFILES = {
    "card": card_profile("Card", wait="1m"),
    "short": card_profile("Short", wait="10s"),
    "never": card_profile("Never"),
}


@pytest.fixture(scope="module")
def farm(client: Client, own: Cluster) -> Iterator[Farm]:
    """One card; of five starts at a time two may wait for it."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    changes = {
        "kubernetes": queues(),
        "profiles": PROFILES,
        "limits": {"concurrent_starts": 5, "sessions_per_person": 4},
    }
    try:
        with (
            cards(client, 1),
            running_farm(
                client, folder / "queued", str(own.state.addresses.machine), changes, with_homes=PEOPLE
            ) as running,
        ):
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def alice(farm: Farm) -> Iterator[Visitor]:
    """She has the card; afterwards nobody has anything."""
    alice = Visitor.of(farm, "alice")
    assert alice.start(**card("card"))
    yield alice
    leave_nothing(farm)


@pytest.fixture
def bob(alice: Visitor) -> Visitor:
    return Visitor.of(alice.farm, "bob")


def card(profile: str) -> dict[str, str]:
    return {"profile": profile, "project": "lab", "accelerator": "card", "size": "small"}


def waits(person: Visitor, profile: str = "card", server: str = "") -> None:
    """Begin to wait, and be seen to."""
    before = len(person.farm.names("workloads"))
    person.begin(server, **card(profile))
    until(lambda: len(person.farm.names("workloads")) == before + 1)


def only_alice_is_left(farm: Farm) -> None:
    """Hers is the one pod, with its Secret and its place in the line."""
    for kind in ("pods", "secrets", "workloads"):
        until(lambda kind=kind: len(farm.names(kind)) == 1)  # type: ignore[misc]
    assert farm.person_of(farm.all("pods")[0]) == ("alice", "")


def test_who_waits_sees_the_place_and_has_the_device_when_it_is_free(farm: Farm, alice: Visitor, bob: Visitor) -> None:
    waits(bob)
    assert "It waits for its turn: it is next in the line" in told(bob)
    assert "It waits for its turn: it is next in the line" in page(bob)
    assert PASSWORD not in json.dumps(farm.all("workloads"))
    alice.stop()
    until(bob.ready)
    assert len(farm.names("pods")) == 1


def test_who_cancels_on_the_page_without_javascript_leaves_nothing_of_that_server_and_everything_of_others(
    farm: Farm, alice: Visitor, bob: Visitor
) -> None:
    waits(bob)
    waits(bob, server="second")
    form = re.search(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page(bob, "second"))
    assert form is not None
    assert form[1] == "/hub/cancel/bob/second"
    answer = bob.browser.http.post(form[1], data={"_xsrf": bob.browser.xsrf})
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/home")
    for kind in ("pods", "secrets", "workloads"):
        until(lambda kind=kind: len(farm.names(kind)) == 2)
    assert {farm.person_of(pod) for pod in farm.all("pods")} == {("alice", ""), ("bob", "")}
    assert bob.server()["pending"] == "spawn"
    assert not bob.server("second").get("pending")
    assert alice.ready()


def test_a_cancel_is_refused_to_everybody_else_and_ends_no_session_that_runs(alice: Visitor, bob: Visitor) -> None:
    for path, status in (("alice", 404), ("alice/nothing", 404), ("nobody", 404), ("%00", 404)):
        assert bob.browser.http.post(f"/hub/cancel/{path}", data={"_xsrf": bob.browser.xsrf}).status_code == status
    assert alice.browser.http.post("/hub/cancel/alice").status_code == 403  # no form of ours
    assert alice.browser.get("/hub/cancel/alice").status_code == 405
    assert alice.farm.hub.browser().http.post("/hub/cancel/alice").status_code == 403
    answer = alice.browser.http.post("/hub/cancel/alice", data={"_xsrf": alice.browser.xsrf})
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/home")
    assert alice.ready()


def test_who_cancels_by_rest_leaves_nothing(farm: Farm, alice: Visitor, bob: Visitor) -> None:
    waits(bob)
    assert bob.browser.api("DELETE", "/users/bob/server", timeout=60).status_code in (202, 204)
    only_alice_is_left(farm)


def test_waiting_ends_in_words_leaves_nothing_and_counts_as_no_failure(
    farm: Farm, alice: Visitor, bob: Visitor
) -> None:
    waits(bob, "short")
    sentence = bob.sentence()
    assert "nothing became free within 10 seconds (it waits for its turn: it is next in the line)" in sentence
    assert "try again later, or choose something smaller" in sentence
    only_alice_is_left(farm)
    assert farm.hub.processes["hub"].poll() is None  # it ends at the first failure that counts


def test_where_nobody_may_wait_the_start_is_refused(farm: Farm, alice: Visitor, bob: Visitor) -> None:
    bob.begin(**card("never"))
    assert "nothing is free now" in bob.sentence()
    only_alice_is_left(farm)


def test_those_who_wait_never_keep_out_who_needs_no_device(farm: Farm, alice: Visitor, bob: Visitor) -> None:
    waits(bob)
    waits(bob, server="second")
    bob.begin("third", **card("card"))
    sentence = bob.sentence("third")
    assert "2 sessions wait for a device already; try again later, or choose one without a device" in sentence
    carol = Visitor.of(farm, "carol")
    assert carol.start(**TINY | {"project": "personal"})
    assert bob.server()["pending"] == bob.server("second")["pending"] == "spawn"


def page(person: Visitor, server: str = "") -> str:
    """The page of progress as it is served, once it says the place."""
    path = f"/hub/spawn-pending/{person.name}{'/' if server else ''}{server}"
    until(lambda: "in the line" in person.browser.get(path).text)
    return person.browser.get(path).text


def told(person: Visitor) -> str:
    """What the page is told about the place while it is open."""
    headers = {"X-XSRFToken": person.browser.xsrf, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    address = f"/hub/api/users/{person.name}/server/progress"
    with person.browser.http.stream("GET", address, headers=headers) as answer:
        seen = []
        for line in answer.iter_lines():
            seen.append(line)
            if "in the line" in line:
                return line
    raise AssertionError(f"nobody said the place: {seen}")
