"""Our images as sessions: the pod that our manifests make of them answers as Jupyter, and its kernel computes."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import websocket

from jupyterhub_aiinfn.api.workloads import EndReason, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend
from jupyterhub_aiinfn.backends.kubernetes.images import KERNELS
from tests.cluster.backend_farm import Farm, running_farm
from tests.tools.cluster.cluster import Cluster
from tests.unit.kubernetes.farms import values_of

from .backend_steps import end_all, runs, until
from .own_images import give_images

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(1800)]
SERVER = ("/opt/aiinfn/lab/bin/python", "-I", "-m", "jupyterlab", "--no-browser", "--ip=0.0.0.0", "--port=8888")
CELLS = {
    "python": (
        "import numpy, os; print(numpy.arange(10).sum(), os.getuid() > 999, os.path.expanduser('~'))",
        "45 True",
    ),
    "quantum": (
        "from qiskit import QuantumCircuit; from qiskit.quantum_info import Statevector\n"
        "bell = QuantumCircuit(2); bell.h(0); bell.cx(0, 1)\n"
        "print({str(key): round(float(value), 3) for key, value in Statevector(bell).probabilities_dict().items()})",
        "{'00': 0.5, '11': 0.5}",
    ),
}
"""What a kernel runs, and what it must print."""


@pytest.fixture(scope="module")
def farm(own: Cluster) -> Iterator[Farm]:
    references = give_images(own, CELLS)
    with running_farm(own.client) as found:
        data = found.values.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        folder = data["images"]["python"]["folder"]
        data["images"] = {
            name: {"name": name, "reference": reference, "folder": folder} for name, reference in references.items()
        }
        yield Farm(values_of(data), found.client, found.kubeconfig)


@pytest.fixture
async def backend(farm: Farm) -> AsyncIterator[KubernetesBackend]:
    made = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    yield made
    await end_all(made)
    await made.close()


def session(image: str) -> WorkloadSpec:
    return WorkloadSpec(
        kind=WorkloadKind.session,
        name=f"{image} of alice",
        command=SERVER,
        cores=1,
        memory_gib=1,
        guaranteed_cores=0.1,
        guaranteed_memory_gib=0.5,
        person="alice",
        server_name=image,
        project="quantum-lab",
        profile="python",
        image=image,
        environment={"JUPYTER_PATH": str(KERNELS), "JUPYTER_RUNTIME_DIR": "/tmp/jupyter"},
    )


async def answering(address: str, headers: dict[str, str]) -> httpx.AsyncClient:
    """A client of a Jupyter server that answers."""
    client = httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=60, trust_env=False)
    async with asyncio.timeout(120):
        while True:
            try:
                if (await client.get("/api/status")).status_code == 200:
                    return client
            except httpx.TransportError:
                await asyncio.sleep(0.3)


def printed(address: str, kernel: str, token: str, source: str) -> str:
    """What a cell prints, or the error that it ends with."""
    url = f"ws://{address}/api/kernels/{kernel}/channels"
    link = websocket.create_connection(url, header=[f"Authorization: token {token}"], timeout=120)
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "session": "s",
        "username": "",
        "version": "5.3",
    }
    content = {"code": source, "silent": False, "store_history": False, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    link.send(json.dumps({**message, "channel": "shell", "buffers": []}))
    text = ""
    while True:
        said: dict[str, Any] = json.loads(link.recv())
        if said["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        if said["msg_type"] == "stream":
            text += said["content"]["text"]
        elif said["msg_type"] == "error":
            text += "\n".join(said["content"]["traceback"])
        elif said["msg_type"] == "execute_reply":
            link.close()
            return text


@pytest.mark.parametrize("image", list(CELLS))
async def test_a_session_of_our_image_answers_and_its_kernel_computes(
    backend: KubernetesBackend, farm: Farm, image: str
) -> None:
    token = secrets.token_hex(16)
    made = await backend.start(session(image), {"JUPYTER_TOKEN": token})
    await until(backend, made.id, runs, 120)
    pod = farm.client.get("pod", f"alice-{made.id}", farm.sessions)
    assert token not in json.dumps(pod)
    address = f"{pod['status']['podIP']}:8888"
    client = await answering(address, {"Authorization": f"token {token}"})
    stranger = httpx.AsyncClient(trust_env=False, timeout=60)  # without the cookie that the first one has by now
    assert (
        await stranger.get(f"http://{address}/api/kernels", headers={"Authorization": "token x"})
    ).status_code == 403
    await stranger.aclose()
    kernel = (await client.post("/api/kernels", json={"name": "python3"})).json()["id"]
    source, wanted = CELLS[image]
    assert wanted in await asyncio.to_thread(printed, address, kernel, token, source)
    await client.aclose()
    ended = await backend.stop(made.id, "tested")
    assert (ended.reason, ended.message) == (EndReason.stopped, "tested")
