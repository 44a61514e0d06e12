"""The form: what is read from fields and links, and what the cards show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.api.availability import Availability, DeviceAvailability
from jupyterhub_aiinfn.api.sessions import Announcement, Announcements
from jupyterhub_aiinfn.errors import Malformed
from jupyterhub_aiinfn.hub import form
from jupyterhub_aiinfn.hub.availability import AvailabilityFeed
from jupyterhub_aiinfn.hub.last_choices import LastChoices
from jupyterhub_aiinfn.hub.pages import without_files
from jupyterhub_aiinfn.hub.platform import Platform
from jupyterhub_aiinfn.model.requests import Person
from jupyterhub_aiinfn.values import Values, parse_values
from jupyterhub_aiinfn.values.current import CurrentValues

from .process_backend import Images, ProcessBackend

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


def make_platform(
    values: Values,
    folder: Path,
    devices: Mapping[str, DeviceAvailability] | None = None,
    announcements: Sequence[Announcement] = (),
) -> Platform:
    """The real one, which was sent a snapshot unless nothing is known; nothing is started."""
    feed = AvailabilityFeed("http://127.0.0.1:1/", "none")
    feed.announce(Announcements(announcements=tuple(announcements)))
    if devices is not None:
        feed.receive(Availability(taken_at=datetime.now(UTC), devices=dict(devices)))
    backend, choices = ProcessBackend(folder, {}), LastChoices(folder / "last-choices.json")
    return Platform(CurrentValues(values), backend, Images(), feed, choices, ticket_key="key")


def cards(total: int, used: int, *, emulated: bool = False, reason: str = "") -> dict[str, DeviceAvailability]:
    return {"card": DeviceAvailability(accelerator="card", total=total, used=used, emulated=emulated, reason=reason)}


@pytest.fixture
def render(tmp_path: Path) -> Callable[..., str]:
    """The form as alice sees it, on one line."""

    def draw(
        chosen: Mapping[str, str] | None = None,
        devices: Mapping[str, DeviceAvailability] | None = None,
        announcements: Sequence[Announcement] = (),
    ) -> str:
        platform = make_platform(parse_values(VALUES, "test"), tmp_path, devices, announcements)
        return " ".join(asyncio.run(form.render(platform, ALICE, chosen or {}, "")).split())

    return draw


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


def test_every_text_is_escaped(render: Callable[..., str]) -> None:
    page = render()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "CPU &amp; more" in page
    assert "Card &lt;b&gt;" in page


def test_what_is_free_is_shown_and_what_is_not_is_disabled_with_its_reason(render: Callable[..., str]) -> None:
    page = render(devices=cards(3, 2))
    assert "1 of 3 free" in page
    assert 'value="card:2" disabled' in page
    assert "2 are not free now" in page
    none = render(devices=cards(0, 0, reason="no NVIDIA GPU on this machine"))
    assert 'value="gpu" required disabled aria-describedby="profile-gpu-about profile-gpu-why"' in none
    assert "no NVIDIA GPU on this machine" in none
    assert "availability unknown" in render()


def test_emulated_says_so(render: Callable[..., str]) -> None:
    assert "EMULATED" in render(devices=cards(3, 2, emulated=True))
    assert "EMULATED" not in render(devices=cards(3, 2))


def test_the_last_choice_is_preselected_if_it_can_be_had(render: Callable[..., str]) -> None:
    page = render({"profile": "cpu", "size": "large", "project": "other"})
    assert 'id="profile-cpu-size-large" value="large" checked' in page
    assert '<option value="other" selected' in page
    gone = render({"profile": "gpu"}, devices=cards(1, 1))
    assert 'id="profile-cpu" value="cpu" required checked' in gone


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(43200, "12 hours"), (5400, "90 minutes"), (3600, "1 hour"), (172800, "2 days"), (45, "45 seconds")],
)
def test_durations_are_said_in_words(seconds: int, text: str) -> None:
    assert form.lasting(timedelta(seconds=seconds)) == text


def announcement(message: str, profile: str | None = None, until: datetime | None = None) -> Announcement:
    return Announcement(
        id=1, message=message, profile=profile, author="root", created_at=datetime.now(UTC), until=until
    )


def test_announcements_are_on_the_page_and_on_their_card(render: Callable[..., str]) -> None:
    now = datetime.now(UTC)
    said = [
        announcement("power <b>cut</b> at six"),
        announcement("cards are slow", "gpu"),
        announcement("of another site", "nothing"),
        announcement("is over", until=now - timedelta(seconds=1)),
        announcement("goes on", until=now + timedelta(hours=1)),
    ]
    page = render(None, cards(2, 0), said)
    everybody, _, rest = page.partition("<fieldset>")
    assert "<bdi>power &lt;b&gt;cut&lt;/b&gt; at six</bdi>" in everybody
    assert "goes on" in everybody
    assert "cards are slow" not in everybody
    before, _, gpu = rest.partition('id="profile-gpu"')
    assert "cards are slow" not in before
    assert "<bdi>cards are slow</bdi>" in gpu
    assert "of another site" not in page
    assert "is over" not in page
    assert "Announcement" not in render(None, cards(2, 0))


LINK = {"git": "https://git.example.org/course/lessons.git", "branch": "main", "file": 'one/"<b>.ipynb'}


def test_a_link_says_what_it_brings_and_the_box_decides(render: Callable[..., str]) -> None:
    page = render(LINK)
    assert (
        "brings the files of https://git.example.org/course/lessons.git, branch main, into the folder lessons" in page
    )
    assert "opens one/&#34;&lt;b&gt;.ipynb" in page
    assert '<input type="hidden" name="launch:file" value="one/&#34;&lt;b&gt;.ipynb">' in page
    fields = {"profile": ["cpu"], **{f"launch:{name}": [value] for name, value in LINK.items()}}
    assert form.read_form(fields) == {"profile": "cpu"}
    assert form.read_form({**fields, "launch": ["yes"]}) == {"profile": "cpu", **LINK}


def test_a_link_that_cannot_be_followed_says_why(render: Callable[..., str]) -> None:
    page = render({"git": "ext::sh -c <b>"})
    assert "asks for files that it cannot bring: a link brings files over https only" in page
    assert 'name="launch' not in page
    assert "<b>" not in page
    assert "launch" not in render()


def test_the_address_of_the_form_carries_no_files() -> None:
    address = "/hub/spawn/alice?opt-profile=a%26b&opt-git=https%3A%2F%2Fh%2Fx&branch=b&file=c&next=%2Fx%3Fy&empty="
    assert without_files(address) == "/hub/spawn/alice?opt-profile=a%26b&next=%2Fx%3Fy&empty="
    assert without_files("/hub/spawn") == "/hub/spawn"
