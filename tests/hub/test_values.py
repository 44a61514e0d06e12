"""The hub follows what is agreed, also in the middle of a start."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from jupyterhub_aiinfn.backends.local.agreement import Agreement, Agreements
from jupyterhub_aiinfn.values import Values, load_values

from .running_hub import HERE, RunningHub
from .test_sessions import wait_until

pytestmark = pytest.mark.slow
FILE = HERE / "values.yaml"


def without(*profiles: str) -> Values:
    values = load_values(FILE)
    kept = {key: profile for key, profile in values.profiles.items() if key not in profiles}
    return values.model_copy(update={"profiles": kept})


def agree(hub: RunningHub, values: Values) -> str:
    agreements = Agreements(hub.installation.state)
    digest = agreements.store(values)
    agreements.agree(Agreement(digest, str(FILE), time.time()))
    return digest


def held(hub: RunningHub, path: str = "") -> str:
    """The hash that the hub holds; ``/follow`` makes it look now."""
    url = f"http://127.0.0.1:{hub.installation.hub_port}/hub/aiinfn/values{path}"
    headers = {"Authorization": f"Bearer {hub.installation.state.secret('values-token')}"}
    return str(httpx.request("POST" if path else "GET", url, headers=headers, timeout=10).json()["hash"])


def test_a_start_under_way_goes_on_when_its_profile_goes(make_hub: Callable[..., RunningHub]) -> None:
    hub = make_hub()
    browser = hub.login("alice")
    choice = {"profile": "jupyter", "project": "lab"}
    with ThreadPoolExecutor() as threads:
        started = threads.submit(browser.api, "POST", "/users/alice/server", json=choice)
        admin = hub.login("admin")
        wait_until(lambda: "" in admin.api("GET", "/users/alice").json().get("servers", {}))
        digest = agree(hub, without("jupyter"))
        assert held(hub, "/follow") == digest
        assert started.result().status_code in (201, 202)
    wait_until(lambda: browser.api("GET", "/users/alice").json()["servers"].get("", {}).get("ready"), 40)
    assert "jupyter, charged to lab" in browser.get("/hub/home").text
    assert browser.api("DELETE", "/users/alice/server").status_code in (202, 204)
    wait_until(lambda: "" not in browser.api("GET", "/users/alice").json()["servers"])
    assert browser.api("POST", "/users/alice/server", json=choice).status_code == 403
    # what was stored as the last choice is gone too: the page shows what there is
    page = browser.get("/hub/spawn").text
    assert "Tiny" in page
    assert "Jupyter" not in page.partition('id="spawn_form"')[2]


def test_without_being_told_and_never_to_what_cannot_be_read(make_hub: Callable[..., RunningHub]) -> None:
    hub = make_hub()
    first = held(hub)
    values = without("tiny")
    digest = agree(hub, values)
    wait_until(lambda: held(hub) == digest, 5)
    other = agree(hub, without("tiny", "card"))
    file = Agreements(hub.installation.state).folder / f"{other}.json"
    wait_until(lambda: held(hub) == other, 5)
    agree(hub, values)
    wait_until(lambda: held(hub) == digest, 5)
    for content in ("", "{}", "[", "[" * 10_000, '{"version": 2}', FILE.read_text()):
        file.write_text(content)
        Agreements(hub.installation.state).agree(Agreement(other, str(FILE), time.time()))
        time.sleep(1.2)
        assert held(hub) == digest
    assert "the values stay as they are" in hub.log
    assert "apply the values file again" in hub.log
    (file.parent / "agreed.json").write_text("not an agreement")
    time.sleep(1.2)
    assert held(hub) == digest
    hub.kill_hub()
    (file.parent / "agreed.json").unlink()
    hub.start_hub()
    assert held(hub) == first
