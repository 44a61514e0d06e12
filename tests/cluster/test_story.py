"""A person's path on a cluster, in a real browser: choose a device, wait for it, have it, find the same home."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from jupyterhub_aiinfn.backends.local.state import StateFolder
from tests.browser.conftest import browser, person, pytest_runtest_makereport, results
from tests.browser.person import Person
from tests.hub.running_hub import PASSWORD, Browser
from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

from .farm import Farm, running_farm
from .own_images import give_images
from .test_pods import declare_device
from .test_spawner import until

__all__ = ["browser", "person", "pytest_runtest_makereport", "results"]
pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(1800)]
DEVICE = "aiinfn.test/card"
SIZES = {"small": {"cores": 0.5, "memory_gib": 1}}
CARD = {"profile": "card", "project": "lab", "accelerator": "card", "size": "small"}


@dataclass
class OnCluster:
    """The farm as a person at the browser sees it."""

    farm: Farm

    @property
    def url(self) -> str:
        return self.farm.hub.installation.public_url

    @property
    def state(self) -> StateFolder:
        return self.farm.hub.installation.state

    @property
    def process(self) -> Any:
        """The hub."""
        return self.farm.hub.processes["hub"]

    def password(self, name: str) -> str:
        return PASSWORD

    def print_logs(self) -> None:
        print(self.farm.hub.log[-8000:])


@pytest.fixture(scope="module")
def farm(client: Client, own: Cluster) -> Iterator[Farm]:
    """Two cards, three people who are entitled to them, and JupyterLab in the sessions."""
    reference = give_images(own, ["python"])["python"]
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-story-"))
    folder.chmod(0o711)
    node = json.loads(client("get", "nodes", "--output", "json"))["items"][0]["metadata"]["name"]
    declare_device(client, node, DEVICE, "add", 2)
    try:
        client.until("node", node, lambda found: found["status"]["allocatable"].get(DEVICE) == "2")
        with running_farm(
            client,
            folder / "story",
            str(own.state.addresses.machine),
            changes(reference),
            with_homes=("alice", "bob", "carol"),
            server_program="lab",
        ) as running:
            running.hub.start_service()
            yield running
    finally:
        declare_device(client, node, DEVICE, "remove")
        shutil.rmtree(folder, ignore_errors=True)


def changes(reference: str) -> dict[str, Any]:
    """To the values of the tests' farm."""
    platform_jobs = {"cores": 0.1, "memory_gib": 0.1}
    users = {name: {"groups": ["users", "lab"]} for name in ("alice", "bob", "carol")}
    common = {"image": "python", "sizes": SIZES, "max": "1h"}
    return {
        "identity": {"users": {"admin": {"groups": ["admins", "users"]}, **users}},
        "kubernetes": {
            "kueue": {"cohort": f"test-{uuid.uuid4().hex[:6]}", "platform_jobs": platform_jobs},
            "sessions": {"pull": "Never", "stop_grace": "30s", "shm_gib": 0.25},
        },
        "images": {"python": {"name": "Python", "reference": reference}},
        "profiles": {
            "card": {
                "name": "Python with a card",
                "description": "JupyterLab with one test card",
                "accelerators": ["card"],
                "wait": "10m",
                **common,
            },
            "python": {"name": "Python", "description": "JupyterLab without a device", **common},
        },
        "limits": {"sessions_per_person": 2, "start_timeout": "2m"},
    }


def test_a_person_waits_for_a_device_has_it_and_finds_the_same_home(
    farm: Farm, browser: Chromium, person: Callable[..., Person], results: Path
) -> None:
    alice, bob = (holding(farm, name) for name in ("alice", "bob"))
    carol = person("carol", OnCluster(farm))
    carol.log_in()
    carol.choose("card")
    form = carol.page.locator("#spawn_form")
    expect(form).to_contain_text("0 of 2 free")
    expect(form).to_contain_text("a session waits for its turn, at most 10 minutes; one is expected free at")
    carol.page.screenshot(path=str(results / "cluster-choose.png"), full_page=True)
    assert carol.violations() == []
    carol.press_start()
    waits = carol.page.get_by_text(re.compile("next in the line"))
    expect(waits.first).to_be_visible(timeout=60_000)
    carol.page.screenshot(path=str(results / "cluster-waits.png"), full_page=True)
    assert carol.violations() == []
    assert alice.api("DELETE", "/users/alice/server", timeout=120).status_code in (202, 204)
    carol.in_lab()
    held = farm.all("pods")
    assert {farm.person_of(pod)[0] for pod in held} == {"bob", "carol"}
    work(carol, results)
    carol.stop()
    bob.api("DELETE", "/users/bob/server", timeout=120)
    until(farm.nothing_is_left)
    carol.start("python")
    expect(carol.page.locator(".jp-DirListing-item", has_text="mine.ipynb")).to_be_visible(timeout=30_000)
    carol.page.screenshot(path=str(results / "cluster-home.png"))


def work(carol: Person, results: Path) -> None:
    """Run a cell that says where it is, and save."""
    carol.new_notebook("Python")
    carol.run_cell("import os; print('device', os.environ.get('AIINFN_ACCELERATOR', '?'), 'as', os.getuid())")
    output = carol.page.locator(".jp-Notebook .jp-OutputArea-output").first
    expect(output).to_contain_text("device card as", timeout=30_000)
    expect(carol.page.locator("#jp-aiinfn-session-status")).to_contain_text("Python with a card")
    carol.save_as("mine.ipynb")
    carol.page.screenshot(path=str(results / "cluster-lab.png"))


def holding(farm: Farm, name: str) -> Browser:
    """Somebody who holds a card."""
    one = farm.hub.login(name)
    assert farm.start(one, name, **CARD) == 201
    return one
