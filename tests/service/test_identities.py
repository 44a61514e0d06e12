"""What is remembered about tokens, against a real (small) hub that a test can switch off."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import uvicorn

from jupyterhub_aiinfn.errors import HubDown
from jupyterhub_aiinfn.service.identity import tokens
from jupyterhub_aiinfn.service.identity.caller import Caller, HubIdentity
from jupyterhub_aiinfn.service.identity.hub import HubApi, server_path
from jupyterhub_aiinfn.service.identity.tokens import Identities

from .running import free_ports


@dataclass
class SmallHub:
    """Answers ``/user`` like the hub; counts; ``status`` 500 stands for a hub in trouble."""

    known: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    status: int = 200

    async def __call__(self, scope, receive, send) -> None:
        """Answer."""
        self.asked += 1
        token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("token ")
        status = self.status if token in self.known or self.status != 200 else 403
        body = json.dumps({"name": self.known.get(token, ""), "kind": "user", "scopes": []}).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Scene:
    """A small hub, and what is remembered about it."""

    hub: SmallHub
    identities: Identities
    now: float = 1000.0


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """A hub that knows one token."""
    import asyncio

    hub = SmallHub({"good": "alice"})
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(hub, port=port, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    api = HubApi(f"http://127.0.0.1:{port}", "service", 2)
    made = Scene(hub, Identities(api, 60, 300, clock=lambda: made.now))
    yield made
    await api.close()
    server.should_exit = True
    await task


async def test_a_read_asks_once_a_minute_and_a_change_always(scene):
    for _ in range(3):
        assert (await scene.identities.owner("good", change=False)).name == "alice"
    assert scene.hub.asked == 1
    await scene.identities.owner("good", change=True)
    assert scene.hub.asked == 2
    scene.now += 61
    await scene.identities.owner("good", change=False)
    assert scene.hub.asked == 3


async def test_old_answers_count_for_reads_while_the_hub_is_away_and_no_longer(scene):
    await scene.identities.owner("good", change=False)
    scene.hub.status = 500
    scene.now += 299
    assert (await scene.identities.owner("good", change=False)).name == "alice"
    with pytest.raises(HubDown):
        await scene.identities.owner("good", change=True)
    with pytest.raises(HubDown):
        await scene.identities.owner("other", change=False)
    scene.now += 2
    with pytest.raises(HubDown):
        await scene.identities.owner("good", change=False)


async def test_a_revoked_token_is_not_revived_by_a_hub_that_goes_away(scene):
    await scene.identities.owner("good", change=False)
    scene.hub.known.clear()
    scene.now += 61
    assert await scene.identities.owner("good", change=False) is None
    scene.hub.status = 500
    scene.now += 10
    with pytest.raises(HubDown):
        await scene.identities.owner("good", change=False)


async def test_memory_is_bounded_and_unknown_tokens_push_no_known_one_out(scene, monkeypatch):
    monkeypatch.setattr(tokens, "UNKNOWN", 10)
    await scene.identities.owner("good", change=False)
    for number in range(50):
        assert await scene.identities.owner(f"bad{number}", change=False) is None
    assert len(scene.identities._unknown) == 10
    asked = scene.hub.asked
    assert await scene.identities.owner("good", change=False)
    assert await scene.identities.owner("bad49", change=False) is None
    assert scene.hub.asked == asked


async def test_many_at_once_ask_once(scene):
    import asyncio

    found = await asyncio.gather(*(scene.identities.owner("good", change=False) for _ in range(20)))
    assert {identity.name for identity in found} == {"alice"}
    assert scene.hub.asked == 1


@pytest.mark.parametrize(
    ("scopes", "server"),
    [
        ({"access:servers!server=alice/"}, ""),
        ({"access:servers!server=alice/gpu", "users:activity!user=alice"}, "gpu"),
        ({"access:servers!server=bob/gpu"}, None),
        ({"access:servers!server=alice/a", "access:servers!server=alice/b"}, None),
        ({"access:servers!user=alice"}, None),
        ({"access:servers"}, None),
        (set(), None),
    ],
)
def test_the_session_is_the_one_server_of_the_scopes(scopes, server):
    caller = Caller(HubIdentity("alice", "user", (), admin=False, scopes=frozenset(scopes)))
    assert caller.server_name == server


def test_names_are_escaped_in_the_hubs_addresses():
    assert server_path("a/../b", "") == "/users/a%2F..%2Fb/server"
    assert server_path("a", "x?y") == "/users/a/servers/x%3Fy"
