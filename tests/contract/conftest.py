"""One fixture, every implementation of the contract: ``backend``; ``local`` is for what only one machine has."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jupyterhub_aiinfn.api.workloads import Phase
from jupyterhub_aiinfn.backends.base import Backend
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.values.document import Values

if TYPE_CHECKING:  # what needs them imports them: the processes that tests start here need neither
    from tests.cluster.backend_farm import Farm

VALUES = {
    "version": 1,
    "site": {"name": "Test"},
    "images": {"python": {"name": "Python", "folder": "images/python"}},
    "accelerators": {
        "rtx5000": {"type": "gpu", "name": "Quadro RTX5000", "emulated": 2, "per_session": [1, 2]},
        "u55c": {"type": "fpga", "name": "Alveo U55C"},
    },
    "profiles": {
        "python": {
            "name": "Python",
            "image": "python",
            "sizes": {"small": {"cores": 1, "memory_gib": 1}},
            "max": "1h",
        }
    },
}


def make_values() -> Values:
    return Values.model_validate(VALUES, strict=False)


@pytest.fixture
def state() -> Iterator[StateFolder]:
    """A state folder that every uid can reach (pytest's own folders are closed)."""
    root = Path(tempfile.mkdtemp(prefix="aiinfn-test-"))
    root.chmod(0o711)
    folder = StateFolder(root / "state")
    folder.prepare()
    yield folder
    shutil.rmtree(root, ignore_errors=True)


ACCELERATORS = {
    "rtx5000": {"type": "gpu", "name": "Quadro RTX5000", "resource": "aiinfn.test/board", "per_session": [1, 2]},
    "u55c": {"type": "fpga", "name": "Alveo U55C", "resource": "aiinfn.test/absent"},
}
"""The same on a cluster, whose node has two of the first."""
ON_A_CLUSTER = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]


@pytest.fixture
async def local(state: StateFolder) -> AsyncIterator[LocalBackend]:
    """For what only one machine has; each test says what that is, by its name or in a comment."""
    async with local_backend(state) as made:
        yield made


@pytest.fixture(params=["local", pytest.param("kubernetes", marks=ON_A_CLUSTER)])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "local":
        async with local_backend(request.getfixturevalue("state")) as made:
            yield made
    else:
        async with kubernetes_backend(request.getfixturevalue("farm")) as found:
            yield found


@pytest.fixture(scope="package")
def farm(pytestconfig: pytest.Config) -> Iterator[Farm]:
    """What a cluster has before the platform is installed; made when the first test needs it."""
    from tests.cluster.backend_farm import running_farm
    from tests.tools.cluster.cluster import Cluster

    if pytestconfig.getoption("--cluster") and os.environ.get("KUBECONFIG"):
        pytest.skip("the nodes of the cluster of KUBECONFIG are not given devices that they do not have")
    with running_farm(Cluster().client, accelerators=ACCELERATORS) as found, found.devices(2):
        yield found


@asynccontextmanager
async def local_backend(state: StateFolder) -> AsyncIterator[LocalBackend]:
    made = LocalBackend(make_values(), state)
    yield made
    await made.end_all("the test is over", 0.2)


@asynccontextmanager
async def kubernetes_backend(farm: Farm) -> AsyncIterator[Backend]:
    """One that ends what the test left; what ended stays known to the next one, as it does on a real cluster."""
    from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend

    made = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    yield made
    live = [one.id for one in await made.workloads() if one.phase is not Phase.ended]
    await asyncio.gather(*(made.stop(one, "the test is over", grace_seconds=0) for one in live))
    for one in await made.workloads():
        await made.acknowledge_end(one.id)
    await made.close()
