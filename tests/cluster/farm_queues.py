"""What a farm with Kueue has beside a plain one: devices that its node declares, and a cohort of its own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.tools.cluster.client import Client

from .test_pods import declare_device

DEVICE = "aiinfn.test/card"
SMALL = {"small": {"cores": 0.1, "memory_gib": 0.0625}}


@contextmanager
def cards(client: Client, count: int) -> Iterator[str]:
    """The node has so many cards; its name."""
    node: str = json.loads(client("get", "nodes", "--output", "json"))["items"][0]["metadata"]["name"]
    have_cards(client, node, count)
    try:
        yield node
    finally:
        declare_device(client, node, DEVICE, "remove")


def have_cards(client: Client, node: str, count: int) -> None:
    """The node has so many cards from now on."""
    declare_device(client, node, DEVICE, "add", count)
    client.until("node", node, lambda found: found["status"]["allocatable"].get(DEVICE) == str(count))


def queues() -> dict[str, Any]:
    """Changes of the values: queues, of which little is kept for jobs of the platform."""
    platform_jobs = {"cores": 0.1, "memory_gib": 0.1}
    return {"kueue": {"cohort": f"test-{uuid.uuid4().hex[:6]}", "platform_jobs": platform_jobs}}


def card_profile(name: str, **more: Any) -> dict[str, Any]:
    """A profile with a card."""
    return {"name": name, "image": "python", "accelerators": ["card"], "sizes": SMALL, "max": "1h", **more}
