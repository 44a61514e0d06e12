"""Waiting for an environment: real progress, cancelling, a build that fails, and no JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.platform import RunningPlatform

from .conftest import MakePerson

STARTS = re.compile("/services/aiinfn/starts/")


@pytest.mark.timeout(400)
def test_the_build_is_shown_and_the_session_starts_by_itself(
    person: MakePerson, small_platform: RunningPlatform
) -> None:
    alice = person("alice", small_platform)
    alice.log_in()
    alice.choose("small")
    alice.press_start()
    alice.page.wait_for_url(STARTS, timeout=60_000)
    assert alice.violations() == []
    assert not alice.is_running(), "a build holds no place among the starting sessions"
    alice.in_lab(seconds=240)


@pytest.mark.timeout(400)
def test_without_javascript_too(person: MakePerson, small_platform: RunningPlatform) -> None:
    alice = person("alice", small_platform, java_script_enabled=False)
    alice.log_in()
    alice.choose("small")
    alice.press_start()
    alice.page.wait_for_url(STARTS, timeout=60_000)
    expect(alice.page.get_by_role("button", name="Cancel")).to_be_visible()
    # The page asks again by itself until the session is there; JupyterLab then is a page that wants JavaScript.
    alice.page.wait_for_url(re.compile(r"/user/alice/"), timeout=240_000)


@pytest.mark.timeout(400)
def test_cancel_leaves_the_build_to_the_others(person: MakePerson, small_platform: RunningPlatform) -> None:
    alice, bob = person("alice", small_platform), person("bob", small_platform)
    for one in (alice, bob):  # everything that takes long comes before the build begins
        one.log_in()
        one.choose("small")
    for one in (alice, bob):
        one.press_start()
        one.page.wait_for_url(STARTS, timeout=60_000)
    alice.page.get_by_role("button", name="Cancel").click()
    expect(alice.page.get_by_role("heading", level=1)).to_have_text("Cancelled")
    bob.in_lab(seconds=240)
    assert not alice.is_running()


@pytest.mark.timeout(400)
def test_a_build_that_fails_names_the_package(person: MakePerson, small_platform: RunningPlatform) -> None:
    alice = person("alice", small_platform)
    alice.log_in()
    alice.choose("broken")
    alice.press_start()
    alice.page.wait_for_url(STARTS, timeout=60_000)
    expect(alice.page.get_by_role("heading", level=1)).to_have_text("The session did not start", timeout=120_000)
    expect(alice.page.locator("main")).to_contain_text("aiinfn-there-is-no-such-package")
    assert alice.violations() == []
    alice.page.get_by_role("link", name="Back to the profiles").click()
    expect(alice.card("small")).to_be_visible()
