"""What the attacker does, run as a program by a platform of either kind: ``scenarios.py NAME STATE`` prints JSON."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.api.workloads import Phase, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local import cgroups
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.values.document import Values

HERE = Path(__file__).parent
VALUES = {
    "version": 1,
    "site": {"name": "Test"},
    "images": {"python": {"name": "Python", "folder": "images/python"}},
    "profiles": {
        "python": {"name": "P", "image": "python", "sizes": {"s": {"cores": 1, "memory_gib": 1}}, "max": "1h"}
    },
}


def session(person: str, *command: str, memory_gib: float = 1.0, cores: float = 1) -> WorkloadSpec:
    return WorkloadSpec(
        kind=WorkloadKind.session, name="attack", command=command, cores=cores, memory_gib=memory_gib, person=person
    )


async def finish(backend: LocalBackend, workload_id: str) -> str:
    """Its log, once it has ended."""
    async with asyncio.timeout(60):
        while (await backend.workload(workload_id)).phase is not Phase.ended:
            await asyncio.sleep(0.05)
    return await backend.log(workload_id, 10_000)


async def probe(backend: LocalBackend) -> Any:
    """Alice looks for bob, the platform and the machine."""
    secret = "token-" + os.urandom(16).hex()
    token = backend.state.secret("service-token")
    name = f"aiinfn-{os.getpid()}"
    listening = (
        "import socket, time; open('secret.txt', 'w').write('private'); s = socket.socket(socket.AF_UNIX)\n"
        f"s.bind('\\0{name}-bob'); s.listen(); socket.socket(socket.AF_UNIX).connect('\\0{name}-bob')\n"
        "print('up', flush=True); time.sleep(60)"
    )
    bob = await backend.start(session("bob", "/usr/bin/python3", "-c", listening), {"TOKEN": secret})
    host = socket.socket(socket.AF_UNIX)
    host.bind(f"\0{name}-host")
    host.listen()
    async with asyncio.timeout(20):
        while "up" not in await backend.log(bob.id):
            await asyncio.sleep(0.02)
    started = json.loads((backend.state.workloads / bob.id / "started").read_text())
    root = backend.state.root
    paths = [
        root,
        root / "secrets",
        root / "homes/user-bob/secret.txt",
        root / "workloads",
        "/home/bob",
        "/root",
        HERE / "scenarios.py",
    ]
    arguments = [word for path in paths for word in ("--path", str(path))]
    arguments += [
        "--pid",
        str(os.getpid()),
        "--pid",
        str(started["runner"]["pid"]),
        "--pid",
        str(started["sandbox"]["pid"]),
    ]
    arguments += ["--abstract", f"{name}-bob", "--abstract", f"{name}-host"]
    arguments += ["--secret", secret[::-1], "--secret", token[::-1]]
    code = (HERE / "probe.py").read_text()
    alice = await backend.start(session("alice", "/usr/bin/python3", "-c", code, *arguments))
    log = await finish(backend, alice.id)
    await backend.stop(bob.id, grace_seconds=0)
    host.close()
    return {"probe": json.loads(log.splitlines()[-1]) if log.endswith("}") else log}


async def impostor(backend: LocalBackend) -> Any:
    """Bob takes ports before alice's server does; whose is which?"""
    code = (
        "import socket, sys, time\nsockets = []\nfor place in sys.argv[1:]:\n"
        "    host, _, port = place.rpartition('@')\n    family = socket.AF_INET6 if ':' in host else socket.AF_INET\n"
        "    sockets.append(socket.create_server((host, int(port)), family=family))\nprint('up', flush=True)\n"
        "time.sleep(60)"
    )
    ports = free_ports(5)
    places = {
        "alice": [f"127.0.0.1@{ports[0]}"],
        "bob": [f"127.0.0.1@{ports[1]}", f"0.0.0.0@{ports[2]}", f"::@{ports[3]}", f"127.0.0.2@{ports[0]}"],
    }
    ids = {}
    for person, words in places.items():
        ids[person] = (await backend.start(session(person, "/usr/bin/python3", "-c", code, *words))).id
    for workload_id in ids.values():
        async with asyncio.timeout(20):
            while "up" not in (log := await backend.log(workload_id)):
                assert "Error" not in log, log
                await asyncio.sleep(0.05)
    return {person: [await backend.listens(ids[person], port) for port in ports] for person in ids}


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


async def fork_bomb(backend: LocalBackend) -> Any:
    """More processes than anybody needs; the platform must end it, and be quick about it."""
    cgroups.PROCESSES = 200  # a real platform allows 4096: the test machine would be busy for a minute
    code = (
        "import os, time\nn = 0\ntry:\n  while n < 400:\n"
        "    if not os.fork(): time.sleep(60); os._exit(0)\n    n += 1\n"
        "except OSError as e: print('refused after', n, e)\nprint('forks', n, flush=True)\ntime.sleep(60)"
    )
    bomb = await backend.start(session("alice", "/usr/bin/python3", "-S", "-c", code, memory_gib=4))
    async with asyncio.timeout(60):
        while "forks" not in (log := await backend.log(bomb.id)):
            await asyncio.sleep(0.1)
    began = time.monotonic()
    ended = await backend.stop(bomb.id, grace_seconds=0.5)
    return {"log": log, "seconds": time.monotonic() - began, "reason": ended.reason}


async def memory_bomb(backend: LocalBackend) -> Any:
    """More memory than allowed, also through /tmp and /dev/shm."""
    codes = [
        "b'x' * (300 << 20)",
        "open('/tmp/x','wb').write(b'x' * (300 << 20))",
        "open('/dev/shm/x','wb').write(b'x' * (300 << 20))",
    ]
    ends = []
    for code in codes:
        bomb = await backend.start(session("alice", "/usr/bin/python3", "-c", code, memory_gib=0.1))
        await finish(backend, bomb.id)
        ends.append((await backend.workload(bomb.id)).reason)
    return ends


async def core_hog(backend: LocalBackend) -> Any:
    """A quarter of a core, and two processes that want all they can get: the share they got."""
    code = (
        "import os, time\nbegun = time.monotonic()\nchild = os.fork()\n"
        "while time.monotonic() - begun < 3: pass\n"
        "if not child: os._exit(0)\nos.wait()\ntimes = os.times()\n"
        "print(sum(times[:4]) / (time.monotonic() - begun))"
    )
    hog = await backend.start(session("alice", "/usr/bin/python3", "-c", code, cores=0.25))
    return float(await finish(backend, hog.id))


async def enforcement(backend: LocalBackend) -> Any:
    """What the backend says of itself."""
    return [asdict(item) for item in backend.enforcement()]


async def main(name: str, state: Path) -> None:
    os.umask(0o077)
    folder = StateFolder(state)
    folder.prepare()
    backend = LocalBackend(Values.model_validate(VALUES, strict=False), folder)
    try:
        result = await globals()[name](backend)
    finally:
        await backend.end_all("the test is over", 0.2)
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
