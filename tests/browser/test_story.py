"""The story of the first issue, from the login page to the second day."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson
from .person import Person

GHZ = """\
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
circuit = QuantumCircuit(3)
circuit.h(0)
circuit.cx(0, 1)
circuit.cx(1, 2)
circuit.measure_all()
print(AerSimulator(seed_simulator=1).run(circuit, shots=1000).result().get_counts())"""
BUILD_SECONDS = 400


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_newcomer_from_the_first_login_to_the_second_day(
    person: MakePerson, fresh_cache: Path, results: Path
) -> None:
    values, arguments = ROOT / "config" / "local.yaml", ["--cache", str(fresh_cache)]
    with RunningPlatform.start(values=values, arguments=arguments) as platform:
        alice = person("alice", platform)
        alice.log_in()
        see_the_cards(alice, results)
        seen = build_and_start(alice, "quantum", results)
        assert len(seen) >= 5, f"progress that was seen: {sorted(seen)}"
        run_the_circuit(alice, results)
        alice.stop()
        find_the_notebook_with_the_python_profile(alice, platform)
        first_password = platform.password("alice")
        assert platform.stop() == 0

        with RunningPlatform.start(values=values, arguments=arguments, folder=platform.folder) as again:
            assert again.password("alice") == first_password
            second_day(person("alice", again))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_typed_and_not_saved_is_saved_when_the_platform_stops(
    built: None, person: MakePerson, results: Path
) -> None:
    with RunningPlatform.start(values=ROOT / "config" / "local.yaml") as platform:
        alice = person("alice", platform)
        alice.log_in()
        alice.start("python")
        alice.new_notebook("Python")
        alice.run_cell("# typed at the last moment")
        home = platform.state.home("user-alice")
        assert "last moment" not in (home / "Untitled.ipynb").read_text()
        platform.process.send_signal(signal.SIGINT)
        toast = alice.page.locator(".Toastify__toast", has_text="Everything that was open is saved")
        expect(toast).to_be_visible(timeout=8000)
        alice.page.screenshot(path=str(results / "lab-stopping.png"))
        assert platform.stop() == 0
        assert "last moment" in (home / "Untitled.ipynb").read_text()


def see_the_cards(alice: Person, results: Path) -> None:
    page = alice.page
    alice.go("/hub/spawn")
    for title in ("Python", "Quantum", "GPU"):
        expect(page.get_by_role("radio", name=title, exact=True)).to_be_visible()
    expect(page.get_by_text("EMULATED").first).to_be_attached()
    alice.pick("quantum")
    page.set_viewport_size({"width": 1000, "height": 600})
    picture = page.screenshot(full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})
    (results / "spawn-page.png").write_bytes(picture)
    if os.environ.get("AIINFN_UPDATE_IMAGES"):
        (ROOT / "docs" / "images" / "spawn-page.png").write_bytes(picture)


def build_and_start(alice: Person, profile: str, results: Path) -> set[str]:
    """Choose a profile whose environment is missing and follow the build; what the page said on the way."""
    page, seen = alice.page, set[str]()
    alice.choose(profile)
    alice.press_start()
    page.wait_for_url(re.compile("/services/aiinfn/starts/"), timeout=60_000)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Preparing")
    for round_ in range(BUILD_SECONDS * 2):
        if "/services/aiinfn/starts/" not in page.url:
            break
        with contextlib.suppress(Error):  # the page goes on to the session just now
            seen |= {text for text in page.locator("#packages, #bytes").all_inner_texts() if text.strip()}
        if round_ == 10:
            page.screenshot(path=str(results / "build.png"))
        page.wait_for_timeout(500)
    alice.in_lab()
    return seen


def run_the_circuit(alice: Person, results: Path) -> None:
    expect(alice.page.locator("#jp-aiinfn-session-status")).to_contain_text("Quantum laboratory", timeout=30_000)
    alice.new_notebook("Quantum")
    alice.run_cell(GHZ)
    output = alice.page.locator(".jp-Notebook .jp-OutputArea-output").first
    expect(output).to_contain_text("'000'", timeout=90_000)
    counts = json.loads(output.inner_text().strip().replace("'", '"'))
    assert set(counts) == {"000", "111"}
    assert sum(counts.values()) == 1000
    assert 400 < counts["000"] < 600
    alice.save_as("ghz.ipynb")
    alice.page.screenshot(path=str(results / "lab-quantum.png"))
    assert "AerSimulator" in (alice.platform.state.home("user-alice") / "ghz.ipynb").read_text()


def find_the_notebook_with_the_python_profile(alice: Person, platform: RunningPlatform) -> None:
    build_and_start(alice, "python", ROOT / "test-results" / "browser")
    expect(alice.page.locator(".jp-DirListing-item", has_text="ghz.ipynb")).to_be_visible()
    expect(alice.page.locator("#jp-aiinfn-session-status")).to_contain_text("Python")
    assert (platform.state.home("user-alice") / "ghz.ipynb").exists()


def second_day(alice: Person) -> None:
    """Users, homes, environments and choices are there again: no build, the same card, the notebook."""
    alice.log_in()
    alice.go("/hub/home")
    expect(alice.page.locator("#aiinfn-last-end")).to_contain_text("the platform was stopped")
    alice.go("/hub/spawn")
    expect(alice.card("python")).to_be_checked()
    alice.press_start()
    alice.in_lab()
    assert not [address for address in alice.requests if "/services/aiinfn/starts" in address]
    expect(alice.page.locator(".jp-DirListing-item", has_text="ghz.ipynb")).to_be_visible()
