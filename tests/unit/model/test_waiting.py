"""Where Kueue keeps a line, devices that are all in use are waited for; anything else is refused as before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jupyterhub_aiinfn.errors import NothingFree
from jupyterhub_aiinfn.hub.form import _lines
from jupyterhub_aiinfn.model.entitlement import AcceleratorOffer, decide, offers
from jupyterhub_aiinfn.model.requests import DeviceCount, Held, Person, Situation
from jupyterhub_aiinfn.values import Values, parse_values

NOW = datetime(2026, 6, 15, 11, 0, tzinfo=UTC)
FREE_AT = datetime(2026, 6, 15, 12, 20, tzinfo=UTC)
TEXT = """
version: 1
site: {{name: Farm, timezone: Europe/Rome}}
identity: {{uid: {{method: crc32}}}}
kubernetes: {{{kueue}}}
storage: {{home: {{backend: claims, quota_gib: 1}}}}
accelerators:
  card: {{type: gpu, name: Card, resource: test.example/card, per_session: [1, 2, 4]}}
images: {{python: {{name: Python, reference: "python@sha256:{digest}"}}}}
projects:
  flash: {{groups: [flash], at_most: {{card: 3}}, per_user: {{accelerators: {{card: 2}}}}}}
profiles:
  waits: {{name: W, image: python, accelerators: [card], sizes: {{s: {{cores: 1, memory_gib: 2}}}}, max: 1h{wait}}}
  never: {{name: N, image: python, accelerators: [card], sizes: {{s: {{cores: 1, memory_gib: 2}}}}, max: 1h}}
"""
ALICE = Person("alice", frozenset({"flash"}))


def values(*, kueue: bool = True) -> Values:
    return parse_values(
        TEXT.format(digest="0" * 64, kueue="kueue: {}" if kueue else "", wait=", wait: 10m" if kueue else ""), "test"
    )


def world(total: int, used: int, *held: Held) -> Situation:
    return Situation(NOW, held, {"card": DeviceCount(total, used, next_free_at=FREE_AT if used else None)})


def choice(profile: str = "waits", count: int = 1) -> dict[str, str]:
    return {"profile": profile, "accelerator": "card", "count": str(count)}


def card(situation: Situation, profile: str = "waits", of: Values | None = None) -> AcceleratorOffer:
    [offer] = [one for one in offers(of or values(), ALICE, situation) if one.key == profile]
    return offer.accelerators[0]


def test_who_may_wait_is_not_refused() -> None:
    assert decide(values(), ALICE, choice(), world(2, 2), "").choice.count == 1
    assert decide(values(), ALICE, choice(count=2), world(2, 1), "").choice.count == 2


@pytest.mark.parametrize(
    ("profile", "count", "situation", "words"),
    [
        ("never", 1, world(2, 2), "2 of 2"),
        ("waits", 2, world(1, 0), "there are 1"),
        ("waits", 1, world(0, 0), "cannot be had"),
        ("waits", 1, world(9, 3, *[Held("bob", str(one), "flash", "card", 1) for one in range(3)]), "3 of 3"),
    ],
)
def test_nobody_waits_for_what_waiting_does_not_bring(
    profile: str, count: int, situation: Situation, words: str
) -> None:
    with pytest.raises(NothingFree, match=words):
        decide(values(), ALICE, choice(profile, count), situation, "")


def test_without_kueue_nobody_waits() -> None:
    with pytest.raises(NothingFree):
        decide(values(kueue=False), ALICE, choice(), world(2, 2), "")
    assert card(world(2, 2), of=values(kueue=False)).waits == ""


def test_the_card_says_how_long_and_when_one_is_free_at_the_latest() -> None:
    offer = card(world(2, 2))
    assert offer.available
    assert offer.reason == ""
    expected = "a session waits for its turn, at most 10 minutes; one is expected free at 14:20 CEST at the latest"
    assert offer.waits == expected
    lines: list[Any] = _lines(offer)
    assert [(line.value, line.available, line.reason) for line in lines] == [
        ("card:1", True, expected),
        ("card:2", True, expected),
    ]
    assert not card(world(2, 2), "never").available


def test_a_free_device_is_not_waited_for() -> None:
    lines: list[Any] = _lines(card(world(2, 1)))
    assert [(line.value, line.available, bool(line.reason)) for line in lines] == [
        ("card:1", True, False),
        ("card:2", True, True),
    ]
    lines = _lines(card(world(1, 0)))
    assert [(line.value, line.available, line.reason) for line in lines] == [
        ("card:1", True, ""),
        ("card:2", False, "2 are not free now"),
    ]
