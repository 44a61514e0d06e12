"""The form: what is read from fields and links, and what the cards show."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyterhub_aiinfn.errors import Malformed
from jupyterhub_aiinfn.hub import form
from jupyterhub_aiinfn.model.entitlement import Offer, offers
from jupyterhub_aiinfn.model.requests import DeviceCount, Held, Person, Situation
from jupyterhub_aiinfn.values import Values, parse_values

VALUES = """
version: 1
site: {name: Farm}
accelerators:
  card: {type: gpu, name: "Card <b>", resource: x/y, per_session: [1, 2]}
images: {python: {name: Python, folder: images/python}}
projects: {lab: {groups: [lab]}, other: {groups: [other]}}
profiles:
  cpu: {name: "CPU & more", description: "<script>alert(1)</script>", image: python, max: 12h,
        sizes: {small: {cores: 1, memory_gib: 2}, large: {cores: 4, memory_gib: 8}}}
  gpu: {name: GPU, image: python, accelerators: [card], sizes: {one: {cores: 2, memory_gib: 4}}, max: 90m}
"""
ALICE = Person("alice", frozenset({"lab", "other"}))


class Page:
    """As much of the platform as the form reads."""

    def __init__(self, values: Values, situation: Situation) -> None:
        self.values, self.situation, self.drawing = values, situation, asyncio.Lock()

    def offers(self, person: Person, server_name: str) -> list[Offer]:
        return offers(self.values, person, self.situation, server_name)


def render(
    chosen: Mapping[str, str] | None = None,
    devices: Mapping[str, DeviceCount] | None = None,
    held: tuple[Held, ...] = (),
) -> str:
    situation = Situation(now=datetime(2026, 1, 1, tzinfo=UTC), held=held, devices=devices)
    page: Any = Page(parse_values(VALUES, "test"), situation)
    return " ".join(asyncio.run(form.render(page, ALICE, chosen or {}, "")).split())


def test_only_the_fields_of_the_chosen_profile_count() -> None:
    data = {
        "profile": ["gpu"],
        "size:cpu": ["large"],
        "size:gpu": ["one"],
        "accelerator:gpu": ["card:2"],
        "project:gpu": ["lab"],
    }
    assert form.read_form(data) == {
        "profile": "gpu",
        "size": "one",
        "accelerator": "card",
        "count": "2",
        "project": "lab",
    }


def test_no_accelerator_is_a_choice() -> None:
    assert form.read_form({"profile": ["gpu"], "accelerator:gpu": ["none"], "_xsrf": ["x"]}) == {"profile": "gpu"}


@pytest.mark.parametrize("data", [{"profile": ["a", "b"]}, {"profile": []}, {"file_file": [{"body": b"x"}]}])
def test_what_our_form_does_not_send_is_malformed(data: Mapping[str, Any]) -> None:
    with pytest.raises(Malformed, match="load the page again"):
        form.read_form(data)


def test_links_prefill_with_and_without_prefix_and_ignore_the_rest() -> None:
    assert form.read_link({"opt-profile": [b"gpu"], "size": [b"one"], "evil": [b"x"], "opt-x": [b"y"]}) == {
        "profile": "gpu",
        "size": "one",
    }
    assert form.read_link({"profile": [b"\xff\xfe"]}) == {"profile": "\ufffd\ufffd"}


def test_every_text_is_escaped() -> None:
    page = render()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "CPU &amp; more" in page
    assert "Card &lt;b&gt;" in page


def test_what_is_free_is_shown_and_what_is_not_is_disabled_with_its_reason() -> None:
    page = render(devices={"card": DeviceCount(total=3, used=2)})
    assert "1 of 3 free" in page
    assert 'value="card:2" disabled' in page
    assert "2 are not free now" in page
    none = render(devices={"card": DeviceCount(total=0, used=0, reason="no NVIDIA GPU on this machine")})
    assert 'value="gpu" required disabled aria-describedby="profile-gpu-about profile-gpu-why"' in none
    assert "no NVIDIA GPU on this machine" in none
    assert "availability unknown" in render()


def test_emulated_says_so() -> None:
    assert "EMULATED" in render(devices={"card": DeviceCount(total=3, used=2, emulated=True)})
    assert "EMULATED" not in render(devices={"card": DeviceCount(total=3, used=2)})


def test_the_last_choice_is_preselected_if_it_can_be_had() -> None:
    page = render({"profile": "cpu", "size": "large", "project": "other"})
    assert 'id="profile-cpu-size-large" value="large" checked' in page
    assert '<option value="other" selected' in page
    gone = render({"profile": "gpu"}, devices={"card": DeviceCount(total=1, used=1)})
    assert 'id="profile-cpu" value="cpu" required checked' in gone


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(43200, "12 hours"), (5400, "90 minutes"), (3600, "1 hour"), (172800, "2 days"), (45, "45 seconds")],
)
def test_durations_are_said_in_words(seconds: int, text: str) -> None:
    assert form.lasting(seconds) == text
